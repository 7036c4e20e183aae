"""Patient/$everything as SQL: the patient, all that is in the compartment, and what those point to.

Ordered by type and id, so that pages go on after the last (type, id). Source: the R4 operation definition and HealthLake's
parameters start, end, _since, _type, _count.
"""

from collections.abc import Callable
from dataclasses import dataclass

from opentrail.services.healthlake.engine import compartments, definitions, values
from opentrail.services.healthlake.engine.issues import content, name, refuse
from opentrail.services.healthlake.engine.search.conditions import Bound
from opentrail.services.healthlake.engine.search.paths import number, parameters
from opentrail.services.healthlake.engine.search.sql import COLUMNS, Statement

POINTED = ("Device", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Substance")
"""Types outside the compartment that are added when something inside points to them."""
Visible = Callable[[Bound], str]
"""A condition on the resources `r` that may be shown."""
CLINICAL_DATE = ("date", "period", "authored", "authoredon", "occurrence", "effective", "created", "onset-date", "performed")


@dataclass(frozen=True, slots=True)
class Everything:
    """What to return: clinical dates between start and end, changed since, only some types."""

    patient: str
    start: int | None = None
    end: int | None = None
    since: int | None = None
    types: tuple[str, ...] = ()


def parse(patient: str, pairs: dict[str, str]) -> Everything:
    """The parameters of a request. Refused with 400: a wrong date or an unknown type."""
    bounds: dict[str, int | None] = {}
    for key, side in (("start", 0), ("end", 1), ("_since", 0)):
        text = pairs.get(key, "")
        interval = values.date_interval(text) if text else None
        if text and interval is None:
            raise refuse(400, "value", "The value of {} is not a date.", name(key))
        bounds[key] = interval[side] if interval else None
    kinds = tuple(part for part in pairs.get("_type", "").split(",") if part)
    for kind in kinds:
        if not definitions.is_resource_type(kind):
            raise refuse(400, "value", "_type names no R4 resource type: {}.", content(kind))
    return Everything(patient, bounds["start"], bounds["end"], bounds["_since"], kinds)


def _clinical_paths(kinds: tuple[str, ...]) -> list[int]:
    found = set()
    for kind in kinds:
        code = next((c for c in CLINICAL_DATE if c in parameters(kind) and parameters(kind)[c].kind == "date"), None)
        found |= {number(key) for key in parameters(kind)[code].paths} if code else set()
    return sorted(found)


def _wanted(e: Everything, kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(kind for kind in kinds if not e.types or kind in e.types)


def _inside(e: Everything, bound: Bound) -> str:
    """The pks in the compartment, the patient's own included."""
    kinds = compartments.types_in("Patient")
    paths = sorted({path for kind in kinds for path in compartments.paths_into("Patient", kind)})
    me = bound.add(e.patient)
    own = f"SELECT p.pk FROM fhir_current p WHERE p.store=:store AND p.type='Patient' AND p.id={me} AND p.deleted=0"
    others = (
        f"SELECT c.pk FROM fhir_reference c WHERE c.store=:store AND c.path IN ({','.join(map(str, paths))})"
        f" AND c.id={me} AND c.type='Patient' AND c.base=0"
    )
    if e.start is None and e.end is None:
        return f"{own} UNION {others}"
    dates = f"SELECT 1 FROM fhir_date t WHERE t.pk=c.pk AND t.path IN ({','.join(map(str, _clinical_paths(kinds)))})"
    within = (f" AND t.ends>={bound.add(e.start)}" if e.start is not None else "") + (
        f" AND t.starts<={bound.add(e.end)}" if e.end is not None else ""
    )
    return f"{own} UNION {others} AND (EXISTS ({dates}{within}) OR NOT EXISTS ({dates}))"


def _found(e: Everything, bound: Bound, visible: Visible | None) -> str:
    """FROM and WHERE of the resources to return, as `r`."""
    inside = _inside(e, bound)
    kinds = _wanted(e, definitions.resource_types())
    listed = ",".join(bound.add(kind) for kind in kinds) if e.types else ""
    pointed = ",".join(f"'{kind}'" for kind in POINTED)
    added = (
        "SELECT x.pk FROM fhir_reference l CROSS JOIN fhir_current x WHERE l.pk IN (SELECT pk FROM inside)"
        f" AND l.type IN ({pointed}) AND l.base=0 AND x.store=:store AND x.type=l.type AND x.id=l.id AND x.deleted=0"
    )
    only = f" AND r.type IN ({listed})" if listed else ""
    since = f" AND r.updated>={bound.add(e.since)}" if e.since is not None else ""
    seen = f" AND {visible(bound)}" if visible is not None else ""
    both = f"WITH inside AS ({inside}), every AS (SELECT pk FROM inside UNION {added})"
    return f"{both} SELECT %s FROM fhir_current r WHERE r.pk IN (SELECT pk FROM every){only}{since}{seen}"


def compile_page(e: Everything, store: int, limit: int, after: tuple[str, str] = ("", ""), visible: Visible | None = None) -> Statement:
    """Rows (pk, type, id, version, updated, body) by type and id behind `after`. `visible` narrows them."""
    bound = Bound(store)
    text = _found(e, bound, visible) % COLUMNS
    kind, identity = bound.add(after[0]), bound.add(after[1])
    return Statement(
        f"{text} AND (r.type>{kind} OR (r.type={kind} AND r.id>{identity})) ORDER BY r.type, r.id LIMIT {bound.add(limit)}",
        bound.values,
    )


def compile_total(e: Everything, store: int, visible: Visible | None = None) -> Statement:
    """One row: how many resources $everything returns in all."""
    bound = Bound(store)
    return Statement(_found(e, bound, visible) % "count(*)", bound.values)
