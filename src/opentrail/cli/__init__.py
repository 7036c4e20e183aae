"""The command line: `opentrail serve | env | profiles | lookup | report | verify | redact | vocab | demo`. One file a command, no logic."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point: runs the named command."""
    from opentrail.cli.main import app

    sys.exit(app())
