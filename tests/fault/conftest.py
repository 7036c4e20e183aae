"""What tests of faults need of the machine. What is not there is said at the end of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault import disks
from tests.fault.shim import Shim, compiled, compiler

_NEEDS = {"test_fsync_order.py": compiler, "test_io_errors.py": compiler, "test_disk_full.py": disks.can_mount}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves out the files for which something is missing."""
    needs = _NEEDS.get(collection_path.name)
    return True if needs is not None and not needs() else None


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    """A shim whose log is empty."""
    return compiled(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 64 MiB."""
    with disks.mounted(tmp_path / "disk", 64) as folder:
        yield folder
