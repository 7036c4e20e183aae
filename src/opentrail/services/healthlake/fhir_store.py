"""HealthLake's SQL for FHIR resources: current versions, all versions, index rows, idempotency keys, and searches.

A write is at most one row in fhir_current, two in fhir_history and the index rows that differ. Times are milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from opentrail.services.healthlake.engine import compartments, writes
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.engine.search.run import Found, Keep, Read, run_many, run_search
from opentrail.services.healthlake.engine.search.sql import After, Statement, compile_ids
from opentrail.store.sql import Snapshot, Sql, Tx


class Current(NamedTuple):
    """The newest version of a resource; `body` is None when that version deleted it."""

    pk: int
    version: int
    updated: int
    body: bytes | None


class Version(NamedTuple):
    """Any version; `method` is POST, PUT, PATCH or DELETE, `body` None for a deletion. `made`: whether nothing was there before it."""

    type: str
    id: str
    version: int
    updated: int
    method: str
    body: bytes | None
    made: bool


_CURRENT = Sql("SELECT pk, version, updated, body FROM fhir_current WHERE store = :store AND type = :type AND id = :id")
_CHANGE = Sql(
    "INSERT INTO fhir_change (id, number) VALUES (1, :count)"
    " ON CONFLICT (id) DO UPDATE SET number = fhir_change.number + excluded.number RETURNING number"
)
_INSERT = Sql(
    "INSERT INTO fhir_current (pk, store, type, id, version, updated, deleted, body, change)"
    " VALUES (:pk, :store, :type, :id, 1, :updated, 0, :body, :pk)"
)
_UPDATE = Sql(
    "UPDATE fhir_current SET version = :version, updated = :updated, deleted = :deleted, body = :body, change = :change WHERE pk = :pk"
)
_AMEND = Sql("UPDATE fhir_current SET body = :body WHERE pk = :pk")
_KEEP = Sql("UPDATE fhir_history SET body = :body WHERE store = :store AND type = :type AND id = :id AND version = :version")
_VERSION = Sql(
    "INSERT INTO fhir_history (store, type, id, version, updated, method, body, change)"
    " VALUES (:store, :type, :id, :version, :updated, :method, NULL, :change)"
)
_ADD = {table: Sql(writes.insert_text(table)) for table in writes.COLUMNS}
_REMOVE = {table: Sql(writes.delete_text(table)) for table in writes.COLUMNS}

_ERASED = {
    **{f"fhir_{table}": ("store", "path", "pk", *columns) for table, columns in writes.COLUMNS.items()},
    "fhir_idempotency": ("store", "key"),
    "fhir_history": ("store", "type", "id", "version"),
    "fhir_current": ("pk",),
}
"""The tables of a data store's resources, by the columns that name a row."""
_HELD = {table: Sql(f"SELECT {', '.join(key)} FROM {table} WHERE store = :store LIMIT :most") for table, key in _ERASED.items()}
_ERASE = {table: Sql(f"DELETE FROM {table} WHERE {' AND '.join(f'{c} = :{c}' for c in key)}") for table, key in _ERASED.items()}

_HISTORY = (
    "SELECT h.type, h.id, h.version, h.updated, h.method, COALESCE(h.body, r.body), h.version = 1 OR EXISTS (SELECT 1 FROM"
    " fhir_history b WHERE b.store = h.store AND b.type = h.type AND b.id = h.id AND b.version = h.version - 1 AND b.method = 'DELETE')"
    " FROM fhir_history h"
    " LEFT JOIN fhir_current r ON r.store = h.store AND r.type = h.type AND r.id = h.id AND r.version = h.version"
    " WHERE h.store = :store"
)
_AT = (
    " AND h.updated <= :last AND NOT EXISTS (SELECT 1 FROM fhir_history n WHERE n.store = h.store AND n.type = h.type AND n.id = h.id"
    " AND n.version = h.version + 1 AND n.updated < :first)"
)
"""The version was the current one at some time from first to last."""
_ONE_VERSION = Sql(f"{_HISTORY} AND h.type = :type AND h.id = :id AND h.version = :version")
_OF_ID = Sql(
    f"{_HISTORY} AND h.type = :type AND h.id = :id AND h.version < :version AND h.updated >= :since{_AT}"
    " ORDER BY h.version DESC LIMIT :most"
)
_OF_TYPE = Sql(
    f"{_HISTORY} AND h.type = :type AND h.updated >= :since AND h.updated <= :updated{_AT}"
    " AND (h.updated, h.id, h.version) < (:updated, :id, :version) ORDER BY h.updated DESC, h.id DESC, h.version DESC LIMIT :most"
)
_OF_ALL = Sql(
    f"{_HISTORY} AND h.updated >= :since AND h.updated <= :updated{_AT} AND (h.updated, h.type, h.id, h.version)"
    " < (:updated, :type, :id, :version) ORDER BY h.updated DESC, h.type DESC, h.id DESC, h.version DESC LIMIT :most"
)

