"""Followers: consumers of the journal, each with its own position, which moves in the transaction of its output or plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opentrail.journal.read import Entry, after
from opentrail.store.database import Database
from opentrail.store.sql import Snapshot, Tx
from opentrail.work.lease import Lease

_PAGE = 1_000

Entries = Sequence[Entry]
Gather = Callable[[Snapshot, Entries], tuple[int, Any]]
Prepare = Callable[[Any], Any]
Take = Callable[[Tx, Any], None]
Skip = Callable[[Snapshot, int], int]


def all_of_them(snapshot: Snapshot, entries: Entries) -> tuple[int, Entries]:
    """The `gather` of followers that need the entries alone."""
    return len(entries), entries


def as_gathered(gathered: Any) -> Any:
    """The `prepare` of followers that have nothing to compute beforehand."""
    return gathered


def nothing_skipped(snapshot: Snapshot, position: int) -> int:
    """The `skip` of followers whom every entry concerns."""
    return position


@dataclass(frozen=True, slots=True)
class Follower:
    """What a follower does with a batch of entries, which is never empty and whose positions are dense.

    `skip` says up to which position no entry behind the given one concerns the follower: these are not even read.
    `gather` reads, in the view in which the entries were read, what else is needed of the journal's database; it says how many
    of the entries the batch takes (at least one) and what `prepare` gets: by default the entries.
    `prepare` computes outside of any transaction, writes nothing and may be thrown away. `take` writes what came of it, in
    the transaction of the follower's own database that also moves its position; it is short and may be run again.
    """

    name: str
    take: Take
    prepare: Prepare = as_gathered
    gather: Gather = all_of_them
    skip: Skip = nothing_skipped
    every: float = 0.1
    """Seconds between two looks at the journal when there is nothing more to take."""
    most_entries: int = 5_000
    most_bytes: int = 8 * 1024 * 1024
    """Bounds of one batch; a single page of entries may pass the second."""


class Following:
    """The task that runs a follower: one batch a step. `main` is the database of the journal."""

    def __init__(self, follower: Follower, main: Database) -> None:
        self._follower = follower
        self._main = main
        self.name = follower.name
        self.every = follower.every

    def step(self, lease: Lease) -> bool:
        """Takes the next batch. True when more may wait. Raises LeaseLost, and whatever the follower raises."""
        follower = self._follower
        origin = lease.position()
        with self._main.read() as snapshot:
            start = follower.skip(snapshot, origin)
            entries, full = batch(snapshot, start, follower.most_entries, follower.most_bytes)
            taken, gathered = follower.gather(snapshot, entries) if entries else (0, None)
        if not entries:
            if start > origin:
                with lease.write() as tx:
                    lease.move(tx, origin, start)
            return False
        prepared = follower.prepare(gathered)
        with lease.write() as tx:
            follower.take(tx, prepared)
            lease.move(tx, origin, entries[taken - 1].position)
        return full or taken < len(entries)


def batch(snapshot: Snapshot, position: int, most_entries: int, most_bytes: int) -> tuple[list[Entry], bool]:
    """The entries after `position` up to the bounds, and whether a bound ended them."""
    entries: list[Entry] = []
    size = 0
    while len(entries) < most_entries and size < most_bytes:
        page = after(snapshot, entries[-1].position if entries else position, min(_PAGE, most_entries - len(entries)))
        if not page:
            return entries, False
        entries += page
        size += sum(len(entry.record) for entry in page)
    return entries, True
