"""Personalize's SQL of streamed data: events, and items and users that were put one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx


class Streamed(NamedTuple):
    """An event's row; see tables.event."""

    id: str
    dataset_group: str
    user_id: str | None
    session_id: str
    time: int
    body: str


PAGE = 10_000

_ADD = Sql(
    "INSERT INTO personalize_event (id, dataset_group, user_id, session_id, time, body)"
    " VALUES (:id, :dataset_group, :user_id, :session_id, :time, :body) ON CONFLICT (id) DO NOTHING"
)
_JOIN = Sql(
    "UPDATE personalize_event SET user_id = :user WHERE dataset_group = :dataset_group AND session_id = :session AND user_id IS NULL"
)
_WHO = Sql(
    "SELECT user_id FROM personalize_event WHERE dataset_group = :dataset_group AND session_id = :session AND user_id IS NOT NULL LIMIT 1"
)
_OF_USER = Sql(
    "SELECT body FROM personalize_event WHERE dataset_group = :dataset_group AND user_id = :user ORDER BY time DESC, id DESC LIMIT :count"
)
_OF_WHO = Sql(
    "SELECT * FROM (SELECT 'user' AS what, body, user_id FROM personalize_event"
    " WHERE dataset_group = :dataset_group AND user_id = :who ORDER BY time DESC, id DESC LIMIT :count) AS of_user"
    " UNION ALL SELECT * FROM (SELECT 'session' AS what, body, user_id FROM personalize_event"
    " WHERE dataset_group = :dataset_group AND session_id = :who ORDER BY time DESC, id DESC LIMIT :count) AS of_session"
)
_KNOWN = Sql(
    "SELECT id, user_id, body FROM personalize_event"
    " WHERE dataset_group = :dataset_group AND user_id IS NOT NULL AND id > :id ORDER BY id LIMIT :count"
)
_FORGET_EVENTS = Sql("DELETE FROM personalize_event WHERE dataset_group = :dataset_group")
_FORGET_USER = Sql("DELETE FROM personalize_event WHERE dataset_group = :dataset_group AND user_id = :user")
_FORGET_ENTITY = Sql("DELETE FROM personalize_entity WHERE dataset = :dataset AND id = :id")
_PUT = Sql(
    "INSERT INTO personalize_entity (dataset, id, updated, body) VALUES (:dataset, :id, :updated, :body)"
    " ON CONFLICT (dataset, id) DO UPDATE SET updated = excluded.updated, body = excluded.body"
)
_ENTITY = Sql("SELECT body FROM personalize_entity WHERE dataset = :dataset AND id = :id")
_ENTITIES = Sql("SELECT id, body FROM personalize_entity WHERE dataset = :dataset AND id > :id ORDER BY id LIMIT :count")
_SINCE = Sql("SELECT body FROM personalize_entity WHERE dataset = :dataset AND updated > :since ORDER BY updated")
_UPDATED = Sql("SELECT MAX(updated) FROM personalize_entity WHERE dataset = :dataset")
_FORGET_ENTITIES = Sql("DELETE FROM personalize_entity WHERE dataset = :dataset")


def user_of(snapshot: Snapshot, group: str, session: str) -> str | None:
    """Whose session it is, once an event has said so."""
    row = snapshot.one(_WHO, dataset_group=group, session=session)
    return str(row[0]) if row else None


def add(tx: Tx, events: list[Streamed]) -> None:
    """Adds the events of one call. A session's earlier events become the user's whom these name."""
    tx.many(_ADD, [one._asdict() for one in events])
    first = events[0]
    if first.user_id is not None:
        tx.run(_JOIN, user=first.user_id, dataset_group=first.dataset_group, session=first.session_id)


def newest(snapshot: Snapshot, group: str, who: str, count: int) -> list[str]:
    """The rows of the newest events of a user; of a session (its user's, once known) when there is no such user."""
    rows = snapshot.all(_OF_WHO, dataset_group=group, who=who, count=count)
    own = [str(row[1]) for row in rows if row[0] == "user"]
    if own or not rows:
        return own
    user = rows[0][2]  # once one event of a session names its user, all do
    if user is None:
        return [str(row[1]) for row in rows]
    return [str(row[0]) for row in snapshot.all(_OF_USER, dataset_group=group, user=str(user), count=count)]


def known(snapshot: Snapshot, group: str) -> Iterator[tuple[str, str]]:
    """Every event whose user is known: the user, and the row."""
    at = ""
    while rows := snapshot.all(_KNOWN, dataset_group=group, id=at, count=PAGE):
        yield from ((str(row[1]), str(row[2])) for row in rows)
        at = str(rows[-1][0])


def put(tx: Tx, dataset: str, id: str, updated: float, body: str) -> None:
    """Adds or replaces an item or a user."""
    tx.run(_PUT, dataset=dataset, id=id, updated=updated, body=body)


def entity(snapshot: Snapshot, dataset: str, id: str) -> str | None:
    """The row of one item or user that was put."""
    row = snapshot.one(_ENTITY, dataset=dataset, id=id)
    return str(row[0]) if row else None


def entities(snapshot: Snapshot, dataset: str) -> Iterator[str]:
    """The rows of all items or users that were put."""
    at = ""
    while rows := snapshot.all(_ENTITIES, dataset=dataset, id=at, count=PAGE):
        yield from (str(row[1]) for row in rows)
        at = str(rows[-1][0])


def entities_since(snapshot: Snapshot, dataset: str, since: float) -> list[str]:
    """The rows of the items or users that were put after a time, as `updated` says it."""
    return [str(row[0]) for row in snapshot.all(_SINCE, dataset=dataset, since=since)]


def updated(snapshot: Snapshot, dataset: str) -> float:
    """When the last item or user was put, in a time that grows with every put; 0 before the first."""
    row = snapshot.one(_UPDATED, dataset=dataset)
    return float(row[0] or 0) if row else 0.0


def forget_user(tx: Tx, group: str, user: str) -> int:
    """Removes the events of a user: how many there were."""
    return tx.run(_FORGET_USER, dataset_group=group, user=user)


def forget_entity(tx: Tx, dataset: str, id: str) -> int:
    """Removes an item or a user that was put: 1, or 0 when there was none."""
    return tx.run(_FORGET_ENTITY, dataset=dataset, id=id)


def forget(tx: Tx, dataset: str, group: str | None) -> None:
    """Removes what was put into a dataset that is deleted: for an Interactions dataset the events of its group."""
    tx.run(_FORGET_ENTITIES, dataset=dataset)
    tx.run(_FORGET_EVENTS, dataset_group=dataset)
    if group is not None and dataset.endswith("/INTERACTIONS"):
        tx.run(_FORGET_EVENTS, dataset_group=group)
