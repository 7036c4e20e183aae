"""FHIRPath Patch (a Parameters resource) on a resource. Source: R4, "FHIRPath Patch".

Paths are element names with `[n]`, `first()`, `last()`, `where(name = 'value')`, `ofType(T)`, `as(T)` and
`extension('url')`; that is what patches use. A path must find one element, except `delete`, where none is no failure.

JSON holds a primitive in two places: its value in `x`, its id and extensions in `_x`, lists of them side by side. To FHIRPath
both are one element, so elements are read and written here as pairs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from opentrail.services.healthlake.engine import definitions, values
from opentrail.services.healthlake.engine.exact import same
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse

Json = dict[str, Any]
Pair = tuple[Any, Any]
"""An element: what stands in `x` and in `_x`; None for nothing."""
Option = tuple[str, definitions.Element, str]
"""A property that an element may have in JSON, the element, and the type or backbone path of its value."""

MAX_OPERATIONS = 1000
MOST_LOOKED_AT = 200_000
"""Elements that the paths of one patch may come by in all: half a second of work."""
_TEXT = r"'(?:[^'\\]|\\(?:['\"`\\/fnrt]|u[0-9a-fA-F]{4}))*'"
_STEP = re.compile(
    r"\.?(?:\[(?P<at>\d{1,6})\]|(?P<end>first|last)\(\)"
    rf"|where\(\s*(?P<key>[\w.]+)\s*=\s*(?P<value>{_TEXT}|true|false|-?\d{{1,40}}(?:\.\d{{1,40}})?)\s*\)"
    rf"|(?:ofType|as)\((?P<type>\w+)\)|extension\(\s*(?P<url>{_TEXT})\s*\)|(?P<name>\w+))",
    re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_CONTROLS = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(slots=True)
class _Patching:
    """The resource as it is by now, the operation's place, and how many elements paths have come by."""

    resource: Json
    place: int = 0
    looked_at: int = 0


@dataclass(frozen=True, slots=True)
class _Spot:
    """An element: its value and what extends it, the object that holds it under a property (and index, in a list), its type or
    backbone path, and the element above. The resource itself has neither holder nor parent."""

    value: Any
    extra: Any
    holder: Json
    prop: str
    index: int | None
    type: str
    parent: "_Spot | None"


def _fail(at: _Patching, text: str) -> FhirError:
    return refuse(400, "processing", "Operation {} of the FHIRPath Patch cannot be applied: {}.", name(at.place), name(text))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _pairs(holder: Json, prop: str) -> list[Pair]:
    """The elements of a list."""
    return list(zip_longest(_listed(holder.get(prop)), _listed(holder.get("_" + prop))))


def _put(holder: Json, prop: str, pairs: Iterable[Pair]) -> None:
    """Writes the elements of a list. Of two arrays, one that would hold nothing but null is left out."""
    columns = list(zip(*pairs, strict=True)) or [(), ()]
    for key, column in zip((prop, "_" + prop), columns, strict=True):
        if any(part is not None for part in column):
            holder[key] = list(column)
        else:
            holder.pop(key, None)


def _put_one(holder: Json, prop: str, pair: Pair) -> None:
    for key, part in zip((prop, "_" + prop), pair, strict=True):
        if part is None:
            holder.pop(key, None)
        else:
            holder[key] = part


def _set(spot: _Spot, pair: Pair) -> None:
    """Writes an element where it is."""
    if spot.index is None:
        _put_one(spot.holder, spot.prop, pair)
    else:
        pairs = _pairs(spot.holder, spot.prop)
        pairs[spot.index] = pair
        _put(spot.holder, spot.prop, pairs)


def _take(spot: _Spot) -> None:
    """Removes an element, and those above that it leaves empty."""
    if spot.index is None:
        _put_one(spot.holder, spot.prop, (None, None))
    else:
        pairs = _pairs(spot.holder, spot.prop)
        del pairs[spot.index]
        _put(spot.holder, spot.prop, pairs)
    above = spot.parent
    if above is None or above.parent is None or spot.holder:
        return
    if spot.holder is above.extra and above.value is not None:
        _set(above, (above.value, None))
    else:
        _take(above)


def _look(at: _Patching, count: int) -> None:
    at.looked_at += count
    if at.looked_at > MOST_LOOKED_AT:
        raise refuse(422, "too-costly", "The paths of the FHIRPath Patch come by more than {} elements.", name(MOST_LOOKED_AT))


def _child(at: _Patching, spot: _Spot, label: str) -> list[_Spot]:
    holder = spot.value if isinstance(spot.value, dict) else spot.extra
    found: list[_Spot] = []
    if not isinstance(holder, dict):
        return found
    for prop, (element, kind) in definitions.properties(spot.type).items():
        if element.name != label:
            continue
        value, extra = holder.get(prop), holder.get("_" + prop)
        if isinstance(value, list) or isinstance(extra, list):
            found += [_Spot(*pair, holder, prop, i, kind, spot) for i, pair in enumerate(_pairs(holder, prop))]
        elif value is not None or extra is not None:
            found.append(_Spot(value, extra, holder, prop, None, kind, spot))
    _look(at, 1 + len(found))
    return found


