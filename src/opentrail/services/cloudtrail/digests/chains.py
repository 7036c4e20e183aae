"""When a trail's digests begin and end: from its changes by position, in the same transaction that plans its files.

A chain covers the time in which a trail logs with file validation on. The home region has it from the start, another
region from its first record on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opentrail.journal.read import Entry
from opentrail.services.cloudtrail.delivery.store import LogFile
from opentrail.services.cloudtrail.delivery.trails import FOREVER, Span, Trails
from opentrail.store.sql import Snapshot, Sql, Tx, Value


class Chain(NamedTuple):
    """A row of `digest_chain`; see `delivery.tables`."""

    trail: str
    region: str
    on_position: int
    on_time: int
    off_position: int
    bucket: str
    prefix: str

    @property
    def on(self) -> bool:
        """Whether it has not ended yet."""
        return self.off_position == FOREVER


class Change(NamedTuple):
    """A statement and its values."""

    statement: Sql
    values: dict[str, Value]


class _Interval(NamedTuple):
    """Neighbouring spans in which digests are made, from the position `on` on. `off` is the position of the call that ended it, whose
    own record is still the interval's."""

    on: int
    off: int
    spans: list[Span]


_BEGIN = Sql(
    "INSERT INTO digest_chain (trail, region, on_position, on_time, off_position, bucket, prefix, closed)"
    " VALUES (:trail, :region, :on_position, :on_time, :forever, :bucket, :prefix, 0) ON CONFLICT (trail, region, on_position) DO NOTHING"
)
_MOVE = Sql("UPDATE digest_chain SET bucket = :bucket, prefix = :prefix WHERE trail = :trail AND on_position = :on_position")
_END = Sql("UPDATE digest_chain SET off_position = :off_position WHERE trail = :trail AND on_position = :on_position")
_OPEN = Sql(
    "SELECT trail, region, on_position, on_time, off_position, bucket, prefix FROM digest_chain"
    " WHERE closed = 0 ORDER BY trail, region, on_position"
)
_CLOSE = Sql("UPDATE digest_chain SET closed = 1 WHERE trail = :trail AND region = :region AND on_position = :on_position")


def changes(trails: Trails, entries: Sequence[Entry], files: Sequence[LogFile]) -> list[Change]:
    """What a batch of entries, and the files planned of them, change."""
    found: list[Change] = []
    first, last = entries[0].position, entries[-1].position
    for arn, spans in trails.all():
        own = [file for file in files if file.trail == arn]
        for interval in _intervals(spans):
            if interval.on <= last and interval.off >= first:
                found += _of_interval(arn, interval, entries, own)
    return found


def _of_interval(arn: str, interval: _Interval, entries: Sequence[Entry], files: Sequence[LogFile]) -> Iterator[Change]:
    first, last = entries[0].position, entries[-1].position
    trail = [span for span in interval.spans if span.start <= last][-1].trail
    begun: dict[str, int] = {}
    if first <= interval.on:
        begun[trail.home_region] = entries[interval.on - first].time
    for file in files:
        if file.last_position >= interval.on and file.first_position <= interval.off:
            begun.setdefault(file.region, file.oldest)
    which: dict[str, Value] = {"trail": arn, "on_position": interval.on}
    place: dict[str, Value] = {"bucket": trail.bucket, "prefix": trail.prefix}
    for region, time in begun.items():
        yield Change(_BEGIN, {**which, **place, "region": region, "on_time": time, "forever": FOREVER})
    if any(first <= span.start <= last for span in interval.spans[1:]):
        yield Change(_MOVE, {**which, **place})
    if interval.off <= last:
        yield Change(_END, {**which, "off_position": interval.off + 1})


def _intervals(spans: list[Span]) -> Iterator[_Interval]:
    held: list[Span] = []
    for span in spans:
        if span.validated:
            held.append(span)
        elif held:
            yield _Interval(held[0].start, held[-1].end, held)
            held = []
    if held:
        yield _Interval(held[0].start, held[-1].end, held)


def keep(tx: Tx, made: Sequence[Change]) -> None:
    """Writes them."""
    for change in made:
        tx.run(change.statement, **change.values)


def open_chains(snapshot: Snapshot) -> list[Chain]:
    """The chains whose final digest is not planned, per trail and region the oldest one: the next waits for it."""
    oldest: dict[tuple[str, str], Chain] = {}
    for row in snapshot.all(_OPEN):
        chain = Chain(*row)
        oldest.setdefault((chain.trail, chain.region), chain)
    return list(oldest.values())


def close(tx: Tx, chain: Chain) -> None:
    """Keeps that the final digest is planned."""
    tx.run(_CLOSE, trail=chain.trail, region=chain.region, on_position=chain.on_position)
