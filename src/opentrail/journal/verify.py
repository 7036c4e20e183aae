"""Verifies the journal against its head: dense positions and the running hash, from the oldest record kept to the newest, and
the lists beside the records against the hashes that the records carry."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from opentrail.journal import disclosures
from opentrail.journal.append import extend
from opentrail.journal.read import DATA, Entry, after, head
from opentrail.kernel.ambient import stamp
from opentrail.record.schema import view
from opentrail.store.sql import Snapshot

_PAGE = 1_000


class Verdict(NamedTuple):
    """`records` were read up to `position`. `why` is empty when all is well; else `bad` is the first bad position."""

    records: int
    position: int
    root: bytes
    bad: int | None = None
    why: str = ""


def _labelled(entry: Entry) -> bool:
    """Whether the columns say what the record says: the hash covers the record alone."""
    try:
        seen = view(entry.record)
    except msgspec.DecodeError:
        return False
    labels = (stamp(entry.time), entry.account, entry.region, entry.category == DATA)
    return labels == (seen.eventTime, seen.recipientAccountId, seen.awsRegion, seen.eventCategory == "Data")


def verify(snapshot: Snapshot) -> Verdict:
    """Recomputes the running hash: root' = SHA-256(root || SHA-256(0x00 || record)), from the hash before the oldest record.

    A hole is named by the missing position. A changed record cannot be told from its neighbours by the hash alone: the head
    then does not fit, and the whole range is named by its first position. `checkpoint` narrows it down.
    """
    return checkpoint(snapshot, {})


def checkpoint(snapshot: Snapshot, roots: dict[int, bytes]) -> Verdict:
    """`verify`, with running hashes kept elsewhere by position: a change is then named by the first position after the last
    checkpoint that still fits."""
    top = head(snapshot)
    root, position, fits = bytes(top.first_root), top.first - 1, top.first - 1
    odd = disclosures.fault(snapshot, (), -(2**62), top.first - 1) or disclosures.fault(snapshot, (), top.position + 1, 2**62)
    if odd is not None:
        return Verdict(0, position, root, *odd)
    while position < top.position:
        page = after(snapshot, position, _PAGE, top.position)
        if not page:
            return Verdict(position - top.first + 1, position, root, position + 1, "the newest records are missing")
        for entry in page:
            if entry.position != position + 1:
                return Verdict(position - top.first + 1, position, root, position + 1, "a position is missing")
            root = extend(root, entry.record)
            position = entry.position
            if not _labelled(entry):
                return Verdict(position - top.first + 1, position, root, position, "time, account, region or category are not the record's")
            if position in roots:
                if roots[position] != root:
                    return Verdict(position - top.first + 1, position, root, fits + 1, f"a record up to {position} was changed")
                fits = position
        odd = disclosures.fault(snapshot, [(entry.position, entry.record) for entry in page], page[0].position, position)
        if odd is not None:
            return Verdict(position - top.first + 1, position, root, *odd)
    if after(snapshot, top.position, 1):
        return Verdict(position - top.first + 1, position, root, top.position + 1, "records lie after the head")
    if root != bytes(top.root):
        return Verdict(position - top.first + 1, position, root, fits + 1, "the running hash does not fit: a record was changed")
    return Verdict(position - top.first + 1, position, root)
