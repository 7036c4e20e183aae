"""The invariants that plain logic cannot say, as functions. Sources: the R4 definitions, by rule key.

`KEYWORDS` run inside the schema on every object of their type; `local_issues` and `own_issues` run once a resource.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from typing import Any, ClassVar

from opentrail.services.healthlake.engine import values
from opentrail.services.healthlake.engine.issues import Issue, error, name
from opentrail.services.healthlake.engine.validation.narrative import is_narrative

Json = dict[str, Any]
_ZONE = len("2026-01-01T00:00:00")
"""Where the fraction and the zone of a time begin."""


def period_in_order(instance: object) -> bool:
    """per-1: the start is not after the end; ends of different precision compare by what they cover. Other shapes are the schema's
    business."""
    if not isinstance(instance, dict):
        return True
    start, end = instance.get("start"), instance.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    if len(start) == len(end) and start[_ZONE:] == end[_ZONE:] and start <= end:
        return True  # in the same form the texts are in the order of the times
    first, last = values.date_interval(start), values.date_interval(end)
    return first is None or last is None or first[0] <= last[1]


def range_in_order(instance: object) -> bool:
    """rng-2: of two values in one unit the low is not above the high. Values in different units are not compared."""
    low, high = (instance.get("low"), instance.get("high")) if isinstance(instance, dict) else (None, None)
    if not isinstance(low, dict) or not isinstance(high, dict) or _unit(low) != _unit(high):
        return True
    first, last = low.get("value"), high.get("value")
    return not isinstance(first, int | float) or not isinstance(last, int | float) or first <= last


def _unit(quantity: Json) -> tuple[object, ...]:
    return ("code", quantity.get("system"), quantity["code"]) if "code" in quantity else ("unit", quantity.get("unit"))


def distinct(path: str, instance: object) -> bool:
    """No two entries of the list `a` have one value of `b`, for the path `a.b`. Other shapes are the schema's business."""
    name, _, part = path.partition(".")
    rows = instance.get(name) if isinstance(instance, dict) else None
    values = [row[part] for row in rows if isinstance(row, dict) and isinstance(row.get(part), str)] if isinstance(rows, list) else []
    return len(set(values)) == len(values)


def filled(name: str, instance: object) -> bool:
    """Where one of the two arrays of a primitive element has a null, the other has an entry at its place."""
    if not isinstance(instance, dict):
        return True
    arrays = [instance.get(name, []), instance.get("_" + name, [])]
    if not all(isinstance(one, list) for one in arrays):
        return True
    return all(any(part is not None for part in parts) for parts in zip_longest(*arrays))


def valued(name: str, instance: object) -> bool:
    """ele-1 of a primitive element: where `_name` holds an id alone, `name` has a value."""
    if not isinstance(instance, dict):
        return True
    held, twin = instance.get(name), instance.get("_" + name)
    pairs = zip_longest(held or (), twin) if isinstance(twin, list) and isinstance(held, list | None) else [(held, twin)]
    return not any(value is None and isinstance(beside, dict) and beside.keys() == {"id"} for value, beside in pairs)


class Check:
    """The jsonschema-rs keyword `x-check`: names one of these functions, and after a colon its first argument."""

    NAMED: ClassVar[dict[str, Callable[..., bool]]] = {
        "distinct": distinct,
        "filled": filled,
        "per-1": period_in_order,
        "rng-2": range_in_order,
        "txt-1": is_narrative,
        "valued": valued,
    }

    def __init__(self, parent_schema: Json, value: str, schema_path: list[str | int]) -> None:
        named, _, argument = value.partition(":")
        self.holds = partial(self.NAMED[named], argument) if argument else self.NAMED[named]

    def validate(self, instance: object) -> None:
        """Raise ValueError when the rule does not hold."""
        if not self.holds(instance):
            raise ValueError("x-check")


def _rule(key: str, text: str, location: str) -> Issue:
    return error("invariant", "{}: {}", name(key), name(text), location=location)


def local_names(value: object) -> tuple[set[str], set[str]]:
    """The `#x` texts inside a value: those of `reference` properties, and all."""
    pointed: set[str] = set()
    every: set[str] = set()
    waiting = [value]
    while waiting:
        node = waiting.pop()
        for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            kind = type(child)
            if kind is dict or kind is list:
                waiting.append(child)
            elif kind is str and child[:1] == "#":
                every.add(child)
                if key == "reference":
                    pointed.add(child)
    return pointed, every


def local_issues(resource: Json, location: str) -> list[Issue]:
    """What is wrong with contained resources and the references to them (ref-1, dom-2 to dom-5)."""
    return list(_local(resource, location))


def _local(resource: Json, location: str) -> Iterator[Issue]:
    inside = resource.get("contained", [])
    named = {"#" + str(r.get("id", "")) for r in inside} | {"#"}
    pointed, used = local_names(resource)
    if not pointed <= named:
        yield _rule("ref-1", "SHALL have a contained resource if a local reference is provided", location)
    taken: set[str] = set()
    for i, part in enumerate(inside):
        place = f"{location}/contained[{i}]"
        if "id" in part and (own := str(part["id"])) in taken:
            yield error("duplicate", "Another contained resource has this id.", location=f"{place}/id")
        elif "id" in part:
            taken.add(own)
        meta = part.get("meta") or {}
        if "contained" in part:
            yield _rule("dom-2", "A contained resource SHALL NOT contain resources", place)
        if "#" + str(part.get("id", "")) not in used and "#" not in local_names(part)[0]:
            yield _rule("dom-3", "A contained resource SHALL be referred to from elsewhere in the resource", place)
        if "versionId" in meta or "lastUpdated" in meta:
            yield _rule("dom-4", "A contained resource SHALL NOT have a meta.versionId or a meta.lastUpdated", place)
        if "security" in meta:
            yield _rule("dom-5", "A contained resource SHALL NOT have a security label", place)