def _literal(text: str) -> Any:
    """The value of a FHIRPath literal."""
    if text in ("true", "false"):
        return text == "true"
    if text[0] != "'":
        return msgspec.Raw(text)
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _CONTROLS.get(found[2], found[2]), text[1:-1])
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # \u escapes may come in pairs


def _equals(at: _Patching, spot: _Spot, keys: list[str], wanted: Any) -> bool:
    spots = [spot]
    for key in keys:
        spots = [s for before in spots for s in _child(at, before, key)]
    return any(same(found.value, wanted) for found in spots)


def _step(at: _Patching, spots: list[_Spot], match: re.Match[str]) -> list[_Spot]:
    g = match.groupdict()
    if g["at"] is not None:
        place = int(g["at"])
        return spots[place : place + 1]
    if g["end"]:
        return spots[:1] if g["end"] == "first" else spots[-1:]
    if g["key"]:
        keys, wanted = g["key"].split("."), _literal(g["value"])
        return [s for s in spots if _equals(at, s, keys, wanted)]
    if g["type"]:
        return [s for s in spots if s.type == g["type"]]
    if g["url"] is not None:
        url = _literal(g["url"])
        return [s for before in spots for s in _child(at, before, "extension") if isinstance(s.value, dict) and s.value.get("url") == url]
    return [s for before in spots for s in _child(at, before, g["name"])]


def _find(at: _Patching, path: str) -> list[_Spot]:
    kind = at.resource["resourceType"]
    spots = [_Spot(at.resource, None, {}, "", None, kind, None)]
    head = re.match(r"(\w+)(?=[.\[]|$)", path)
    end = head.end() if head and head[1] in (kind, "Resource", "DomainResource") else 0
    while end < len(path):
        match = _STEP.match(path, end)
        if match is None or match.end() == end:
            raise _fail(at, "a path uses what FHIRPath Patch does not offer here")
        spots = _step(at, spots, match)
        end = match.end()
    return spots


def _only(at: _Patching, path: str) -> _Spot:
    spots = _find(at, path)
    if len(spots) != 1:
        raise _fail(at, "a path finds no element" if not spots else "a path finds more than one element")
    return spots[0]