_KEY = Sql("SELECT type, id FROM fhir_idempotency WHERE store = :store AND key = :key")
_ADD_KEY = Sql("INSERT INTO fhir_idempotency (store, key, type, id) VALUES (:store, :key, :type, :id)")

_TYPES = Sql(
    "WITH RECURSIVE held(type) AS (SELECT MIN(type) FROM fhir_current WHERE store = :store UNION ALL"
    " SELECT (SELECT MIN(c.type) FROM fhir_current c WHERE c.store = :store AND c.type > held.type) FROM held WHERE held.type IS NOT NULL)"
    " SELECT type FROM held WHERE type IS NOT NULL"
)

_EVER = 1 << 60
_AT_ONCE = (1, 10, 100)


def current(snapshot: Snapshot, store: int, type: str, id: str) -> Current | None:
    """The newest version of a resource, which may be its deletion; None when the id was never used."""
    row = snapshot.one(_CURRENT, store=store, type=type, id=id)
    return Current(*row) if row else None


def version(snapshot: Snapshot, store: int, type: str, id: str, number: int) -> Version | None:
    """One version of a resource."""
    row = snapshot.one(_ONE_VERSION, store=store, type=type, id=id, version=number)
    return Version(*row) if row else None


def changes(tx: Tx, count: int = 1) -> int:
    """The numbers of the next changes are taken: the last of them. Transactions that write wait for each other."""
    row = tx.one(_CHANGE, count=count)
    assert row is not None, "it returns the row"
    return int(row[0])


def insert(tx: Tx, store: int, type: str, id: str, method: str, updated: int, body: bytes, rows: IndexRows) -> None:
    """Adds the first version of a resource. Its pk is the number of this change."""
    pk = changes(tx)
    tx.run(_INSERT, pk=pk, store=store, type=type, id=id, updated=updated, body=body)
    tx.run(_VERSION, store=store, type=type, id=id, version=1, updated=updated, method=method, change=pk)
    _index(tx, store, pk, IndexRows(), rows)


def replace(
    tx: Tx, store: int, type: str, id: str, method: str, before: Current, updated: int, body: bytes | None, old: IndexRows, new: IndexRows
) -> None:
    """Adds the next version after `before`; without a body it is a deletion."""
    number, change = before.version + 1, changes(tx)
    if before.body is not None:
        tx.run(_KEEP, store=store, type=type, id=id, version=before.version, body=before.body)
    tx.run(_UPDATE, pk=before.pk, version=number, updated=updated, deleted=int(body is None), body=body, change=change)
    tx.run(_VERSION, store=store, type=type, id=id, version=number, updated=updated, method=method, change=change)
    _index(tx, store, before.pk, old, new)


def amend(tx: Tx, store: int, type: str, id: str, body: bytes, old: IndexRows, new: IndexRows) -> None:
    """Other contents for the version that this very transaction wrote."""
    now = current(tx, store, type, id)
    assert now is not None, "this transaction wrote it"
    tx.run(_AMEND, pk=now.pk, body=body)
    _index(tx, store, now.pk, old, new)


def _index(tx: Tx, store: int, pk: int, old: IndexRows, new: IndexRows) -> None:
    for table, gone, fresh in writes.changes(old, new):
        if gone:
            tx.many(_REMOVE[table], writes.values_of(table, gone, store, pk))
        if fresh:
            tx.many(_ADD[table], writes.values_of(table, fresh, store, pk))