def _codings(concept: Json) -> set[tuple[str, str]]:
    return {(c.get("system", ""), c.get("code", "")) for c in concept.get("coding", [])}


def _observation(resource: Json, location: str) -> Iterator[Issue]:
    if not any(key.startswith(("value", "_value")) for key in resource):
        return
    own = _codings(resource.get("code", {}))
    if any(own & _codings(c.get("code", {})) for c in resource.get("component", [])):
        text = "If Observation.code is the same as an Observation.component.code then the value SHALL NOT be present"
        yield _rule("obs-7", text, location)


def _identified(key: str) -> Callable[[Json, str], Iterator[Issue]]:
    def check(resource: Json, location: str) -> Iterator[Issue]:
        if not any(part in resource for part in ("identifier", "name", "_name")):
            yield _rule(key, "SHALL have a name or an identifier", location)

    return check


def _organization(resource: Json, location: str) -> Iterator[Issue]:
    yield from _identified("org-1")(resource, location)
    for key, part in (("org-2", "address"), ("org-3", "telecom")):
        if any(entry.get("use") == "home" for entry in resource.get(part, [])):
            yield _rule(key, f"The {part} of an organization can never be of use 'home'", f"{location}/{part}")


def _dispense(resource: Json, location: str) -> Iterator[Issue]:
    if not period_in_order({"start": resource.get("whenPrepared"), "end": resource.get("whenHandedOver")}):
        yield _rule("mdd-1", "whenHandedOver cannot be before whenPrepared", location)


def _task(resource: Json, location: str) -> Iterator[Issue]:
    if not period_in_order({"start": resource.get("authoredOn"), "end": resource.get("lastModified")}):
        yield _rule("inv-1", "Last modified date must be greater than or equal to authored-on date.", location)


def _concepts(system: Json, location: str) -> Iterator[tuple[str, str]]:
    """Every code of a code system, with the place of its concept."""
    for i, concept in enumerate(system.get("concept", ())):
        place = f"{location}/concept[{i}]"
        if "code" in concept:
            yield concept["code"], place
        yield from _concepts(concept, place)


def _code_system(resource: Json, location: str) -> Iterator[Issue]:
    taken: set[str] = set()
    for code, place in _concepts(resource, location):
        if code in taken:
            yield _rule("csd-1", "Within a code system definition, all the codes SHALL be unique", place)
        taken.add(code)


def _link_ids(items: list[Json]) -> Iterator[str]:
    for item in items:
        yield item.get("linkId", "")
        yield from _link_ids(item.get("item", []))


def _questionnaire(resource: Json, location: str) -> Iterator[Issue]:
    found = list(_link_ids(resource.get("item", [])))
    if len(set(found)) != len(found):
        yield _rule("que-2", "The link ids for groups and questions must be unique within the questionnaire", location)


def _bundle(resource: Json, location: str) -> Iterator[Issue]:
    kind, entries = resource.get("type"), resource.get("entry", [])
    asked, answered = ("batch", "transaction", "history"), ("batch-response", "transaction-response", "history")
    for i, entry in enumerate(entries):
        place = f"{location}/entry[{i}]"
        if ("request" in entry) != (kind in asked):
            yield _rule("bdl-3", "entry.request mandatory for batch/transaction/history, otherwise prohibited", place)
        if ("response" in entry) != (kind in answered):
            yield _rule("bdl-4", "entry.response mandatory for batch-response/transaction-response/history, otherwise prohibited", place)
        if "/_history/" in entry.get("fullUrl", ""):
            yield _rule("bdl-8", "fullUrl cannot be a version specific reference", place)
    pairs = [(e["fullUrl"], ((e.get("resource") or {}).get("meta") or {}).get("versionId")) for e in entries if "fullUrl" in e]
    if kind != "history" and len(set(pairs)) != len(pairs):
        yield _rule(
            "bdl-7",
            "FullUrl must be unique in a bundle, or else entries with the same fullUrl must have different meta.versionId",
            location,
        )
    first = (entries[0].get("resource") or {}).get("resourceType") if entries else None
    if kind == "document" and "timestamp" not in resource:
        yield _rule("bdl-10", "A document must have a date", location)
    for key, wanted, lead in (("bdl-11", "document", "Composition"), ("bdl-12", "message", "MessageHeader")):
        if kind == wanted and first != lead:
            yield _rule(key, f"A {wanted} must have a {lead} as the first resource", location)


BY_TYPE: dict[str, Callable[[Json, str], Iterator[Issue]]] = {
    "Bundle": _bundle,
    "CodeSystem": _code_system,
    "InsurancePlan": _identified("ipn-1"),
    "MedicationDispense": _dispense,
    "Observation": _observation,
    "Organization": _organization,
    "Questionnaire": _questionnaire,
    "Task": _task,
}
KEYS = frozenset(
    [
        "per-1",
        "ref-1",
        "dom-2",
        "dom-3",
        "dom-4",
        "dom-5",
        "obs-7",
        "org-1",
        "org-2",
        "org-3",
        "ipn-1",
        "mdd-1",
        "que-2",
        "csd-1",
        "inv-1",
        "bdl-3",
        "bdl-4",
        "bdl-7",
        "bdl-8",
        "bdl-10",
        "bdl-11",
        "bdl-12",
        "txt-1",
        "txt-2",
    ]
)


def own_issues(resource: Json, location: str) -> list[Issue]:
    """What the rules of its own type find in a resource that its schema accepts."""
    check = BY_TYPE.get(resource["resourceType"])
    return list(check(resource, location)) if check else []
