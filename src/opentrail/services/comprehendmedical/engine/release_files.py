"""Opening what a user hands over: a publisher's release as a file, a folder or a zip, read as a stream within bounds.

Nothing is unpacked to disk. A zip may not name paths outside itself, hold encrypted or linked parts, or grow beyond its bounds, whatever
sizes it declares; a line of a table may not be longer than `LONGEST_LINE`.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

T = TypeVar("T")
DAMAGED = "The file is damaged or packed in a way that is not read."
LONGEST_LINE = 64 * 1024
"""Bytes of a line of a table."""
MOST_PARTS = 20_000
"""Files in a zip or folder."""
MOST_RATIO = 400
"""How many times larger than packed a part of a zip may be (text packs to a tenth)."""


class BadRelease(Exception):
    """The file is no release that can be read; the text says what is wanted, never what the file holds."""


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than `most` bytes."""

    def __init__(self, inner: IO[bytes], most: int) -> None:
        self._inner, self._left, self._most = inner, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._inner.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise BadRelease(f"A table of the release is larger than {self._most // 2**20} MB.")
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def opened(path: Path, wanted: re.Pattern[str], most: int) -> Iterator[tuple[str, IO[bytes]]]:
    """The first wanted table, by name, in a zip or folder, or the file itself: (its name, a stream of at most `most` bytes).
    Raises BadRelease."""
    with each_opened(path, wanted, most) as tables:
        found = next(tables, None)
        if found is None:
            raise BadRelease(f"The {'folder' if path.is_dir() else 'zip'} does not hold the wanted table.")
        yield found


@contextmanager
def each_opened(path: Path, wanted: re.Pattern[str], most: int) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """All wanted tables, one after the other; a plain file is taken as it is. Raises BadRelease, also while they are read."""
    try:
        if path.is_dir():
            yield _in_folder(path, wanted, most)
        elif not path.is_file():
            raise BadRelease("There is no such file or folder.")
        elif zipfile.is_zipfile(path):
            with _understood(lambda: zipfile.ZipFile(path)) as archive:
                yield _in_zip(archive, wanted, most)
        else:
            yield _alone(path, most)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise BadRelease(DAMAGED) from error
    except OSError as error:
        raise BadRelease("The file cannot be read.") from error


def _understood(open_it: Callable[[], T]) -> T:
    """What zipfile opens; its RuntimeError says that it is packed in a way that it does not know."""
    try:
        return open_it()
    except RuntimeError as error:
        raise BadRelease(DAMAGED) from error


def _alone(path: Path, most: int) -> Iterator[tuple[str, IO[bytes]]]:
    with path.open("rb") as stream:
        yield path.name, io.BufferedReader(_Bounded(stream, most))


def _in_folder(path: Path, wanted: re.Pattern[str], most: int) -> Iterator[tuple[str, IO[bytes]]]:
    root = path.resolve()
    for number, part in enumerate(sorted(path.rglob("*"))):
        if number >= MOST_PARTS:
            raise BadRelease(f"The folder holds more than {MOST_PARTS} files.")
        if wanted.search(part.as_posix()) and part.is_file():
            if not part.resolve().is_relative_to(root):
                raise BadRelease("The folder holds a link to a file outside it.")
            with part.open("rb") as stream:
                yield part.name, io.BufferedReader(_Bounded(stream, most))


def _in_zip(archive: zipfile.ZipFile, wanted: re.Pattern[str], most: int) -> Iterator[tuple[str, IO[bytes]]]:
    parts = archive.infolist()
    if len(parts) > MOST_PARTS:
        raise BadRelease(f"The zip holds more than {MOST_PARTS} files.")
    for part in parts:
        where = PurePosixPath(part.filename.replace("\\", "/"))
        if where.is_absolute() or ".." in where.parts or ":" in where.parts[0:1]:
            raise BadRelease("The zip names a path outside itself.")
    for part in sorted(parts, key=lambda part: part.filename):
        if wanted.search(part.filename) and not part.is_dir():
            if part.flag_bits & 1 or stat.S_ISLNK(part.external_attr >> 16):
                raise BadRelease("The zip holds an encrypted or linked table.")
            if part.file_size > most or part.file_size > MOST_RATIO * max(part.compress_size, 1024):
                raise BadRelease(f"A table of the zip is larger than {most // 2**20} MB, or packed too tightly to be one.")
            with _understood(partial(archive.open, part)) as stream:
                yield part.filename, io.BufferedReader(_Bounded(stream, most))


def lines(stream: IO[bytes]) -> Iterator[str]:
    """The lines of a table without their ends. Raises BadRelease when one is too long or no UTF-8."""
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise BadRelease("A line of the release is too long.")
        try:
            yield line.decode("utf-8-sig" if line.startswith(b"\xef\xbb\xbf") else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise BadRelease("The release is not in UTF-8.") from error


def date_in(name: str) -> str:
    """The date in a release's file name as YYYY-MM-DD: `20250301` or, as RxNorm writes it, `03012025`; "" when there is none."""
    for digits in re.findall(r"(?<!\d)\d{8}(?!\d)", name):
        for year, month, day in ((digits[:4], digits[4:6], digits[6:]), (digits[4:], digits[:2], digits[2:4])):
            if "1990" <= year <= "2099" and "01" <= month <= "12" and "01" <= day <= "31":
                return f"{year}-{month}-{day}"
    return ""