def history(
    snapshot: Snapshot, store: int, type: str, id: str, since: int, at: tuple[int, int] | None, before: tuple[int, str, str, int], most: int
) -> list[Version]:
    """Versions of one resource, of a type (no id) or of all (no type), newest first, behind (updated, type, id, version).

    Only those written since a time, and only those that were current at some time within `at`.
    """
    updated, before_type, before_id, number = before
    first, last = at or (0, _EVER)
    asked: dict[str, int | str] = {"store": store, "version": number, "since": since, "first": first, "last": last, "most": most}
    if id:
        rows = snapshot.all(_OF_ID, type=type, id=id, **asked)
    elif type:
        rows = snapshot.all(_OF_TYPE, type=type, updated=updated, id=before_id, **asked)
    else:
        rows = snapshot.all(_OF_ALL, updated=updated, type=before_type, id=before_id, **asked)
    return [Version(*row) for row in rows]


def erase(tx: Tx, store: int, most: int) -> int:
    """Removes rows of a data store for good, from one table at a time, so many at most. How many there were; 0 when none is left."""
    for table, key in _ERASED.items():
        if rows := tx.all(_HELD[table], store=store, most=most):
            tx.many(_ERASE[table], [dict(zip(key, row, strict=True)) for row in rows])
            return len(rows)
    return 0


def made_by(snapshot: Snapshot, store: int, key: str) -> tuple[str, str] | None:
    """(type, id) of what the create with this idempotency key made."""
    row = snapshot.one(_KEY, store=store, key=key)
    return (row[0], row[1]) if row else None


def remember(tx: Tx, store: int, key: str, type: str, id: str) -> None:
    """Keeps what the create with this idempotency key made."""
    tx.run(_ADD_KEY, store=store, key=key, type=type, id=id)


_sql = lru_cache(maxsize=2048)(Sql)
"""Searches of one shape have one text."""


def reader(snapshot: Snapshot) -> Read:
    """The engine's way to ask."""

    def read(text: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        statement = _sql(text)
        return snapshot.all(statement, **{name: values[name] for name in statement.names})

    return read


def run(snapshot: Snapshot, statement: Statement) -> list[tuple[Any, ...]]:
    """The rows of one of the engine's statements."""
    return reader(snapshot)(statement.text, statement.values)


def search(snapshot: Snapshot, store: int, wanted: Sequence[Search], after: After, keep: Keep | None = None) -> Found:
    """One page of a search of one type or several; `keep` takes out what may not be included."""
    if len(wanted) == 1:
        return run_search(reader(snapshot), wanted[0], store, after, keep)
    return run_many(reader(snapshot), wanted, store, after, keep)


def types_in(snapshot: Snapshot, store: int) -> list[str]:
    """The resource types that a data store holds or held, by name."""
    return [row[0] for row in snapshot.all(_TYPES, store=store)]


def first_ids(snapshot: Snapshot, store: int, wanted: Search, most: int = 2) -> list[str]:
    """The ids of the first matches: what conditional requests decide by."""
    return [row[1] for row in run(snapshot, compile_ids(wanted, store, most))]


@cache
def _patient_paths(type: str) -> frozenset[int]:
    return compartments.paths_into("Patient", type)


def patients_of(snapshot: Snapshot, found: Iterable[tuple[int, str, str]]) -> Iterator[str]:
    """The ids of the patients that the resources (pk, type, id) concern, by compartment; the same one may come twice.

    Their references are asked for by pk alone: a list of all paths would cost more than it saves.
    """
    paths: dict[int, frozenset[int]] = {}
    for pk, type, id in found:
        if type == "Patient":
            yield id
        if own := _patient_paths(type):
            paths[pk] = own
    for part in _parts(list(paths)):
        rows = snapshot.all(_pointing_at_patients(len(part)), **{f"p{n}": pk for n, pk in enumerate(part)})
        yield from (id for pk, path, id in rows if path in paths[pk])


@cache
def _pointing_at_patients(number: int) -> Sql:
    names = ",".join(f":p{n}" for n in range(number))
    return Sql(f"SELECT pk, path, id FROM fhir_reference WHERE pk IN ({names}) AND type = 'Patient' AND base = 0")


def _parts(pks: Sequence[int]) -> Iterator[list[int]]:
    """The numbers in lists of a few sizes, filled up with 0, so that few statements serve all."""
    largest = _AT_ONCE[-1]
    for start in range(0, len(pks), largest):
        part = list(pks[start : start + largest])
        size = next(size for size in _AT_ONCE if size >= len(part))
        yield part + [0] * (size - len(part))
