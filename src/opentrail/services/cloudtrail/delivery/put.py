"""Put and done: each planned file is rebuilt, put into its bucket, and marked; as often as it takes, each bucket of a trail by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from opentrail.calls.tools import Calls
from opentrail.journal.read import records_of
from opentrail.kernel import arn
from opentrail.kernel.ambient import Clock
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import service_principal
from opentrail.record.schema import view
from opentrail.services.cloudtrail.delivery import files, store
from opentrail.services.cloudtrail.delivery.files import Packed
from opentrail.services.cloudtrail.delivery.store import LogFile
from opentrail.services.cloudtrail.delivery.trails import Trails
from opentrail.store.database import Database
from opentrail.store.sql import Snapshot, Tx
from opentrail.work.backoff import Backoff, Chance
from opentrail.work.lease import Lease
from opentrail.work.runner import attempt, described

log = logging.getLogger("opentrail.cloudtrail.delivery")

SERVICE = "cloudtrail.amazonaws.com"

Id = tuple[str | int, ...]
"""The key of a parcel's row."""

Queue = tuple[str, str]
"""A trail, and the bucket to which its parcels go; without one, all of them wait in one row, whatever their bucket."""

_LONGEST_WAIT = 60.0
_AT_A_TIME = 16
_PAGE = 1_000


class Stopped(Exception):
    """What was planned cannot be put any more, and trying again would not help. The text says why, in words of ours."""


class Parcel(NamedTuple):
    """One object to put; `body` as it is stored: one gzip member."""

    trail: str
    bucket: str
    object_key: str
    body: bytes
    metadata: Mapping[str, str]


class Shelf(Protocol):
    """Where parcels of one kind wait, in order."""

    kind: str

    def queues(self, snapshot: Snapshot) -> list[Queue]:
        """Those in which something waits."""

    def next(self, snapshot: Snapshot, queue: Queue, count: int) -> Sequence[Id]:
        """What to put next from the queue: row keys, at most `count`, in the order in which they MUST be put."""

    def parcel(self, own: Snapshot, id: Id) -> Parcel:
        """Builds one; the same bytes every time. Raises Stopped."""

    def done(self, tx: Tx, id: Id, at: float) -> None:
        """Marks it as delivered."""


class Putting:
    """The task that puts what waits on a shelf.

    A queue whose parcel fails waits by itself, longer after each failure; the others go on: a bucket that is gone holds up neither
    another trail nor the bucket to which its own trail has moved. The failure stays in the trail's status until the next success.
    `interval` is the time between two plans, in seconds: a look at what they left comes ten times as often.
    """

    def __init__(self, shelf: Shelf, calls: Calls, clock: Clock, chance: Chance, interval: float) -> None:
        self.name = f"{shelf.kind} put"
        self.every = min(1.0, interval / 10)
        self._shelf = shelf
        self._calls = calls
        self._clock = clock
        self._chance = chance
        self._waits: dict[Queue, Backoff] = {}
        self._not_before: dict[Queue, float] = {}

    def step(self, lease: Lease) -> bool:
        """Puts the next parcels of every queue that does not wait. True when a queue may have more."""
        with lease.database.read() as snapshot:
            queues = [queue for queue in self._shelf.queues(snapshot) if self._may_try(snapshot, queue)]
            parcels = {queue: self._shelf.next(snapshot, queue, _AT_A_TIME) for queue in queues}
        more = False
        for queue, ids in parcels.items():
            delivered = 0
            for id in ids:
                error = attempt(lambda id=id: self._put(lease, id))  # type: ignore[misc]
                if error is not None:
                    self._failed(lease, queue, error)
                    break
                self._waits.pop(queue, None)
                self._not_before.pop(queue, None)
                delivered += 1
            more = more or delivered == _AT_A_TIME
        return more

    def _may_try(self, snapshot: Snapshot, queue: Queue) -> bool:
        if self._clock.monotonic() < self._not_before.get(queue, 0.0):
            return False
        return not store.status(snapshot, queue[0], self._shelf.kind).stopped

    def _put(self, lease: Lease, id: Id) -> None:
        with lease.database.read() as snapshot:
            parcel = self._shelf.parcel(snapshot, id)
        put_object(self._calls, parcel)
        now = self._clock.now()
        with lease.write() as tx:
            self._shelf.done(tx, id, now)
            store.succeeded(tx, parcel.trail, self._shelf.kind, now)

    def _failed(self, lease: Lease, queue: Queue, error: Exception) -> None:
        trail, _ = queue
        code = error.code if isinstance(error, ServiceError) else type(error).__name__
        stopped = str(error) if isinstance(error, Stopped) else ""
        wait = self._waits.setdefault(queue, Backoff(self._chance, most=_LONGEST_WAIT)).next()
        self._not_before[queue] = self._clock.monotonic() + wait
        log.warning("%s of %s: %s", self.name, trail, stopped or described(error))
        with lease.write() as tx:
            store.failed(tx, trail, self._shelf.kind, self._clock.now(), code, stopped)


