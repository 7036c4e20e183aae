"""What each trail was at each position of the journal. Delivery judges a record by the trails as of the record's position; see
`delivery.trails` for the records of the calls that change a trail."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from opentrail.record import selectors
from opentrail.record.selectors import AdvancedEventSelector, EventSelector
from opentrail.store.sql import Snapshot, Sql, Tx

GLOBAL_SOURCES = frozenset({"iam.amazonaws.com", "sts.amazonaws.com", "cloudfront.amazonaws.com"})
"""Event sources of global services (CloudTrail user guide, "Global service events")."""


class TrailConfiguration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trail with all its settings. `created`, `started` and `stopped` are seconds since 1970 (None: never)."""

    name: str
    arn: str
    account: str
    home_region: str
    bucket: str
    prefix: str = ""
    multi_region: bool = False
    global_events: bool = True
    log_file_validation: bool = False
    created: float
    logging: bool = False
    started: float | None = None
    stopped: float | None = None
    event_selectors: tuple[EventSelector, ...] = selectors.DEFAULT
    advanced_event_selectors: tuple[AdvancedEventSelector, ...] = ()
    custom_selectors: bool = False
    """Whether PutEventSelectors was ever called."""

    def covers(self, account: str, region: str, event_source: str) -> bool:
        """Whether records of this account, region and source can belong to the trail (its selectors decide further).

        Global services' records carry us-east-1 as their region; a trail may leave them out by IncludeGlobalServiceEvents.
        """
        if account != self.account or not (self.multi_region or region == self.home_region):
            return False
        return self.global_events or event_source not in GLOBAL_SOURCES

    def matches(self) -> selectors.Matches:
        """The compiled selectors."""
        return selectors.compile(self.event_selectors, self.advanced_event_selectors)


class TrailVersion(NamedTuple):
    """A trail from a position on: that of the record of the call which made the trail so."""

    from_position: int
    version: int
    deleted: bool
    trail: TrailConfiguration


_ALL = Sql(
    "SELECT from_position, version, deleted, configuration FROM trail_version"
    " WHERE from_position IS NOT NULL AND from_position > :after ORDER BY from_position, trail_arn, version"
)
_NEXT = Sql("SELECT COALESCE(MAX(version), 0) + 1 FROM trail_version WHERE trail_arn = :arn")
_INSERT = Sql(
    "INSERT INTO trail_version (trail_arn, version, from_position, account, home_region, configuration, logging, deleted)"
    " VALUES (:arn, :version, NULL, :account, :home_region, :configuration, :logging, :deleted)"
)
_PLACE = Sql("UPDATE trail_version SET from_position = :position WHERE trail_arn = :arn AND version = :version")

_decoder = msgspec.json.Decoder(TrailConfiguration)


def decode(text: str | bytes) -> TrailConfiguration:
    """The configuration in its stored form."""
    return _decoder.decode(text)


def encode(trail: TrailConfiguration) -> str:
    """The stored form: JSON text."""
    return msgspec.json.encode(trail).decode()


def trails_as_of(snapshot: Snapshot, after: int = 0) -> list[TrailVersion]:
    """Every version of every trail whose `from_position` is greater than `after`, ordered by position.

    The trail that holds at position p is, per ARN, the last version with from_position <= p; none if that one is deleted.
    Followers keep the list and ask for what is newer than they know.
    """
    return [TrailVersion(row[0], row[1], bool(row[2]), decode(row[3])) for row in snapshot.all(_ALL, after=after)]


def add(tx: Tx, trail: TrailConfiguration, deleted: bool = False) -> None:
    """Keeps what the trail is from the position of the present call's record on."""
    row = tx.one(_NEXT, arn=trail.arn)
    assert row is not None, "an aggregate has a row"
    tx.run(
        _INSERT,
        arn=trail.arn,
        version=row[0],
        account=trail.account,
        home_region=trail.home_region,
        configuration=encode(trail),
        logging=int(trail.logging),
        deleted=int(deleted),
    )
    tx.with_position(_PLACE, arn=trail.arn, version=row[0])
