"""Plan: decides which records form which file, in one transaction with the follower's position. After that a file never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from opentrail.journal.read import Entry, head
from opentrail.kernel.ambient import Clock
from opentrail.record.schema import view
from opentrail.services.cloudtrail.delivery import files, store
from opentrail.services.cloudtrail.delivery.store import LogFile
from opentrail.services.cloudtrail.delivery.trails import Segments, Trails
from opentrail.services.cloudtrail.digests import chains
from opentrail.services.cloudtrail.digests.chains import Change
from opentrail.services.cloudtrail.versions import TrailConfiguration
from opentrail.store.database import Database
from opentrail.store.sql import Snapshot, Tx
from opentrail.work.follower import Follower

NAME = "delivery"

_FRAME = len(files.OPEN) + len(files.CLOSE) - len(files.SEPARATOR)
_HASHED_AT_ONCE = 64
_BATCH_ENTRIES = 200_000
_BATCH_BYTES = 48_000_000


class Plan(NamedTuple):
    """What came of a batch: files, and changes of what digests cover."""

    files: list[LogFile]
    changes: list[Change]


@dataclass(slots=True)
class _Draft:
    """A file while its records are gathered."""

    trail: TrailConfiguration
    region: str
    first: int
    last: int = 0
    size: int = _FRAME
    records: int = 0
    oldest: int = 2**62
    newest: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    waiting: list[bytes] = field(default_factory=list)

    def fits(self, entry: Entry) -> bool:
        return self.size + len(entry.record) + len(files.SEPARATOR) <= files.LARGEST

    def add(self, entry: Entry) -> None:
        self.waiting.append(entry.record)
        self.size += len(entry.record) + len(files.SEPARATOR)
        self.last = entry.position
        if entry.time < self.oldest:
            self.oldest = entry.time
        if entry.time > self.newest:
            self.newest = entry.time
        if len(self.waiting) == _HASHED_AT_ONCE:
            self.hash_waiting()

    def hash_waiting(self) -> None:
        """Hashes what was gathered, in one piece: a call of the hash for each record would cost as much as the hash."""
        if self.waiting:
            self.hash.update((files.SEPARATOR if self.records else files.OPEN) + files.SEPARATOR.join(self.waiting))
            self.records += len(self.waiting)
            self.waiting.clear()

    def planned(self, installation: str, now: float) -> LogFile:
        trail = self.trail
        self.hash_waiting()
        self.hash.update(files.CLOSE)
        stamp = files.stamp_of(now)
        name = files.unique_name(installation, trail.arn, self.region, self.first)
        return LogFile(
            object_key=files.object_key(trail.prefix, trail.account, self.region, stamp, name),
            trail=trail.arn,
            account=trail.account,
            region=self.region,
            bucket=trail.bucket,
            prefix=trail.prefix,
            first_position=self.first,
            last_position=self.last,
            stamp=stamp,
            size=self.size,
            sha256=self.hash.hexdigest(),
            records=self.records,
            oldest=self.oldest,
            newest=self.newest,
            planned=now,
        )


def planned(trails: Trails, entries: Sequence[Entry], installation: str, now: float) -> list[LogFile]:
    """The files of a batch: one per trail, account, region and place, several where one would be too large."""
    segments = Segments(trails)
    open_drafts: dict[tuple[str, str, str, str], _Draft] = {}
    drafts: list[_Draft] = []
    for entry in entries:
        spans = segments.at(entry)
        if not spans:
            continue
        seen = view(entry.record)
        for span in spans:
            taker = span.taker(entry.position, entry.account, entry.region, seen)
            if taker is None:
                continue
            trail = taker.trail
            key = (trail.arn, entry.region, trail.bucket, trail.prefix)
            draft = open_drafts.get(key)
            if draft is None or not draft.fits(entry):
                draft = open_drafts[key] = _Draft(trail, entry.region, entry.position)
                drafts.append(draft)
            draft.add(entry)
    return [draft.planned(installation, now) for draft in drafts]


class Planning:
    """The follower's two halves. `installation` is this installation's id, part of every file's name."""

    def __init__(self, main: Database, installation: str, clock: Clock) -> None:
        self._main = main
        self._installation = installation
        self._clock = clock
        self._trails = Trails()

    def skip(self, snapshot: Snapshot, position: int) -> int:
        """The last position before one that a trail may want, or at which one changes."""
        self._trails.refresh(snapshot)
        wanting, until = self._trails.at(position + 1)
        return position if wanting else max(position, min(until - 1, head(snapshot).position))

    def prepare(self, entries: Sequence[Entry]) -> Plan:
        """Computes a batch's files."""
        with self._main.read() as snapshot:
            self._trails.refresh(snapshot)
        made = planned(self._trails, entries, self._installation, self._clock.now())
        return Plan(made, chains.changes(self._trails, entries, made))

    def take(self, tx: Tx, plan: Plan) -> None:
        """Writes them."""
        store.plan(tx, plan.files)
        chains.keep(tx, plan.changes)


def follower(main: Database, installation: str, clock: Clock, flush_interval: float) -> Follower:
    """The follower that plans log files every `flush_interval` seconds; a little earlier, for the time that putting takes."""
    planning = Planning(main, installation, clock)
    return Follower(
        NAME,
        take=planning.take,
        skip=planning.skip,
        prepare=planning.prepare,
        every=flush_interval * 0.9,
        most_entries=_BATCH_ENTRIES,
        most_bytes=_BATCH_BYTES,
    )