def _inner(at: _Patching, part: Json) -> list[Json]:
    rows = part.get("part", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _fail(at, "its parts are no list of objects")
    return rows


def _parts(at: _Patching, row: Json) -> dict[str, Json]:
    return {part["name"]: part for part in _inner(at, row) if isinstance(part.get("name"), str)}


def _direct(part: Json, start: str) -> Any:
    return next((held for key, held in part.items() if key.startswith(start)), None)


def _value(at: _Patching, part: Json | None, kind: str) -> Pair:
    """The element in a part: `value[x]` and `_value[x]`, or nested parts that build it. A copy: later operations may change it."""
    if part is None:
        raise _fail(at, "it has no value")
    given = (_direct(part, "value"), _direct(part, "_value"))
    value, extra = (values.copied(held) if isinstance(held, dict | list) else held for held in given)
    if value is not None or extra is not None:
        return value, extra
    built: Json = {}
    lists: dict[str, list[Pair]] = {}
    for inner in _inner(at, part):
        prop, element, inner_kind = _chosen(at, _named(kind, inner.get("name")), inner)
        pair = _value(at, inner, inner_kind)
        if element.many:
            lists.setdefault(prop, []).append(pair)
        else:
            _put_one(built, prop, pair)
    for prop, pairs in lists.items():
        _put(built, prop, pairs)
    if not built:
        raise _fail(at, "it has no value")
    return built, None


def _named(kind: str, label: object) -> list[Option]:
    """The properties that a name means in a type: several for a choice."""
    primitive = definitions.is_primitive(kind)
    known = definitions.properties(kind).items()
    return [(p, e, k) for p, (e, k) in known if label in (e.name, p) and not (primitive and p == "value")]


def _chosen(at: _Patching, options: list[Option], part: Json) -> Option:
    """The property that a part fills: of a choice the one whose type the value has."""
    if not options:
        raise _fail(at, "a name is no element of what it is added to")
    given = next((key.lstrip("_").removeprefix("value") for key in part if key.lstrip("_").startswith("value")), "")
    if len(options) == 1 or not given:
        return options[0]
    for option in options:
        if option[0] == definitions.json_name(option[1].name, given):
            return option
    raise _fail(at, "the value has a type that the element does not take")


def _text(at: _Patching, parts: dict[str, Json], key: str) -> str:
    value = _direct(parts.get(key, {}), "value")
    if not isinstance(value, str):
        raise _fail(at, f"it has no {key}")
    return value


def _number(at: _Patching, parts: dict[str, Json], key: str) -> int:
    value = parts.get(key, {}).get("valueInteger")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _fail(at, f"it has no {key}")
    return value


def _fits(at: _Patching, above: _Spot, many: bool, pair: Pair) -> None:
    """Refuses an element that would lie too deep below the one above."""
    used, spot = int(many), above
    while spot.parent is not None:
        used += 1 if spot.index is None else 2
        spot = spot.parent
    if 1 + used + max(map(values.levels, pair)) > values.DEPTH:
        raise _fail(at, f"the result would be nested deeper than {values.DEPTH} levels")


def _add(at: _Patching, parts: dict[str, Json]) -> None:
    spot, part = _only(at, _text(at, parts, "path")), parts.get("value", {})
    extends = definitions.is_primitive(spot.type) and not isinstance(spot.value, dict)
    if not extends and not isinstance(spot.value, dict):
        raise _fail(at, "the path finds what has no elements")
    holder: Json = spot.extra if extends and isinstance(spot.extra, dict) else {} if extends else spot.value
    options = _named(spot.type, _text(at, parts, "name"))
    prop, element, kind = _chosen(at, options, part)
    pair = _value(at, part, kind)
    _fits(at, spot, element.many, pair)
    if element.many:
        pairs = _pairs(holder, prop)
        _look(at, len(pairs))
        _put(holder, prop, [*pairs, pair])
    elif any(p in holder or "_" + p in holder for p, _, _ in options):
        raise _fail(at, "the element is there already and does not repeat")
    else:
        _put_one(holder, prop, pair)
    if extends:
        _set(spot, (spot.value, holder))


def _list(at: _Patching, path: str) -> _Spot:
    """The first found element of the list that a path finds."""
    spots = _find(at, path)
    first = spots[0] if spots else None
    if first is None or any(s.index is None or s.holder is not first.holder or s.prop != first.prop for s in spots):
        raise _fail(at, "the path finds no list")
    return first


def _delete(at: _Patching, parts: dict[str, Json]) -> None:
    spots = _find(at, _text(at, parts, "path"))
    if len(spots) > 1:
        raise _fail(at, "a path finds more than one element")
    for spot in spots:
        if spot.parent is None:
            raise _fail(at, "the whole resource cannot be deleted")
        _take(spot)


def _replace(at: _Patching, parts: dict[str, Json]) -> None:
    spot, part = _only(at, _text(at, parts, "path")), parts.get("value", {})
    if spot.parent is None:
        raise _fail(at, "the whole resource cannot be replaced")
    element = definitions.properties(spot.parent.type)[spot.prop][0]
    options = _named(spot.parent.type, element.name)
    prop, _, kind = _chosen(at, sorted(options, key=lambda option: option[0] != spot.prop), part)
    pair = _value(at, part, kind)
    _fits(at, spot.parent, spot.index is not None, pair)
    if prop == spot.prop:
        _set(spot, pair)
    else:
        _set(spot, (None, None))
        _put_one(spot.holder, prop, pair)


def _insert(at: _Patching, parts: dict[str, Json]) -> None:
    spot, index = _list(at, _text(at, parts, "path")), _number(at, parts, "index")
    pairs = _pairs(spot.holder, spot.prop)
    if index > len(pairs):
        raise _fail(at, "the index is outside the list")
    pair = _value(at, parts.get("value"), spot.type)
    assert spot.parent is not None, "a list is held"
    _fits(at, spot.parent, True, pair)
    _put(spot.holder, spot.prop, [*pairs[:index], pair, *pairs[index:]])


def _move(at: _Patching, parts: dict[str, Json]) -> None:
    spot = _list(at, _text(at, parts, "path"))
    source, destination = _number(at, parts, "source"), _number(at, parts, "destination")
    pairs = _pairs(spot.holder, spot.prop)
    if source >= len(pairs) or destination >= len(pairs):
        raise _fail(at, "an index is outside the list")
    pairs.insert(destination, pairs.pop(source))
    _put(spot.holder, spot.prop, pairs)


OPERATIONS = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}


def apply(resource: Json, patch: Json) -> Json:
    """The patched resource; the given one is left as it is. Refused with 400, naming the operation's place and reason, and with 422
    when its paths come by too many elements."""
    rows = patch.get("parameter", []) if patch.get("resourceType") == "Parameters" else None
    if not isinstance(rows, list) or len(rows) > MAX_OPERATIONS:
        raise refuse(400, "structure", "A FHIRPath Patch is a Parameters resource of at most {} operations.", name(MAX_OPERATIONS))
    at = _Patching(values.copied(resource))
    for at.place, row in enumerate(rows):
        if not isinstance(row, dict) or row.get("name") != "operation":
            raise _fail(at, "the parameter is not named operation")
        parts = _parts(at, row)
        operation = OPERATIONS.get(_text(at, parts, "type"))
        if operation is None:
            raise _fail(at, "its type is none of add, insert, delete, replace, move")
        operation(at, parts)
    return at.resource
