"""Appending to the journal inside a batch's transaction: head locked last, positions dense, running hash carried on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from opentrail.journal import disclosures
from opentrail.journal.disclosures import Disclosed
from opentrail.store.sql import Sql, Tx, Value

EMPTY = bytes(32)
"""The running hash of an empty journal."""

_Head = tuple[int, bytes]
"""The newest position, and the running hash up to it."""


class Fresh(msgspec.Struct, frozen=True, gc=False):
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

_LOCK = Sql("UPDATE journal_head SET position = position WHERE id = 1 RETURNING position, root")
_MOVE = Sql("UPDATE journal_head SET position = :position, root = :root WHERE id = 1 AND position = :was AND root = :root_was")
_COLUMNS = ("position", "time", "account", "region", "category", "record")


def extend(root: bytes, record: bytes) -> bytes:
    """The running hash after one more record: SHA-256(root || SHA-256(0x00 || record))."""
    return sha256(root + sha256(b"\0" + record).digest()).digest()


class Appender:
    """Appends to the journal of one database. While nobody else does, it need not ask for the head: it is where it was left."""

    def __init__(self) -> None:
        self._left: _Head = (-1, EMPTY)
        self._alone = False

    def append(self, tx: Tx, calls: Iterable[tuple[Sequence[Fresh], Later]]) -> int:
        """Gives every record of a batch its position, in order, with its lists beside it, and runs what waited for it. Returns the
        newest position.

        `calls` holds, per call, its records (usually one; two when another account is concerned; none for a borrowed turn)
        and the statements that want the first one's position. MUST be the last thing in the transaction before COMMIT.
        """
        batch = list(calls)
        position = self._move(tx, [fresh.record for records, _ in batch for fresh in records])
        rows: list[tuple[Value, ...]] = []
        lists: list[dict[str, Value]] = []
        for records, later in batch:
            for statement, values in later:
                tx.run(statement, position=position + 1, **values)
            for fresh in records:
                position += 1
                rows.append((position, fresh.time, fresh.account, fresh.region, fresh.category, fresh.record))
                if fresh.disclosed:
                    lists += disclosures.rows(position, fresh.disclosed)
        if rows:
            tx.load("journal", _COLUMNS, rows)
        if lists:
            tx.many(disclosures.INSERT, lists)
        return position

    def _move(self, tx: Tx, records: Sequence[bytes]) -> int:
        """Moves the head over the records and keeps it locked until the end of the transaction. The position before them."""
        was = self._left if self._alone else self._locked(tx)
        while True:
            position, root = was
            for record in records:
                root = extend(root, record)
            self._left = position + len(records), root
            if tx.run(_MOVE, position=self._left[0], root=root, was=position, root_was=was[1]):
                return position
            was = self._locked(tx)  # another lane appended, or a batch of ours was rolled back

    def _locked(self, tx: Tx) -> _Head:
        row = tx.one(_LOCK)
        assert row is not None, "the first migration inserts the head"
        found = int(row[0]), bytes(row[1])
        self._alone = found == self._left
        return found
