"""How much of SQLite's write-ahead log is in use: its file never shrinks when the log begins anew, so that its size does not tell.

The file is read beside SQLite, which is safe for this one alone: it carries no locks, which closing it would end.
Format: https://sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import os
from pathlib import Path

_HEADER, _FRAME = 32, 24
_SALTS = 8
"""Bytes drawn when the log begins anew: the header has them at 16, each frame of that time at 8."""


class Log:
    """The log of a database file."""

    def __init__(self, database: Path) -> None:
        self._file = database.with_name(database.name + "-wal")
        self._began = b""
        self._frames = 0
        self._copied = 0

    def size(self) -> int:
        """Bytes of the file."""
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return 0

    def waiting(self) -> int:
        """Pages that were written and are not known to be `copied`."""
        try:
            file = os.open(self._file, os.O_RDONLY)
        except FileNotFoundError:
            return 0
        try:
            self._count(file)
        finally:
            os.close(file)
        return self._frames - self._copied

    def copied(self, frames: int) -> None:
        """Notes that the first so many pages of the log are in the database file."""
        self._copied = frames

    def _count(self, file: int) -> None:
        """Looks from the end that was known for the one that is now."""
        header = os.pread(file, _HEADER, 0)
        length = _FRAME + int.from_bytes(header[8:12], "big")
        began = header[16 : 16 + _SALTS]
        if began != self._began:
            self._began, self._frames, self._copied = began, 0, 0

        def written(frames: int) -> bool:
            last = _HEADER + (frames - 1) * length
            return len(began) == _SALTS and os.pread(file, _SALTS, last + 8) == began

        step = 1
        while written(self._frames + step):
            self._frames += step
            step *= 2
        while step := step // 2:
            if written(self._frames + step):
                self._frames += step
