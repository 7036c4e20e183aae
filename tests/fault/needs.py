"""What tests of faults need of the machine beyond Python. What is not there is said at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests import gaps, postgres
from tests.fault.disks import can_mount
from tests.fault.shim import compiler


def has_postgres() -> bool:
    """Whether PostgreSQL is installed."""
    if postgres.binaries() is None:
        gaps.note("faults on PostgreSQL", "PostgreSQL is not installed (Debian: apt-get install postgresql)")
        return False
    return True


NEEDS: Mapping[str, Callable[[], object]] = {
    "test_postgres.py": has_postgres,
    "test_fsync_order.py": compiler,
    "test_io_errors.py": compiler,
    "test_disk_full.py": can_mount,
}
"""What each of these files needs; the others run everywhere."""


def missing() -> frozenset[str]:
    """The files that cannot run here."""
    return frozenset(name for name, there in NEEDS.items() if not there())
