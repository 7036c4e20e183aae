"""The data folder: one owner at a time, on a local file system, with room to write."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import BinaryIO

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "fuse.glusterfs", "lustre"})


class FolderRefused(Exception):
    """The folder cannot be used; the message says why and what to do."""


_PATIENCE = 5.0
"""Seconds to wait for the processes of a server that was killed: they end by themselves, a moment later."""


def claim(folder: Path, shared: bool = False) -> BinaryIO:
    """Makes the folder if needed and locks it. The lock holds until every process that has the returned file open is gone:
    hand it to children that write, so that nobody starts beside one that outlives its parent by a moment.

    `shared` lets other servers that ask for the same use it too: on PostgreSQL it holds nothing that has one writer.
    Raises FolderRefused when another server uses it or it lies on a network file system, where SQLite's locks do not hold.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FolderRefused(f"{folder} cannot be made: {error.strerror}") from error
    kind = file_system(folder)
    if kind in _NETWORK:
        raise FolderRefused(f"{folder} is on a network file system ({kind}); use a local disk, or PostgreSQL and a local folder")
    lock = open(folder / "lock", "ab")  # noqa: SIM115 - held open as long as the process lives
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return lock
        except BlockingIOError as error:
            if time.monotonic() > until:
                lock.close()
                raise FolderRefused(f"{folder} is in use by another OpenTrail server") from error
            time.sleep(0.05)


def file_system(folder: Path) -> str:
    """The kind of file system that holds the folder, as Linux names it; empty where that cannot be told."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    best, kind = -1, ""
    for line in mounts.read_text().splitlines():
        _, point, name, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) > best:
            best, kind = len(point), name
    return kind


class Space:
    """How much room the folder's disk has, asked at most once a second."""

    def __init__(self, folder: Path, least_mb: int) -> None:
        self._folder = folder
        self._least = least_mb * 1024 * 1024
        self._asked = -1.0
        self.free = 0
        self._total = 1

    def refuses(self, changes: bool, now: float) -> str:
        """Why a call is refused; empty when there is room. `now` is monotonic seconds.

        Calls that change state stop below the least, or 2 % of a small disk; all calls below half of that.
        """
        if now - self._asked > 1.0:
            self._asked = now
            found = os.statvfs(self._folder)
            self.free, self._total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        bound = self._least if self._least < self._total // 4 else self._total // 50
        if self.free < (bound if changes else bound // 2):
            return f"the disk is almost full ({self.free // 1024**2} MB free)"
        return ""
