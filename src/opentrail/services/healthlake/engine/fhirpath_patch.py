"""FHIRPath Patch (a Parameters resource) on a resource. Source: R4, "FHIRPath Patch".

Paths are element names with `[n]`, `first()`, `last()`, `where(name = 'value')`, `ofType(T)`, `as(T)` and
`extension('url')`; that is what patches use. A path must find one element, except `delete`, where none is no failure.
"""

import copy
import re
from dataclasses import dataclass
from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse

Json = dict[str, Any]
MAX_OPERATIONS = 1000
_STEP = re.compile(
    r"\.?(?:\[(?P<at>\d{1,6})\]|(?P<end>first|last)\(\)|where\(\s*(?P<key>[\w.]+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|true|false|-?\d+(?:\.\d+)?)\s*\)"
    r"|(?:ofType|as)\((?P<type>\w+)\)|extension\(\s*'(?P<url>[^']*)'\s*\)|(?P<name>\w+))"
)


@dataclass(frozen=True, slots=True)
class _Spot:
    """An element: its value, where it hangs (a dict and property, or a list and index), and its type or backbone path."""

    value: Any
    holder: Any
    key: Any
    type: str


def _fail(place: int, text: str) -> FhirError:
    return refuse(400, "processing", "Operation {} of the FHIRPath Patch cannot be applied: {}.", name(place), name(text))


def _child(spot: _Spot, label: str) -> list[_Spot]:
    if not isinstance(spot.value, dict):
        return []
    found = []
    for prop, (element, kind) in definitions.properties(spot.type).items():
        if element.name != label or prop not in spot.value:
            continue
        value = spot.value[prop]
        if isinstance(value, list):
            found += [_Spot(v, value, i, kind) for i, v in enumerate(value)]
        else:
            found.append(_Spot(value, spot.value, prop, kind))
    return found


def _equals(spot: _Spot, keys: list[str], wanted: str) -> bool:
    spots = [spot]
    for key in keys:
        spots = [s for before in spots for s in _child(before, key)]
    for found in spots:
        value = found.value
        text = "'" + value + "'" if isinstance(value, str) else str(value).lower()
        if text == wanted:
            return True
    return False


def _step(spots: list[_Spot], match: re.Match[str]) -> list[_Spot]:
    g = match.groupdict()
    if g["at"] is not None:
        place = int(g["at"])
        return spots[place : place + 1]
    if g["end"]:
        return spots[:1] if g["end"] == "first" else spots[-1:]
    if g["key"]:
        return [s for s in spots if _equals(s, g["key"].split("."), g["value"])]
    if g["type"]:
        return [s for s in spots if s.type == g["type"]]
    if g["url"] is not None:
        return [s for before in spots for s in _child(before, "extension") if s.value.get("url") == g["url"]]
    return [s for before in spots for s in _child(before, g["name"])]


def _find(resource: Json, path: str, place: int) -> list[_Spot]:
    kind = resource["resourceType"]
    spots = [_Spot(resource, None, None, kind)]
    head = re.match(r"(\w+)(?=[.\[]|$)", path)
    at = head.end() if head and head[1] in (kind, "Resource", "DomainResource") else 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or match.end() == at:
            raise _fail(place, "a path uses what FHIRPath Patch does not offer here")
        spots = _step(spots, match)
        at = match.end()
    return spots


def _only(resource: Json, path: str, place: int) -> _Spot:
    spots = _find(resource, path, place)
    if len(spots) != 1:
        raise _fail(place, "a path finds no element" if not spots else "a path finds more than one element")
    return spots[0]


def _parts(row: Json) -> dict[str, Json]:
    return {part["name"]: part for part in row.get("part", []) if isinstance(part, dict) and isinstance(part.get("name"), str)}


def _value(part: Json | None, kind: str, place: int) -> Any:
    """The value of a part: `value[x]`, or nested parts that build an element."""
    if part is None:
        raise _fail(place, "it has no value")
    direct = [v for k, v in part.items() if k.startswith("value")]
    if direct:
        return direct[0]
    built: Json = {}
    for inner in part.get("part", []):
        label = inner.get("name", "")
        options = [(p, e, k) for p, (e, k) in definitions.properties(kind).items() if label in (e.name, p)]
        if not options:
            raise _fail(place, "a part of the value names no element")
        prop, element, inner_kind = _chosen(options, inner)
        value = _value(inner, inner_kind, place)
        if element.many:
            built.setdefault(prop, []).append(value)
        else:
            built[prop] = value
    if not built:
        raise _fail(place, "it has no value")
    return built


