"""Pruning the journal: the oldest records go with the lists beside them, and the running hash before the first one kept stays,
so that the rest still verifies."""

from __future__ import annotations

from opentrail.journal import disclosures
from opentrail.journal.append import extend
from opentrail.journal.read import after, head
from opentrail.store.sql import Sql, Tx

SLICE = 500
"""Records of one transaction: a few milliseconds, so that calls which wait behind it do not notice."""

LISTS = 4 * 1024 * 1024
"""Bytes of lists beside the records of one transaction at most, or those of one record."""

_REMOVE = Sql("DELETE FROM journal WHERE position < :first")
_MOVE = Sql("UPDATE journal_head SET first = :first, first_root = :root WHERE id = 1")


def prune(tx: Tx, upto: int, before: int, most: int = SLICE) -> int:
    """Removes up to `most` of the oldest records: those up to and including position `upto` that are older than `before`
    (seconds since 1970), as far as the first that is not. Returns how many.

    Positions stay dense: whatever follows a record that is kept is kept too.
    """
    top = head(tx)
    root, first = bytes(top.first_root), top.first
    last = disclosures.fitting(tx, first, min(upto, first + most), LISTS)
    for entry in after(tx, top.first - 1, most, last):
        if entry.time >= before:
            break
        root, first = extend(root, entry.record), entry.position + 1
    if first > top.first:
        tx.run(_REMOVE, first=first)
        disclosures.remove(tx, first)
        tx.run(_MOVE, first=first, root=root)
    return first - top.first