def put_object(calls: Calls, parcel: Parcel) -> None:
    """Puts it as the CloudTrail service working for the trail. Raises ServiceError."""
    trail = arn.parse(parcel.trail)
    assert trail is not None, "trails are named by their ARN"
    calls.make(
        service_principal(SERVICE, trail.account, parcel.trail),
        trail.region,
        "s3",
        "PutObject",
        {
            "Bucket": parcel.bucket,
            "Key": parcel.object_key,
            "ACL": "bucket-owner-full-control",
            "ContentType": "application/json",
            "ContentEncoding": "gzip",
            "Metadata": dict(parcel.metadata),
        },
        parcel.body,
    )


class LogFiles:
    """The shelf of log files. `main` is the database of the journal."""

    kind = "log"

    def __init__(self, main: Database) -> None:
        self._main = main
        self._trails = Trails()

    def queues(self, snapshot: Snapshot) -> list[Queue]:
        return store.queues(snapshot)

    def next(self, snapshot: Snapshot, queue: Queue, count: int) -> Sequence[Id]:
        return [(file.object_key,) for file in store.waiting(snapshot, *queue, count)]

    def parcel(self, own: Snapshot, id: Id) -> Parcel:
        file = store.get(own, str(id[0]))
        with self._main.read() as main:
            self._trails.refresh(main)
            packed = rebuilt(main, self._trails, file)
        if packed is None:
            raise Stopped(f"the journal no longer gives the planned bytes of {file.object_key}")
        return Parcel(file.trail, file.bucket, file.object_key, packed.body, {})

    def done(self, tx: Tx, id: Id, at: float) -> None:
        store.done(tx, str(id[0]), at)


def rebuilt(main: Snapshot, trails: Trails, file: LogFile) -> Packed | None:
    """The planned file, from the journal and the trail as it was at each position; None when the journal gives other bytes.

    Most files hold every record of their account and region in their range. That is tried first, without judging each
    record again: the planned hash tells whether it is so.
    """
    for pages in (_in_range(main, file), _selected(main, trails, file)):
        packer = files.Packer()
        for page in pages:
            packer.add([record for _, record in page])
        packed = packer.close()
        if packed.sha256 == file.sha256:
            return packed
    return None


def _in_range(main: Snapshot, file: LogFile) -> Iterator[list[tuple[int, bytes]]]:
    """The records of the file's account and region in its range, page by page."""
    position = file.first_position - 1
    while page := records_of(main, file.account, file.region, position, file.last_position, _PAGE):
        yield page
        position = page[-1][0]


def _selected(main: Snapshot, trails: Trails, file: LogFile) -> Iterator[list[tuple[int, bytes]]]:
    """Those of them that the trail put into this bucket under this prefix."""

    def belongs(position: int, record: bytes) -> bool:
        span = trails.of(file.trail, position)
        taker = span.taker(position, file.account, file.region, view(record)) if span else None
        return taker is not None and (taker.trail.bucket, taker.trail.prefix) == (file.bucket, file.prefix)

    for page in _in_range(main, file):
        yield [entry for entry in page if belongs(*entry)]
