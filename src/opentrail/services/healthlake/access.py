"""Which stored resources a call with a bearer token may see and change. Calls without one are judged by policies alone.

What is out of reach is answered like what is not there, so that nobody can ask which ids exist. A resource is shown when a patient of
the token's circle is one of those whom it concerns; it is changed only when *all* whom it concerns, before and after, are of the
circle: a note about somebody else must not be written under one's own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from opentrail.calls.call import Call
from opentrail.services.healthlake import fhir_store, requests, store
from opentrail.services.healthlake.drafts import rows_of
from opentrail.services.healthlake.engine import compartments, definitions
from opentrail.services.healthlake.engine.issues import name, refuse
from opentrail.services.healthlake.engine.search.conditions import Bound, any_of
from opentrail.services.healthlake.engine.search.query import Filter, HasId, Search
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.engine.search.run import Stored
from opentrail.services.healthlake.engine.search.sql import condition
from opentrail.services.healthlake.engine.smart.reach import Reach, patients, reach, stepped
from opentrail.services.healthlake.engine.smart.scopes import Action
from opentrail.store.sql import Snapshot

_AT_ONCE = (1, 10, 100, 1000)
"""Ids are asked for in lists of a few sizes, so that few statements serve all."""
MOST_CONCERNED = 20
"""Patients that a resource may concern which is written under a scope of less than everything."""


def _reach(call: Call, kind: str, action: Action) -> Reach | None:
    """What the call reaches of a type when that is not all of it; None when it is."""
    if call.grant is None:
        return None
    found = reach(call.grant, kind, action)
    return None if found.whole else found


def check_read(snapshot: Snapshot, call: Call, found: store.Datastore, kind: str, id: str, action: Action = "r") -> None:
    """Raises FhirError 404, as for what is not there, unless the current version is within reach."""
    allowed = _reach(call, kind, action)
    if allowed is not None and not _seen(snapshot, found, kind, [id], allowed):
        raise requests.unknown(kind, id)


def _seen(snapshot: Snapshot, found: store.Datastore, kind: str, ids: Sequence[str], allowed: Reach) -> set[str]:
    """Those of the ids whose current version is within reach."""
    if allowed.nothing or not ids:
        return set()
    size = next((size for size in _AT_ONCE if size >= len(ids)), len(ids))
    filled = (*ids, *[ids[-1]] * (size - len(ids)))
    wanted = Search(kind, (HasId(filled), *allowed.filters()))
    return set(fhir_store.first_ids(snapshot, found.key, wanted, len(ids)))


def shown_versions(
    snapshot: Snapshot, call: Call, found: store.Datastore, newest: int, versions: Iterable[fhir_store.Version]
) -> list[fhir_store.Version]:
    """Those of one resource's versions that are within reach, given that the current one, number `newest`, is. An older one is when
    it concerned a patient of the circle by itself; under a scope with criteria only the current one is."""
    shown: list[fhir_store.Version] = []
    known: dict[str, bool] = {}
    for one in versions:
        allowed = _reach(call, one.type, "r")
        if allowed is None or one.version == newest or one.body is None:
            shown.append(one)
            continue
        concerned = patients(one.type, one.id, rows_of(one.body, found.own))
        for circle in allowed.circles:
            if any(_within(snapshot, found, circle, patient, known) for patient in concerned):
                shown.append(one)
                break
    return shown


def _within(snapshot: Snapshot, found: store.Datastore, circle: Filter, patient: str, known: dict[str, bool] | None = None) -> bool:
    """Whether a patient is of a circle."""
    if isinstance(circle, HasId):
        return patient in circle.ids
    if known is not None and patient in known:
        return known[patient]
    inside = bool(fhir_store.first_ids(snapshot, found.key, Search("Patient", (HasId((patient,)), circle)), 1))
    if known is not None:
        known[patient] = inside
    return inside


def narrowed(call: Call, wanted: Search) -> Search:
    """The search as far as the call reaches. Raises FhirError 403 when a chain looks into a type that is not wholly within reach."""
    if call.grant is None:
        return wanted
    for kind in stepped(wanted.filters, wanted.resource_type):
        if not reach(call.grant, kind, "s").whole:
            raise refuse(403, "forbidden", "A chain into {} needs a scope that grants s on every {}.", name(kind), name(kind))
    allowed = _reach(call, wanted.resource_type, "s")
    if allowed is None:
        return wanted
    if allowed.nothing:
        raise refuse(403, "forbidden", "No scope of the token grants s on {}.", name(wanted.resource_type))
    return replace(wanted, filters=(*wanted.filters, *allowed.filters()))


def keeps(snapshot: Snapshot, call: Call, found: store.Datastore) -> Callable[[list[Stored]], list[Stored]] | None:
    """What a search may add to its matches, of what `_include` and `_revinclude` find; None when all of it."""
    if call.grant is None:
        return None

    def kept(rows: list[Stored]) -> list[Stored]:
        shown: set[tuple[str, str]] = set()
        for kind in dict.fromkeys(one.type for one in rows):
            ids = list(dict.fromkeys(one.id for one in rows if one.type == kind))
            allowed = _reach(call, kind, "s")
            seen = set(ids) if allowed is None else _seen(snapshot, found, kind, ids, allowed)
            shown |= {(kind, id) for id in seen}
        return [one for one in rows if (one.type, one.id) in shown]

    return kept


def visible(call: Call) -> Callable[[Bound], str] | None:
    """The condition on a row `r` of fhir_current of any type that a reading call reaches; None when it reaches all."""
    if call.grant is None:
        return None

    def text(bound: Bound) -> str:
        parts, whole = [], []
        for kind in definitions.resource_types():
            allowed = _reach(call, kind, "r")
            if allowed is None:
                whole.append(bound.add(kind))
            elif not allowed.nothing:
                own = [condition(f, kind, "r", bound, 60) for f in allowed.filters()]
                parts.append(f"(r.type={bound.add(kind)} AND {' AND '.join(own)})")
        if whole:
            parts.append(f"r.type IN ({','.join(whole)})")
        return any_of(parts)

    return text


def check_before(
    snapshot: Snapshot, call: Call, found: store.Datastore, action: str, kind: str, id: str, before: fhir_store.Current | None
) -> None:
    """Raises FhirError 404 unless the token, if the call has one, may change what is there now. `before` is None for an id that was
    never used, which a scope of less than the whole type may not give to a new resource."""
    letter: Action = "d" if action == "delete" else "u"
    if action == "patch":  # how a patch goes tells what is there
        check_read(snapshot, call, found, kind, id)
    if before is None and action == "update" and _reach(call, kind, "c") is None and _reach(call, kind, "u") is None:
        return
    allowed = _reach(call, kind, letter)
    if before is None and action == "update" and allowed is None:
        raise refuse(403, "forbidden", "No scope of the token grants c on every {}.", name(kind))
    if allowed is None:
        return
    if before is None or before.body is None or not _belongs(snapshot, found, kind, id, rows_of(before.body, found.own), allowed):
        raise requests.unknown(kind, id)


def check_after(snapshot: Snapshot, call: Call, found: store.Datastore, kind: str, id: str, rows: IndexRows, action: Action) -> None:
    """Raises FhirError 403 unless the token, if the call has one, may leave the resource as it is about to be."""
    allowed = _reach(call, kind, action)
    if allowed is not None and not _belongs(snapshot, found, kind, id, rows, allowed):
        raise refuse(403, "forbidden", "The {} concerns somebody whom no scope of the token reaches.", name(kind))


def _belongs(snapshot: Snapshot, found: store.Datastore, kind: str, id: str, rows: IndexRows, allowed: Reach) -> bool:
    """Whether a resource concerns somebody, and nobody outside one of the circles."""
    concerned = compartments.patients(kind, id, rows)
    if not patients(kind, id, rows) or len(concerned) > MOST_CONCERNED:
        return False
    return any(all(_within(snapshot, found, circle, patient) for patient in concerned) for circle in allowed.circles)
