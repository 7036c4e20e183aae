"""HealthLake's SQL for many resources at once: storing a slice of an import, reading the state of one moment for an export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import NamedTuple

from opentrail.services.healthlake import fhir_store, import_lines
from opentrail.services.healthlake.drafts import rows_of
from opentrail.services.healthlake.engine import compartments, definitions, values, writes
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.import_lines import Ready
from opentrail.services.healthlake.store import Datastore
from opentrail.store.sql import Snapshot, Sql, Tx

_CURRENT = ("pk", "store", "type", "id", "version", "updated", "deleted", "body", "change")
_HISTORY = ("store", "type", "id", "version", "updated", "method", "change")
_INDEX = [(f"fhir_{table}", ("store", "path", "pk", *columns)) for table, columns in writes.COLUMNS.items()]
_AT_ONCE = (1, 8, 64)


Stored = tuple[Ready, int, bytes]
"""A resource that was stored, its version and its JSON."""


def store(tx: Tx, found: Datastore, now: int, slice: Sequence[Ready]) -> list[Stored]:
    """Stores resources, whose types and ids differ, at `now` (milliseconds): new ones in bulk, others as the next version."""
    key = found.key
    there = dict(_there(tx, key, slice))
    fresh = [ready for ready in slice if (ready.type, ready.id) not in there]
    replaced = [
        _replace(tx, found, now, ready, before) for ready in slice if (before := there.get((ready.type, ready.id))) is not None
    ]  # fmt: skip
    return replaced + (_insert(tx, key, now, fresh) if fresh else [])


def _there(tx: Tx, key: int, slice: Sequence[Ready]) -> Iterator[tuple[tuple[str, str], fhir_store.Current]]:
    by_type: dict[str, list[str]] = {}
    for ready in slice:
        by_type.setdefault(ready.type, []).append(ready.id)
    for type, ids in by_type.items():
        for start in range(0, len(ids), _AT_ONCE[-1]):
            part = ids[start : start + _AT_ONCE[-1]]
            size = next(size for size in _AT_ONCE if size >= len(part))
            named = {f"i{n}": id for n, id in enumerate(part + [""] * (size - len(part)))}
            for id, *current in tx.all(_found(size), store=key, type=type, **named):
                yield (type, str(id)), fhir_store.Current(*current)


@cache
def _found(size: int) -> Sql:
    names = ",".join(f":i{n}" for n in range(size))
    return Sql(f"SELECT id, pk, version, updated, body FROM fhir_current WHERE store = :store AND type = :type AND id IN ({names})")


def _replace(tx: Tx, found: Datastore, now: int, ready: Ready, before: fhir_store.Current) -> Stored:
    updated, version = max(now, before.updated), before.version + 1
    body = import_lines.body(ready, version, values.moment(updated))
    old, new = rows_of(before.body, found.own), IndexRows(*ready.rows)
    fhir_store.replace(tx, found.key, ready.type, ready.id, "PUT", before, updated, body, old, new)
    return ready, version, body


def _insert(tx: Tx, key: int, now: int, fresh: Sequence[Ready]) -> list[Stored]:
    first, moment = fhir_store.changes(tx, len(fresh)) - len(fresh) + 1, values.moment(now)
    numbered = list(enumerate(fresh, first))
    stored = [(one, 1, import_lines.body(one, 1, moment)) for one in fresh]
    tx.load("fhir_current", _CURRENT, [(pk, key, one.type, one.id, 1, now, 0, body, pk) for pk, (one, _, body) in enumerate(stored, first)])
    tx.load("fhir_history", _HISTORY, [(key, one.type, one.id, 1, now, "PUT", pk) for pk, one in numbered])
    for number, (table, columns) in enumerate(_INDEX):
        rows = [(key, row[0], pk, *row[1:]) for pk, one in numbered for row in one.rows[number]]
        if rows:
            rows.sort(key=_PLACE)
            tx.load(table, columns, rows)
    return stored


_PLACE = itemgetter(1, 3)
"""Rows that lie together go in together."""


class Exported(NamedTuple):
    """A resource as it was at the moment of the export, with the patients whose compartments hold it."""

    pk: int
    id: str
    updated: int
    body: bytes
    patients: list[str]


_ROW = "pk, id, version, updated, body, change"
_PAGE = Sql(
    " UNION ALL ".join(
        f"SELECT * FROM (SELECT {_ROW} FROM fhir_current WHERE store = :store AND type = :type AND deleted = {deleted} AND pk > :after"
        " AND pk <= :change ORDER BY pk LIMIT :most) live" + str(deleted)
        for deleted in (0, 1)
    )
    + " ORDER BY pk LIMIT :most"
)
_AS_OF = Sql(
    "SELECT updated, body FROM fhir_history WHERE store = :store AND type = :type AND id = :id AND change <= :change"
    " ORDER BY version DESC LIMIT 1"
)
_TYPES = Sql("SELECT type FROM fhir_current WHERE store = :store AND type > :type ORDER BY type LIMIT 1")
_NEWEST = Sql("SELECT number FROM fhir_change WHERE id = 1")


def newest_change(snapshot: Snapshot) -> int:
    """The number of the newest change of any resource."""
    row = snapshot.one(_NEWEST)
    return int(row[0]) if row else 0


def types(snapshot: Snapshot, key: int) -> list[str]:
    """The resource types that a data store holds or held."""
    found: list[str] = []
    while row := snapshot.one(_TYPES, store=key, type=found[-1] if found else ""):
        found.append(str(row[0]))
    return found


def page(snapshot: Snapshot, datastore: Datastore, type: str, change: int, after: int, most: int) -> tuple[list[Exported], int | None]:
    """Resources of a type as they were after the change, behind pk `after`; and the pk to go on from, None at the end. Fewer than
    `most` may be among them: what was made later or was deleted then is left out."""
    rows = snapshot.all(_PAGE, store=datastore.key, type=type, change=change, after=after, most=most)
    patients = _patients(snapshot, [row[0] for row in rows if row[5] <= change and row[4] is not None])
    found = []
    for pk, id, _, updated, body, number in rows:
        if number > change:
            then = snapshot.one(_AS_OF, store=datastore.key, type=type, id=id, change=change)
            updated, body = then if then else (0, None)
            concerned = [] if body is None else compartments.patients(type, id, rows_of(body, datastore.own))
        else:
            concerned = [id, *patients.get(pk, ())] if type == "Patient" else patients.get(pk, [])
        if body is not None:
            found.append(Exported(pk, id, updated, bytes(body), list(dict.fromkeys(concerned))))
    return found, rows[-1][0] if len(rows) == most else None


def one_as_of(snapshot: Snapshot, key: int, type: str, id: str, change: int) -> bytes | None:
    """A resource as it was after the change; None when it was not there."""
    row = snapshot.one(_STATE, store=key, type=type, id=id)
    if row is None or row[1] > change:
        row = snapshot.one(_AS_OF, store=key, type=type, id=id, change=change)
        return None if row is None or row[1] is None else bytes(row[1])
    return None if row[0] is None else bytes(row[0])


_STATE = Sql("SELECT body, change FROM fhir_current WHERE store = :store AND type = :type AND id = :id")


@cache
def _patient_paths() -> str:
    kinds = definitions.resource_types()
    return ",".join(str(path) for path in sorted({path for kind in kinds for path in compartments.paths_into("Patient", kind)}))


def _patients(snapshot: Snapshot, pks: Sequence[int]) -> dict[int, list[str]]:
    """The patients that resources refer to, by pk."""
    found: dict[int, list[str]] = {}
    for start in range(0, len(pks), _AT_ONCE[-1]):
        part = list(pks[start : start + _AT_ONCE[-1]])
        size = next(size for size in _AT_ONCE if size >= len(part))
        named = {f"p{n}": pk for n, pk in enumerate(part + [0] * (size - len(part)))}
        for pk, id in snapshot.all(_of_patients(size), **named):
            found.setdefault(int(pk), []).append(str(id))
    return found


@cache
def _of_patients(size: int) -> Sql:
    names = ",".join(f":p{n}" for n in range(size))
    own = f"pk IN ({names}) AND path IN ({_patient_paths()}) AND type = 'Patient' AND base = 0"
    return Sql(f"SELECT DISTINCT pk, id FROM fhir_reference WHERE {own}")


def concerned(resources: Iterable[Exported]) -> list[str]:
    """Every patient that some of the resources concern, each once."""
    return list(dict.fromkeys(patient for one in resources for patient in one.patients))
