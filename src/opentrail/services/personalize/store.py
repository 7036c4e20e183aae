"""Personalize's SQL: resources by ARN and by kind."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx, Value


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
    parent: str | None = None
    uses: str | None = None


_COLUMNS = "arn, kind, account, region, name, domain, status, created, updated, body, parent, uses"
_ONE = Sql(f"SELECT {_COLUMNS} FROM personalize_resource WHERE arn = :arn", settled=True)
_PAGE = Sql(
    f"SELECT {_COLUMNS} FROM personalize_resource WHERE account = :account AND region = :region AND kind = :kind"
    " AND (created > :created OR (created = :created AND arn > :arn)) ORDER BY created, arn LIMIT :count"
)
_PAGE_BELOW = Sql(
    f"SELECT {_COLUMNS} FROM personalize_resource"
    " WHERE account = :account AND region = :region AND kind = :kind AND parent = :parent"
    " AND (created > :created OR (created = :created AND arn > :arn)) ORDER BY created, arn LIMIT :count"
)
_CHILDREN = Sql(f"SELECT {_COLUMNS} FROM personalize_resource WHERE parent = :parent ORDER BY created, arn")
_CHILDREN_OF_KIND = Sql(
    f"SELECT {_COLUMNS} FROM personalize_resource WHERE parent = :parent AND kind = :kind ORDER BY created, arn", settled=True
)
_USERS = Sql(f"SELECT {_COLUMNS} FROM personalize_resource WHERE uses = :uses ORDER BY created, arn LIMIT 1")
_COUNT = Sql("SELECT COUNT(*) FROM personalize_resource WHERE account = :account AND region = :region AND kind = :kind")
_INSERT = Sql(
    f"INSERT INTO personalize_resource ({_COLUMNS})"
    " VALUES (:arn, :kind, :account, :region, :name, :domain, :status, :created, :updated, :body, :parent, :uses)",
    settled=True,
)
_UPDATE = Sql(
    "UPDATE personalize_resource SET status = :status, updated = :updated, body = :body, uses = :uses WHERE arn = :arn", settled=True
)
_DELETE = Sql("DELETE FROM personalize_resource WHERE arn = :arn", settled=True)

_UNDER_WAY = Sql(
    "SELECT COUNT(*) FROM personalize_resource WHERE account = :account AND region = :region AND kind = :kind"
    " AND status IN ('CREATE PENDING', 'CREATE IN_PROGRESS', 'PENDING', 'IN_PROGRESS')"
)
_OF_KIND = Sql(f"SELECT {_COLUMNS} FROM personalize_resource WHERE kind = :kind")


def one(snapshot: Snapshot, arn: str) -> Resource | None:
    """The resource with this ARN."""
    row = snapshot.one(_ONE, arn=arn)
    return Resource(*row) if row else None


def page(
    snapshot: Snapshot, account: str, region: str, kind: str, parent: str | None, after: tuple[float, str], count: int
) -> list[Resource]:
    """The next resources of a kind (below a parent, or all) after a place (creation, ARN), oldest first."""
    place: dict[str, Value] = {"account": account, "region": region, "kind": kind, "created": after[0], "arn": after[1], "count": count}
    rows = snapshot.all(_PAGE, **place) if parent is None else snapshot.all(_PAGE_BELOW, **place, parent=parent)
    return [Resource(*row) for row in rows]


def children(snapshot: Snapshot, parent: str, kind: str | None = None) -> list[Resource]:
    """What belongs to a resource, oldest first; only those of a kind when one is given."""
    rows = snapshot.all(_CHILDREN, parent=parent) if kind is None else snapshot.all(_CHILDREN_OF_KIND, parent=parent, kind=kind)
    return [Resource(*row) for row in rows]


def user(snapshot: Snapshot, arn: str) -> Resource | None:
    """A resource that needs this one."""
    row = snapshot.one(_USERS, uses=arn)
    return Resource(*row) if row else None


def count(snapshot: Snapshot, account: str, region: str, kind: str) -> int:
    """How many resources of a kind there are."""
    row = snapshot.one(_COUNT, account=account, region=region, kind=kind)
    return int(row[0]) if row else 0


def insert(tx: Tx, resource: Resource) -> None:
    """Adds a resource."""
    tx.run(_INSERT, **resource._asdict())


def update(tx: Tx, resource: Resource) -> None:
    """Writes what may change of a resource: status, time of the change, body, and what it uses."""
    tx.run(_UPDATE, arn=resource.arn, status=resource.status, updated=resource.updated, body=resource.body, uses=resource.uses)


def delete(tx: Tx, arn: str) -> None:
    """Removes a resource."""
    tx.run(_DELETE, arn=arn)


def of_kind(snapshot: Snapshot, kind: str) -> list[Resource]:
    """Every resource of a kind, of all accounts."""
    return [Resource(*row) for row in snapshot.all(_OF_KIND, kind=kind)]


def under_way(snapshot: Snapshot, account: str, region: str, kind: str) -> int:
    """How many resources of a kind wait for their job or are being worked on."""
    row = snapshot.one(_UNDER_WAY, account=account, region=region, kind=kind)
    return int(row[0]) if row else 0