def _chosen(options: list[tuple[str, definitions.Element, str]], part: Json) -> tuple[str, definitions.Element, str]:
    """The property that a part fills: of a choice the one whose type the value has."""
    given = next((k.removeprefix("value") for k in part if k.startswith("value")), "")
    return next((o for o in options if o[0].endswith(given)), options[0]) if len(options) > 1 else options[0]


def _text(parts: dict[str, Json], key: str, place: int) -> str:
    part = parts.get(key, {})
    value = next((v for k, v in part.items() if k.startswith("value")), None)
    if not isinstance(value, str):
        raise _fail(place, f"it has no {key}")
    return value


def _number(parts: dict[str, Json], key: str, place: int) -> int:
    value = parts.get(key, {}).get("valueInteger")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _fail(place, f"it has no {key}")
    return value


def _add(resource: Json, parts: dict[str, Json], place: int) -> None:
    spot, label = _only(resource, _text(parts, "path", place), place), _text(parts, "name", place)
    options = [(p, e, k) for p, (e, k) in definitions.properties(spot.type).items() if label in (e.name, p)]
    if not options or not isinstance(spot.value, dict):
        raise _fail(place, "the name is no element of what the path finds")
    prop, element, kind = _chosen(options, parts.get("value", {}))
    value = _value(parts.get("value"), kind, place)
    if element.many:
        spot.value.setdefault(prop, []).append(value)
    elif any(p in spot.value for p, _, _ in options):
        raise _fail(place, "the element is there already and does not repeat")
    else:
        spot.value[prop] = value


def _list(resource: Json, path: str, place: int) -> list[Any]:
    spots = _find(resource, path, place)
    holders = [s.holder for s in spots if isinstance(s.holder, list)]
    if not holders or len(holders) != len(spots) or any(h is not holders[0] for h in holders):
        raise _fail(place, "the path finds no list")
    found: list[Any] = holders[0]
    return found


def _prune(value: Any) -> Any:
    """The value without the elements that a deletion left empty."""
    if isinstance(value, dict):
        kept = {k: _prune(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    if isinstance(value, list):
        return [v for v in map(_prune, value) if v not in ({}, [])]
    return value


def _delete(resource: Json, parts: dict[str, Json], place: int) -> None:
    spots = _find(resource, _text(parts, "path", place), place)
    if len(spots) > 1:
        raise _fail(place, "a path finds more than one element")
    for spot in spots:
        if spot.holder is None:
            raise _fail(place, "the whole resource cannot be deleted")
        del spot.holder[spot.key]
        if isinstance(spot.holder, dict):
            spot.holder.pop("_" + str(spot.key), None)
    pruned = _prune(resource)
    resource.clear()
    resource.update(pruned)


def _replace(resource: Json, parts: dict[str, Json], place: int) -> None:
    spot = _only(resource, _text(parts, "path", place), place)
    if spot.holder is None:
        raise _fail(place, "the whole resource cannot be replaced")
    spot.holder[spot.key] = _value(parts.get("value"), spot.type, place)


def _insert(resource: Json, parts: dict[str, Json], place: int) -> None:
    path, index = _text(parts, "path", place), _number(parts, "index", place)
    held = _list(resource, path, place)
    kind = _find(resource, path, place)[0].type
    if index > len(held):
        raise _fail(place, "the index is outside the list")
    held.insert(index, _value(parts.get("value"), kind, place))


def _move(resource: Json, parts: dict[str, Json], place: int) -> None:
    held = _list(resource, _text(parts, "path", place), place)
    source, destination = _number(parts, "source", place), _number(parts, "destination", place)
    if source >= len(held) or destination >= len(held):
        raise _fail(place, "an index is outside the list")
    held.insert(destination, held.pop(source))


OPERATIONS = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}


def apply(resource: Json, patch: Json) -> Json:
    """The patched resource; the given one is left as it is. Refused with 400, naming the operation's place and reason."""
    rows = patch.get("parameter", []) if patch.get("resourceType") == "Parameters" else None
    if not isinstance(rows, list) or len(rows) > MAX_OPERATIONS:
        raise refuse(400, "structure", "A FHIRPath Patch is a Parameters resource of at most {} operations.", name(MAX_OPERATIONS))
    found: Json = copy.deepcopy(resource)
    for place, row in enumerate(rows):
        if not isinstance(row, dict) or row.get("name") != "operation":
            raise _fail(place, "the parameter is not named operation")
        parts = _parts(row)
        operation = OPERATIONS.get(_text(parts, "type", place))
        if operation is None:
            raise _fail(place, "its type is none of add, insert, delete, replace, move")
        operation(found, parts, place)
    return found
