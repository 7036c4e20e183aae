"""$expand, $lookup and $translate over the code systems, value sets and concept maps of the R4 definitions.

Only what the definitions list can be answered. A value set that draws on a system whose codes are not shipped (SNOMED CT,
LOINC, RxNorm, ...) is refused as not supported, never answered in part.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.issues import content, name, refuse

MAX_EXPANSION = 1000
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Concept:
    """A code of a system with what is known of it; `parent` is the code above or ""."""

    system: str
    code: str
    display: str
    definition: str = ""
    parent: str = ""


@cache
def _all() -> Json:
    found: Json = definitions.load("terminology")
    return found


@cache
def system_concepts(url: str) -> dict[str, Concept] | None:
    """All concepts of a code system by code, in order; None when the system's codes are not shipped."""
    entry = _all()["systems"].get(url)
    if entry is None or not entry["concepts"] or entry.get("content") not in ("complete", None):
        return None
    rows = entry["concepts"]
    return {row[0]: Concept(url, row[0], row[1], row[2], rows[row[3]][0] if row[3] >= 0 else "") for row in rows}


@cache
def _children(url: str) -> dict[str, list[str]]:
    below: dict[str, list[str]] = {}
    for concept in (system_concepts(url) or {}).values():
        below.setdefault(concept.parent, []).append(concept.code)
    return below


