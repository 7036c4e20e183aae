"""Object bytes: immutable files with random names, durable before any row refers to them, removed long after none does.

The order is always: bytes written, file fsynced, renamed into its folder, folder fsynced, and only then the row. An
overwrite or a delete changes rows and lists the old blob as garbage; nothing here touches a file that a row refers to.
No part of a bucket's or an object's name ever becomes part of a path.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from opentrail.calls.tools import Snapshots
from opentrail.kernel.ambient import Ids
from opentrail.kernel.errors import Unavailable
from opentrail.services.s3 import store
from opentrail.store.sql import Tx

GARBAGE_SECONDS = 3600
"""How long a blob outlives its row, so that answers which are still being sent can finish."""

ORPHAN_SECONDS = 86400
"""How old a blob without a row must be before it is taken for the leftover of a call that failed."""

_DIGITS = 32
_FANS = [f"{i:02x}" for i in range(256)]
_ID = re.compile(r"\A[0-9a-f]{32}\Z")
_SLICE = 500


def new_id(ids: Ids) -> str:
    """A name for a new blob."""
    return ids.hex(_DIGITS)


def path(folder: Path, id: str) -> Path:
    """Where the blob lies. `id` comes from `new_id` or a row, never from a request."""
    assert _ID.match(id), "blob ids are 32 hexadecimal digits"
    return folder / id[:2] / id


def adopt(folder: Path, id: str, file: Path) -> None:
    """Makes a file that is already fsynced the blob `id`, by rename (same file system). Durable when it returns.
    Raises Unavailable, and then nothing but the file itself is left."""
    with _reported():
        target = _ready(folder, id)
        os.rename(file, target)
        _sync(target.parent)


def link(folder: Path, source: str, id: str) -> None:
    """Makes the blob `id` another name of the bytes of `source`. Durable when it returns.

    Raises FileNotFoundError when the source is gone; Unavailable otherwise."""
    with _reported():
        target = _ready(folder, id)
        try:
            os.link(path(folder, source), target)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            _write(folder, id, [(path(folder, source), 0, path(folder, source).stat().st_size)])
            return
        _sync(target.parent)


def join(folder: Path, id: str, pieces: Iterable[tuple[str, int, int]]) -> None:
    """Makes one new blob of ranges of others: (blob, first byte, count). Durable when it returns.

    Raises FileNotFoundError when a piece is gone; Unavailable otherwise; a half-written file is removed."""
    with _reported():
        _write(folder, id, [(path(folder, piece), start, count) for piece, start, count in pieces])


def _write(folder: Path, id: str, pieces: Iterable[tuple[Path, int, int]]) -> None:
    target = _ready(folder, id)
    partial = target.with_name(id + ".partial")
    try:
        with open(partial, "xb") as out:
            for piece, start, count in pieces:
                with open(piece, "rb") as source:
                    _copy(source.fileno(), out.fileno(), start, count)
            os.fsync(out.fileno())
        os.rename(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _copy(source: int, out: int, start: int, count: int) -> None:
    while count:
        chunk = os.pread(source, min(count, 1 << 20), start)
        if not chunk:
            raise OSError(errno.EIO, "a blob is shorter than its row says")
        start += len(chunk)
        count -= len(chunk)
        while chunk:
            chunk = chunk[os.write(out, chunk) :]


def _ready(folder: Path, id: str) -> Path:
    target = path(folder, id)
    if not target.parent.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(exist_ok=True)
        _sync(folder)
    return target


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _reported:
    """Turns what the file system refuses into an answer that names the reason and no path."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise Unavailable("The object cannot be stored: {reason}", reason=errno.errorcode.get(error.errno or 0, "I/O error")) from error


class Swept(NamedTuple):
    """What a sweep removed: blobs whose rows went, and leftovers of calls that failed."""

    garbage: int
    orphans: int


Turn = Callable[[Callable[[Tx], None]], None]
"""Borrows the write turn: runs the function in a write transaction and returns when it is durable."""


def sweep(folder: Path, read: Snapshots, turn: Turn, now: float) -> Swept:
    """Unlinks what no row has referred to for long enough. May be interrupted anywhere and run again."""
    garbage = _sweep_garbage(folder, read, turn, now)
    return Swept(garbage, sum(_sweep_fan(folder, fan, read, now) for fan in _FANS))


def _sweep_garbage(folder: Path, read: Snapshots, turn: Turn, now: float) -> int:
    """Files go before their rows, so that a crash between leaves a row to try again."""
    removed = 0
    while True:
        with read() as snapshot:
            due = [row[0] for row in snapshot.all(store.DUE, until=int(now - GARBAGE_SECONDS), count=_SLICE)]
        if not due:
            return removed
        for id in due:
            path(folder, id).unlink(missing_ok=True)
        turn(lambda tx, due=due: _forget(tx, due))  # type: ignore[misc]
        removed += len(due)


def _forget(tx: Tx, blobs: list[str]) -> None:
    for blob in blobs:
        tx.run(store.FORGET, blob=blob)


def _sweep_fan(folder: Path, fan: str, read: Snapshots, now: float) -> int:
    """The files are looked at before the rows: what got its row in between is then known. A file's change time moves with
    its rename or link, so that even old bytes count as new when they become a blob."""
    old = [entry for entry in _entries(folder / fan) if now - entry.stat().st_ctime >= ORPHAN_SECONDS]
    if not old:
        return 0
    with read() as snapshot:
        known = {row[0] for row in snapshot.all(store.KNOWN, low=fan, high=fan + "g")}
    orphans = [entry for entry in old if entry.name not in known]
    for entry in orphans:
        Path(entry.path).unlink(missing_ok=True)
    return len(orphans)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except FileNotFoundError:
        return
