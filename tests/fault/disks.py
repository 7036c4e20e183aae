"""Small file systems to be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from tests import gaps


@lru_cache(maxsize=1)
def can_mount() -> bool:
    """Whether a file system can be mounted here; where not, that is said at the end of the run."""
    if os.geteuid() == 0 and shutil.which("mount"):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "opentrail-test", folder], capture_output=True, check=False)
            if done.returncode == 0:
                subprocess.run(["umount", folder], check=True)
                return True
    gaps.note("a filled disk", "no file system can be mounted here (needs root)")
    return False


@contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "opentrail-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def free(folder: Path) -> int:
    """Bytes that are left."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill(folder: Path, leave: int) -> Path:
    """Makes or grows a file until only `leave` bytes are left, or fewer where somebody else takes them meanwhile."""
    filler = folder / "filler"
    with filler.open("ab") as out:
        size = free(folder) - leave
        while size > 0:
            try:
                os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, size)
            except OSError:
                size //= 2
            else:
                size = free(folder) - leave
    return filler
