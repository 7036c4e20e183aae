"""Fixtures of tests of faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault import disks
from tests.fault.needs import missing
from tests.fault.shim import Shim, compiled

MISSING = missing()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves out the files for which something is missing."""
    return True if collection_path.name in MISSING else None


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    """A shim whose log is empty."""
    return compiled(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 64 MiB."""
    with disks.mounted(tmp_path / "disk", 64) as folder:
        yield folder
