"""Statements and the two ways to run them: a `Snapshot` reads, a `Tx` also writes.

A statement is text in the common subset of SQLite (3.40) and PostgreSQL (15) with `:name` parameters. It is made once,
at import, and rendered once per dialect; nothing is built on the path of a call (but FHIR searches, which are cached by
their shape). Values are str, int, float, bytes or None; times are integers or floats in seconds since 1970; booleans are
0 and 1; documents are JSON text or bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")

Row = tuple[Any, ...]
Value = str | int | float | bytes | None


class Sql:
    """One statement: `text` with `:name` parameters, `numbered` the same with PostgreSQL's $1 .. $n, `names` their order."""

    __slots__ = ("names", "numbered", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        names: list[str] = []

        def number(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"

        self.numbered = _PARAMETER.sub(number, text)
        self.names = tuple(names)


class Snapshot(Protocol):
    """A consistent view of one database for the length of one read."""

    def one(self, statement: Sql, /, **values: Value) -> Row | None:
        """The first row, or None."""

    def all(self, statement: Sql, /, **values: Value) -> list[Row]:
        """Every row, as tuples in the statement's column order."""


class Tx(Snapshot, Protocol):
    """The write transaction of a batch, as one call sees it: reads see earlier writes, an exception undoes the call's own."""

    def run(self, statement: Sql, /, **values: Value) -> int:
        """Executes a writing statement and tells how many rows it changed. Raises Conflict on a broken unique key."""

    def many(self, statement: Sql, rows: Sequence[Mapping[str, Value]], /) -> None:
        """Executes a writing statement once per row of values."""

    def with_position(self, statement: Sql, /, **values: Value) -> None:
        """Executes the statement at the end of the batch, in the same transaction, when the position of this call's record
        is known: it is added to the values as `position`."""

    def rights_changed(self) -> None:
        """Says that this call changes what identity, policies, trails or resource rows say: caches of them end with the commit."""


class Unstorable(Exception):
    """A text holds a character that the database cannot keep (PostgreSQL: NUL)."""


class Conflict(Exception):
    """A unique key or check of the schema was broken; the message names it, never a value."""
