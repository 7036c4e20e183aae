"""Which trail wants which record: every trail as it was at every position.

A call that changes a trail is judged by the trail as it was before, so that the calls that narrow, move, stop or delete a trail lie
where it delivered until then; where that does not want the record, by the trail as it is from then on, so that the calls that
start or widen it are in its files too. A record goes to one place.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentrail.journal.read import Entry
from opentrail.record.schema import View
from opentrail.record.selectors import Matches
from opentrail.services.cloudtrail.delivery.files import root
from opentrail.services.cloudtrail.versions import TrailConfiguration, TrailVersion, trails_as_of
from opentrail.store.sql import Snapshot

FOREVER = 2**62
"""A position after every position."""

SOURCE = "cloudtrail.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Span:
    """A trail between two of its changes: it holds for positions from `start` up to, not including, `end`. The record at `start`,
    of the call that made it so, goes to `before` if that wants it: the span until then, if the trail was logging."""

    start: int
    end: int
    trail: TrailConfiguration
    logging: bool
    validated: bool
    wants: Matches
    own: tuple[str, ...]
    """What the ARNs of all objects start with that the trail itself has put so far."""
    before: Span | None = field(default=None, repr=False, compare=False)

    def taker(self, position: int, account: str, region: str, view: View) -> Span | None:
        """By which span the record at the position, which lies in this one, goes into the trail's log files; None if by none."""
        if position == self.start and self.before is not None and self.before.selects(account, region, view):
            return self.before
        return self if self.logging and self.selects(account, region, view) else None

    def selects(self, account: str, region: str, view: View) -> bool:
        """Whether the trail, as it is in this span, wants the record in its log files.

        A trail never delivers the records of its own deliveries: a PutObject made by CloudTrail of an object below a place
        (bucket, prefix, account) that the trail delivers to or has delivered to. Trails that share the place share the rule;
        otherwise each flush would make the next one's record.
        """
        if not self.trail.covers(account, region, view.eventSource) or not self.wants(view):
            return False
        return not (is_delivery(view) and any(resource.ARN.startswith(self.own) for resource in view.resources))


def is_delivery(view: View) -> bool:
    """Whether CloudTrail made the call to put an object."""
    return view.userIdentity.invokedBy == SOURCE and view.eventName == "PutObject" and view.eventSource == "s3.amazonaws.com"


class Trails:
    """Every span of every trail. `refresh` learns new changes; belongs to one thread."""

    def __init__(self) -> None:
        self._versions: dict[str, list[TrailVersion]] = {}
        self._spans: dict[str, list[Span]] = {}
        self._known = 0

    def refresh(self, snapshot: Snapshot) -> None:
        """Reads what changed since. A snapshot that shows an entry shows every change up to its position."""
        fresh = trails_as_of(snapshot, self._known)
        for version in fresh:
            self._versions.setdefault(version.trail.arn, []).append(version)
            self._known = version.from_position
        for arn in {version.trail.arn for version in fresh}:
            self._spans[arn] = spans(self._versions[arn])

    def of(self, arn: str, position: int) -> Span | None:
        """The span of one trail in which the position lies; None before the first one."""
        spans = self._spans.get(arn, [])
        place = _place(spans, position)
        return spans[place] if place >= 0 else None

    def all(self) -> Iterator[tuple[str, list[Span]]]:
        """Every trail with its spans, by ARN."""
        return iter(sorted(self._spans.items()))

    def at(self, position: int) -> tuple[list[Span], int]:
        """The spans of the trails that may take the record at a position, and the position at which the answer may change."""
        found: list[Span] = []
        until = FOREVER
        for _, trail in self.all():
            place = _place(trail, position)
            if place < 0:
                until = min(until, trail[0].start)
                continue
            span = trail[place]
            stopping = span.start == position and span.before is not None and not span.logging
            until = min(until, position + 1 if stopping else span.end)
            if span.logging or stopping:
                found.append(span)
        return found, until


def _place(spans: list[Span], position: int) -> int:
    """Which of a trail's spans the position lies in; -1 before the first one."""
    return bisect.bisect_right(spans, position, key=lambda span: span.start) - 1


def spans(versions: list[TrailVersion]) -> list[Span]:
    """The versions of one trail, in order, as spans. Several versions at one position: the last one counts."""
    found: list[Span] = []
    own: dict[str, None] = {}
    for place, version in enumerate(versions):
        trail = version.trail
        own[f"arn:aws:s3:::{trail.bucket}/{root(trail.prefix, trail.account)}CloudTrail"] = None
        end = versions[place + 1].from_position if place + 1 < len(versions) else FOREVER
        if end == version.from_position:
            continue
        logging = trail.logging and not version.deleted
        before = found[-1] if found and found[-1].logging else None
        validated = logging and trail.log_file_validation
        found.append(Span(version.from_position, end, trail, logging, validated, trail.matches(), tuple(own), before))
    return found


class Segments:
    """Walks the journal forwards and tells the trails that may take the record at each position."""

    def __init__(self, trails: Trails) -> None:
        self._trails = trails
        self._until = 0
        self._by_account: dict[str, list[Span]] = {}

    def at(self, entry: Entry) -> list[Span]:
        """The trails of the entry's account, as of its position. Positions MUST grow from one question to the next."""
        if entry.position >= self._until:
            found, self._until = self._trails.at(entry.position)
            self._by_account = {}
            for span in found:
                self._by_account.setdefault(span.trail.account, []).append(span)
        return self._by_account.get(entry.account, [])
