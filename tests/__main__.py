"""Runs every test: `make test`."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-n", "2", "--dist", "loadfile", "--durations", "20", *sys.argv[1:]]))
