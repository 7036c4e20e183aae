"""Disclosures: the lists of a record's additionalEventData that are too long for it, whole, in rows beside the journal.

A list is shown in the record as {"count", "items"}, and when it does not fit as {"count", "items" (its beginning), "sha256"}
with, for names of resources, "under": what stands before them in an ARN. The rows of the list are written in the transaction
of its record and pruned with it. The record carries the hash of the list and the journal's running hash covers the record, so
that a row that was changed, removed or added is found by verifying both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from opentrail.store.sql import Snapshot, Sql, Tx, Value

LIST_BYTES = 6 * 1024
"""Room of one list in additionalEventData, which may have 28 KB in all: of four lists and what else a call says."""

LIST_ITEMS = 500
"""Items of one list in additionalEventData at most: fewer than the resources that a record names."""

PART = 256 * 1024
"""Bytes of a list in one row at most."""


class Disclosed(NamedTuple):
    """A list that is too long for its record: `name` is the list's in additionalEventData, `text` every item followed by a
    line feed."""

    name: str
    text: bytes


class Claim(msgspec.Struct, frozen=True):
    """What a record says of a list that lies beside it. `under` is empty unless the items are names of resources."""

    count: int
    sha256: str
    under: str = ""


class _Claims(msgspec.Struct, frozen=True):
    additionalEventData: dict[str, Any] = {}


INSERT = Sql("INSERT INTO disclosure (position, name, part, items) VALUES (:position, :name, :part, :items)")
_LISTS = Sql("SELECT DISTINCT position, name FROM disclosure WHERE position >= :low AND position <= :high ORDER BY position, name")
_PART = Sql("SELECT items FROM disclosure WHERE position = :position AND name = :name AND part = :part")
_SIZES = Sql(
    "SELECT position, SUM(LENGTH(items)) FROM disclosure WHERE position >= :low AND position <= :high GROUP BY position ORDER BY position"
)
_REMOVE = Sql("DELETE FROM disclosure WHERE position < :first")
_decoder = msgspec.json.Decoder(_Claims)


def listed(items: Iterable[str], under: str = "", beside: bool = False) -> tuple[dict[str, Any], bytes]:
    """A list as its record shows it, and as text the whole list if it is to lie beside the record, else nothing: if it does not
    fit, or with `beside` in any case.

    No item holds a line feed; those of a list with `under` hold no slash either: `<under>/<item>` names a resource.
    """
    every = list(items)
    room, kept = LIST_BYTES, 0
    for item in every[:LIST_ITEMS]:
        room -= len(item if item.isascii() else item.encode()) + 3
        if room < 0:
            break
        kept += 1
    if kept == len(every) and not (beside and every):
        return {"count": kept, "items": every}, b""
    text = ("\n".join(every) + "\n").encode()
    shown = {"count": len(every), "items": every[:kept], "sha256": hashlib.sha256(text).hexdigest()}
    return {**shown, "under": under} if under else shown, text


def rows(position: int, disclosed: Iterable[Disclosed]) -> Iterator[dict[str, Value]]:
    """The rows of a record's lists, for `INSERT`."""
    for name, text in disclosed:
        for part, start in enumerate(range(0, len(text), PART)):
            yield {"position": position, "name": name, "part": part, "items": text[start : start + PART]}


def claims(record: bytes) -> dict[str, Claim]:
    """The lists that lie beside a record, by name."""
    if b'"sha256":"' not in record:
        return {}
    found = {}
    for name, value in _decoder.decode(record).additionalEventData.items():
        try:
            found[name] = msgspec.convert(value, Claim)
        except msgspec.ValidationError:
            continue  # something else that has a hash
    return found


def positions(snapshot: Snapshot, low: int, high: int) -> set[int]:
    """At which positions, of `low` to `high`, lists lie beside the record."""
    return {row[0] for row in snapshot.all(_LISTS, low=low, high=high)}


def text(snapshot: Snapshot, position: int, name: str) -> bytes:
    """A whole list, every item followed by a line feed; empty when there is none."""
    return b"".join(_parts(snapshot, position, name))


def items(snapshot: Snapshot, position: int, name: str) -> list[str]:
    """The items of a list."""
    return text(snapshot, position, name).decode().split("\n")[:-1]


def names(snapshot: Snapshot, position: int, record: bytes, value: str) -> bool:
    """Whether a list beside a record names the resource: by its ARN, by the ARN's last two parts or by its last part."""
    head, slash, item = value.rpartition("/")
    for name, claim in claims(record).items():
        if claim.under and (not slash or head in (claim.under, claim.under.rpartition("/")[2])):
            line = item.encode("utf-8", "surrogatepass") + b"\n"
            whole = text(snapshot, position, name)
            if whole.startswith(line) or b"\n" + line in whole:
                return True
    return False


def _parts(snapshot: Snapshot, position: int, name: str) -> Iterator[bytes]:
    part = 0
    while row := snapshot.one(_PART, position=position, name=name, part=part):
        yield bytes(row[0])
        part += 1


def fault(snapshot: Snapshot, records: Sequence[tuple[int, bytes]], low: int, high: int) -> tuple[int, str] | None:
    """The first position and reason why the lists at positions `low` to `high` are not those of the records there, if any."""
    claimed = {(position, name): claim for position, record in records for name, claim in claims(record).items()}
    there = [(row[0], row[1]) for row in snapshot.all(_LISTS, low=low, high=high)]
    for position, name in sorted({*claimed, *there}):
        claim = claimed.get((position, name))
        if claim is None:
            return position, f"a list {name} lies beside the record, which has none"
        why = _difference(claim, _parts(snapshot, position, name))
        if why:
            return position, f"the list {name} beside the record {why}"
    return None


def _difference(claim: Claim, parts: Iterator[bytes]) -> str:
    hashed, count, some = hashlib.sha256(), 0, False
    for part in parts:
        hashed.update(part)
        count += part.count(b"\n")
        some = True
    if not some:
        return "is missing"
    return "" if (hashed.hexdigest(), count) == (claim.sha256, claim.count) else "was changed"


def fitting(tx: Tx, low: int, high: int, most: int) -> int:
    """The last position up to `high` so that the lists from `low` on have at most so many bytes, or those of one record."""
    total = 0
    for position, size in tx.all(_SIZES, low=low, high=high):
        total += int(size)
        if total > most:
            return max(low, int(position) - 1)
    return high


def remove(tx: Tx, first: int) -> None:
    """Removes the lists of records before position `first`."""
    tx.run(_REMOVE, first=first)
