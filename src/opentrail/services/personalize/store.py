"""Personalize's SQL: resources by ARN and by kind."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx


class Resource(NamedTuple):
    """A resource's row; see tables.resource."""

    arn: str
    kind: str
    account: str
    region: str
    name: str
    domain: str | None
    status: str
    created: float
    updated: float
    body: str


_COLUMNS = "arn, kind, account, region, name, domain, status, created, updated, body"
_ONE = Sql(f"SELECT {_COLUMNS} FROM personalize_resource WHERE arn = :arn")
_PAGE = Sql(
    f"SELECT {_COLUMNS} FROM personalize_resource WHERE account = :account AND region = :region AND kind = :kind"
    " AND (created > :created OR (created = :created AND arn > :arn)) ORDER BY created, arn LIMIT :count"
)
_COUNT = Sql("SELECT COUNT(*) FROM personalize_resource WHERE account = :account AND region = :region AND kind = :kind")
_INSERT = Sql(
    f"INSERT INTO personalize_resource ({_COLUMNS})"
    " VALUES (:arn, :kind, :account, :region, :name, :domain, :status, :created, :updated, :body)"
)
_DELETE = Sql("DELETE FROM personalize_resource WHERE arn = :arn")


def one(snapshot: Snapshot, arn: str) -> Resource | None:
    """The resource with this ARN."""
    row = snapshot.one(_ONE, arn=arn)
    return Resource(*row) if row else None


def page(snapshot: Snapshot, account: str, region: str, kind: str, after: tuple[float, str], count: int) -> list[Resource]:
    """The next resources of a kind after a place (creation, ARN), oldest first."""
    rows = snapshot.all(_PAGE, account=account, region=region, kind=kind, created=after[0], arn=after[1], count=count)
    return [Resource(*row) for row in rows]


def count(snapshot: Snapshot, account: str, region: str, kind: str) -> int:
    """How many resources of a kind there are."""
    row = snapshot.one(_COUNT, account=account, region=region, kind=kind)
    return int(row[0]) if row else 0


def insert(tx: Tx, resource: Resource) -> None:
    """Adds a resource."""
    tx.run(_INSERT, **resource._asdict())


def delete(tx: Tx, arn: str) -> None:
    """Removes a resource."""
    tx.run(_DELETE, arn=arn)
