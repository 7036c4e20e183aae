"""CloudTrail's statements on trails. Changes of an account's trails take turns, on several lanes too."""

from __future__ import annotations

from opentrail.services.cloudtrail import versions
from opentrail.services.cloudtrail.versions import TrailConfiguration
from opentrail.services.common import tags
from opentrail.store.sql import Snapshot, Sql, Tx

_TURN = Sql("INSERT INTO trail_turn (account, taken) VALUES (:account, 1) ON CONFLICT (account) DO UPDATE SET taken = trail_turn.taken + 1")
_BY_ARN = Sql("SELECT configuration FROM trail WHERE arn = :arn", settled=True)
_OF_ACCOUNT = Sql("SELECT configuration FROM trail WHERE account = :account ORDER BY name, home_region", settled=True)
_PUT = Sql(
    "INSERT INTO trail (arn, account, home_region, name, configuration) VALUES (:arn, :account, :home_region, :name, :configuration)"
    " ON CONFLICT (arn) DO UPDATE SET configuration = excluded.configuration",
    settled=True,
)
_DELETE = Sql("DELETE FROM trail WHERE arn = :arn", settled=True)


def take_turn(tx: Tx, account: str) -> None:
    """From here to the end of the batch no other lane changes trails of the account."""
    tx.run(_TURN, account=account)


def find(snapshot: Snapshot, arn: str) -> TrailConfiguration | None:
    """The trail with this ARN."""
    row = snapshot.one(_BY_ARN, arn=arn)
    return None if row is None else versions.decode(row[0])


def of_account(snapshot: Snapshot, account: str) -> list[TrailConfiguration]:
    """Every trail of an account, in whatever region, by name."""
    return [versions.decode(row[0]) for row in snapshot.all(_OF_ACCOUNT, account=account)]


def put(tx: Tx, trail: TrailConfiguration) -> None:
    """Stores a new or changed trail, and what it is from the position of this call's record on."""
    configuration = versions.encode(trail)
    tx.run(_PUT, arn=trail.arn, account=trail.account, home_region=trail.home_region, name=trail.name, configuration=configuration)
    versions.add(tx, trail)


def delete(tx: Tx, trail: TrailConfiguration) -> None:
    """Removes the trail and its tags; its versions stay."""
    tx.run(_DELETE, arn=trail.arn)
    tags.clear(tx, trail.arn)
    versions.add(tx, trail, deleted=True)
