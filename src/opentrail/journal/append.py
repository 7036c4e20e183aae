"""Appending to the journal inside a batch's transaction: head locked last, positions dense, running hash carried on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from opentrail.journal import disclosures
from opentrail.journal.disclosures import Disclosed
from opentrail.store.sql import Sql, Tx, Value

EMPTY = bytes(32)
"""The running hash of an empty journal."""


class Fresh(NamedTuple):
    """A record before it has a position. See journal.tables for the columns; `disclosed` are the lists to lie beside it."""

    time: int
    account: str
    region: str
    category: int
    record: bytes
    disclosed: Sequence[Disclosed] = ()

    @property
    def size(self) -> int:
        """Bytes to write."""
        return len(self.record) + (sum(len(one.text) for one in self.disclosed) if self.disclosed else 0)


Later = Sequence[tuple[Sql, dict[str, Value]]]
"""Statements that wait for the position of their call's record."""

_LOCK = Sql("UPDATE journal_head SET position = position + :n WHERE id = 1 RETURNING position, root")
_ROOT = Sql("UPDATE journal_head SET root = :root WHERE id = 1")
_COLUMNS = ("position", "time", "account", "region", "category", "record")


def extend(root: bytes, record: bytes) -> bytes:
    """The running hash after one more record: SHA-256(root || SHA-256(0x00 || record))."""
    return sha256(root + sha256(b"\0" + record).digest()).digest()


def append(tx: Tx, calls: Iterable[tuple[Sequence[Fresh], Later]]) -> int:
    """Gives every record of a batch its position, in order, with its lists beside it, and runs what waited for it. Returns the
    newest position.

    `calls` holds, per call, its records (usually one; two when another account is concerned; none for a borrowed turn)
    and the statements that want the first one's position. MUST be the last thing in the transaction before COMMIT.
    """
    batch = list(calls)
    count = sum(len(records) for records, _ in batch)
    row = tx.one(_LOCK, n=count)
    assert row is not None, "the first migration inserts the head"
    newest, root = int(row[0]), bytes(row[1])
    position = newest - count
    rows: list[tuple[Value, ...]] = []
    lists: list[dict[str, Value]] = []
    for records, later in batch:
        for statement, values in later:
            tx.run(statement, position=position + 1, **values)
        for fresh in records:
            position += 1
            time, account, region, category, record, disclosed = fresh
            root = extend(root, record)
            rows.append((position, time, account, region, category, record))
            if disclosed:
                lists += disclosures.rows(position, disclosed)
    if rows:
        tx.run(_ROOT, root=root)
        tx.load("journal", _COLUMNS, rows)
    if lists:
        tx.many(disclosures.INSERT, lists)
    return newest
