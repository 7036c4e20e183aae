"""Statements and the two ways to run them: a `Snapshot` reads, a `Tx` also writes.

A statement is text in the common subset of SQLite (3.40) and PostgreSQL (15) with `:name` parameters. It is made once,
at import, and rendered once per dialect; nothing is built on the path of a call (but FHIR searches, which are cached by
their shape). Values are str, int, float, bytes or None; times are integers or floats in seconds since 1970; booleans are
0 and 1; documents are JSON text or bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")

_VALUES = re.compile(r"VALUES\s*(\([^()]*\))", re.IGNORECASE)
_NAME = re.compile(r":([a-z_][a-z0-9_]*)")
_CHUNK = 64

T = TypeVar("T")
Row = tuple[Any, ...]
Value = str | int | float | bytes | None


class Sql:
    """One statement: `text` with `:name` parameters, `numbered` the same with PostgreSQL's $1 .. $n, `names` their order.

    A `settled` statement concerns rows that change rarely and are read by many calls, such as keys and policies: what is read of
    them is cached under the state epoch, which one that writes moves. Of a table that is read so every writing statement MUST be
    settled.
    """

    __slots__ = ("names", "numbered", "settled", "text")

    def __init__(self, text: str, settled: bool = False) -> None:
        self.text = text
        self.settled = settled
        names: list[str] = []

        def number(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"

        self.numbered = _PARAMETER.sub(number, text)
        self.names = tuple(names)


def in_chunks(statement: Sql, rows: Sequence[Mapping[str, Value]]) -> Iterator[tuple[Sql, Mapping[str, Value]]]:
    """The statements that do the same for every row: an `INSERT ... VALUES (...)` takes many rows at once, others one each.

    One statement for many rows saves PostgreSQL's round trips, and on SQLite the interpreter lock that is given up and waited
    for with every statement.
    """
    if not _VALUES.search(statement.text):
        yield from ((statement, row) for row in rows)
        return
    for chunk in _powers(rows):
        if len(chunk) == 1:
            yield statement, chunk[0]
        else:
            yield _repeated(statement, len(chunk)), {f"{name}_{i}": value for i, row in enumerate(chunk) for name, value in row.items()}


def in_places(statement: Sql, rows: Sequence[Mapping[str, Value]]) -> Iterator[tuple[str, Sequence[Value] | Mapping[str, Value]]]:
    """The same as texts with `?` and values in order, which SQLite binds in half the time."""
    match = _VALUES.search(statement.text)
    if not match:
        yield from ((statement.text, row) for row in rows)
        return
    names = _NAME.findall(match.group(1))
    for chunk in _powers(rows):
        yield _placed(statement, len(chunk)), [row[name] for row in chunk for name in names]


def _powers(rows: Sequence[Mapping[str, Value]]) -> Iterator[Sequence[Mapping[str, Value]]]:
    """The rows in pieces whose lengths are powers of two: few statements, each prepared once."""
    done = 0
    while done < len(rows):
        size = min(_CHUNK, 1 << ((len(rows) - done).bit_length() - 1))
        yield rows[done : done + size]
        done += size


@lru_cache(maxsize=512)
def _placed(statement: Sql, rows: int) -> str:
    """The statement's text for that many rows, with `?` in the place of parameters."""
    return _VALUES.sub(lambda match: "VALUES " + ", ".join([_NAME.sub("?", match.group(1))] * rows), statement.text, count=1)


@lru_cache(maxsize=512)
def _repeated(statement: Sql, rows: int) -> Sql:
    """The statement for that many rows, parameters numbered by row."""
    match = _VALUES.search(statement.text)
    assert match is not None, "asked by the caller"
    start, end = match.span(1)
    values = ", ".join(_NAME.sub(rf":\1_{i}", match.group(1)) for i in range(rows))
    return Sql(statement.text[:start] + values + statement.text[end:])


class Snapshot(Protocol):
    """A consistent view of one database for the length of one read."""

    def one(self, statement: Sql, /, **values: Value) -> Row | None:
        """The first row, or None."""

    def all(self, statement: Sql, /, **values: Value) -> list[Row]:
        """Every row, as tuples in the statement's column order."""

    def settled(self, key: Hashable, make: Callable[[Snapshot], T]) -> T:
        """What `make` makes of settled rows alone. A view that can tell when those change keeps it until then, by its key."""


class Tx(Snapshot, Protocol):
    """The write transaction of a batch, as one call sees it: reads see earlier writes, an exception undoes the call's own."""

    def run(self, statement: Sql, /, **values: Value) -> int:
        """Executes a writing statement and tells how many rows it changed. Raises Conflict on a broken unique key."""

    def many(self, statement: Sql, rows: Sequence[Mapping[str, Value]], /) -> None:
        """Executes a writing statement once per row of values."""

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]], /) -> None:
        """Adds many rows, whose values stand in the order of the columns: the fastest way that the database has."""

    def with_position(self, statement: Sql, /, **values: Value) -> None:
        """Executes the statement at the end of the batch, in the same transaction, when the position of this call's record
        is known: it is added to the values as `position`."""


class Unstorable(Exception):
    """A text holds a character that the database cannot keep (PostgreSQL: NUL)."""


class Conflict(Exception):
    """A unique key or check of the schema was broken; the message names it, never a value."""