def descendants(system: str, code: str) -> list[str] | None:
    """The code and all below it; None when the system or code is not known."""
    if code not in (system_concepts(system) or {}):
        return None
    found, waiting = {code: None}, [code]
    while waiting:
        for child in _children(system).get(waiting.pop(), ()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


def ancestors(system: str, code: str) -> list[str] | None:
    """The code and all above it; None when the system or code is not known."""
    concepts = system_concepts(system) or {}
    if code not in concepts:
        return None
    found = [code]
    while (above := concepts[found[-1]].parent) and above not in found:
        found.append(above)
    return found


class _Unlistable(Exception):
    """A value set draws on something that cannot be listed; the argument says what."""


def _filtered(system: str, rules: list[Json]) -> list[Concept]:
    concepts = system_concepts(system)
    if concepts is None:
        raise _Unlistable(system)
    chosen = list(concepts.values())
    for rule in rules:
        chosen = [c for c in chosen if _passes(c, rule)]
    return chosen


def _passes(concept: Concept, rule: Json) -> bool:
    operator, value = rule["op"], rule["value"]
    above = ancestors(concept.system, concept.code) or []
    if rule["property"] == "concept" or operator in ("is-a", "descendent-of", "is-not-a"):
        if operator == "is-a" or (operator == "=" and rule["property"] == "concept"):
            return bool(value in above)
        if operator == "descendent-of":
            return value in above[1:]
        if operator == "is-not-a":
            return value not in above
    if operator == "regex" and rule["property"] in ("code", "display"):
        return re.fullmatch(value, concept.code if rule["property"] == "code" else concept.display) is not None
    if rule["property"] == "code" and operator in ("=", "in", "not-in"):
        return bool((concept.code in value.split(",")) != (operator == "not-in"))
    raise _Unlistable(f"filter {rule['property']} {operator}")


def _included(row: Json, seen: tuple[str, ...]) -> dict[tuple[str, str], Concept]:
    chosen: dict[tuple[str, str], Concept] | None = None
    if "system" in row:
        system = row["system"]
        if "concept" in row:
            known = system_concepts(system) or {}
            listed = [Concept(system, code, display or (known[code].display if code in known else "")) for code, display in row["concept"]]
        else:
            listed = _filtered(system, row.get("filter", []))
        chosen = {(c.system, c.code): c for c in listed}
    for url in row.get("valueSet", ()):
        other = _members(url.split("|")[0], seen)
        chosen = other if chosen is None else {k: v for k, v in chosen.items() if k in other}
    return chosen or {}


def _members(url: str, seen: tuple[str, ...] = ()) -> dict[tuple[str, str], Concept]:
    entry = _all()["sets"].get(url)
    if entry is None or url in seen or "include" not in entry:
        raise _Unlistable(url)
    found: dict[tuple[str, str], Concept] = {}
    for row in entry["include"]:
        found.update(_included(row, (*seen, url)))
    for row in entry.get("exclude", ()):
        for key in _included(row, (*seen, url)):
            found.pop(key, None)
    return found


@cache
def required_codes(url: str) -> list[list[str]] | None:
    """[[system, code], ...] of a value set; None when it cannot be listed."""
    try:
        return [[c.system, c.code] for c in _members(url).values()]
    except _Unlistable:
        return None


def members(url: str) -> list[Concept]:
    """All concepts of a value set. Refused: 404 unknown, 422 not listable."""
    url = url.split("|")[0]
    if url not in _all()["sets"]:
        raise refuse(404, "not-found", "The value set {} is not known.", content(url))
    try:
        return list(_members(url).values())
    except _Unlistable as reason:
        raise refuse(422, "not-supported", "The value set {} draws on {}, whose codes are not held.", name(url), name(reason)) from None


def expand(url: str, timestamp: str, text: str = "", offset: int = 0, count: int = MAX_EXPANSION) -> Json:
    """$expand: a ValueSet with its expansion made at an instant, filtered by words, paged by offset and count."""
    if offset < 0 or not 0 <= count <= MAX_EXPANSION:
        raise refuse(400, "invalid", "offset must be 0 or more, count 0 to {}.", name(MAX_EXPANSION))
    words = text.casefold().split()
    found = [c for c in members(url) if all(w in c.display.casefold() or w in c.code.casefold() for w in words)]
    entry = _all()["sets"][url.split("|")[0]]
    page = [{"system": c.system, "code": c.code, **({"display": c.display} if c.display else {})} for c in found[offset : offset + count]]
    expansion: Json = {"timestamp": timestamp, "total": len(found), "offset": offset, **({"contains": page} if page else {})}
    head = {k: entry[k] for k in ("version", "name", "title") if k in entry}
    return {
        "resourceType": "ValueSet",
        "url": url.split("|")[0],
        **head,
        "status": entry.get("status", "active"),
        "expansion": expansion,
    }


def _parameters(*rows: tuple[str, str, object]) -> Json:
    return {"resourceType": "Parameters", "parameter": [{"name": key, kind: value} for key, kind, value in rows if value != ""]}


def lookup(system: str, code: str) -> Json:
    """$lookup: Parameters with name, version, display, definition and the code above. 404 when not known."""
    concepts = system_concepts(system)
    if concepts is None:
        raise refuse(404, "not-found", "The codes of the system {} are not held.", content(system))
    if code not in concepts:
        raise refuse(404, "not-found", "The code is not in the system {}.", name(system))
    entry, concept = _all()["systems"][system], concepts[code]
    answer = _parameters(
        ("name", "valueString", entry.get("title") or entry.get("name", "")),
        ("version", "valueString", entry.get("version", "")),
        ("display", "valueString", concept.display or code),
        ("definition", "valueString", concept.definition),
    )
    if concept.parent:
        parts = [{"name": "code", "valueCode": "parent"}, {"name": "value", "valueCode": concept.parent}]
        answer["parameter"].append({"name": "property", "part": parts})
    return answer


def _maps(url: str, source: str, target: str) -> list[Json]:
    maps = _all()["maps"]
    if url:
        if url not in maps:
            raise refuse(404, "not-found", "The concept map {} is not known.", content(url))
        return [{**maps[url], "url": url}]
    return [{**m, "url": u} for u, m in maps.items() if (not source or m["source"] == source) and (not target or m["target"] == target)]


def translate(system: str, code: str, url: str = "", source: str = "", target: str = "") -> Json:
    """$translate: Parameters with result and matches, by map url or by source and target value sets."""
    if not (url or source or target):
        raise refuse(400, "required", "Give url, or source and target.")
    rows = [(m["url"], row) for m in _maps(url, source, target) for row in m["rows"] if row[1] == code and system in (row[0], "")]
    good = [r for r in rows if r[1][5] not in ("unmatched", "disjoint")]
    answer: Json = {"resourceType": "Parameters", "parameter": [{"name": "result", "valueBoolean": bool(good)}]}
    for origin, row in rows:
        coding = {k: v for k, v in (("system", row[2]), ("code", row[3]), ("display", row[4])) if v}
        parts = [
            {"name": "equivalence", "valueCode": row[5]},
            {"name": "concept", "valueCoding": coding},
            {"name": "source", "valueUri": origin},
        ]
        answer["parameter"].append({"name": "match", "part": parts})
    return answer
