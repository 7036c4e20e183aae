"""JSON Patch (RFC 6902) on a resource, as a pure function.

Every `copy` of a list into itself doubles it, so what the operations write is counted before it is written, and so is its depth.
"""

from typing import Any

import msgspec

from opentrail.services.healthlake.engine import exact, values
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse

MAX_OPERATIONS = 1000
MOST_WRITTEN = 4 * 1024 * 1024
"""Bytes of JSON that the operations of one patch add, copy and move in all: as many as a resource may have."""
MEMBERS = {"add": ("value",), "remove": (), "replace": ("value",), "move": ("from",), "copy": ("from",), "test": ("value",)}


def _fail(place: int, text: str) -> FhirError:
    return refuse(400, "processing", "Operation {} of the JSON Patch cannot be applied: {}.", name(place), name(text))


def pointer(text: object, place: int) -> list[str]:
    """The parts of a JSON Pointer (RFC 6901)."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _fail(place, "a path is no JSON Pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(part: str, size: int, place: int) -> int:
    if not part.isascii() or not part.isdigit() or (len(part) > 1 and part[0] == "0") or int(part[:9]) >= size:
        raise _fail(place, "an array index is not in the array")
    return int(part)


def _get(document: Any, path: list[str], place: int) -> Any:
    for part in path:
        if isinstance(document, list):
            document = document[_index(part, len(document), place)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise _fail(place, "a path does not exist")
    return document


def _add(document: Any, path: list[str], value: Any, place: int) -> Any:
    if not path:
        return value
    parent, last = _get(document, path[:-1], place), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1, place), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _fail(place, "a path leads into a plain value")
    return document


def _remove(document: Any, path: list[str], place: int) -> Any:
    if not path:
        raise _fail(place, "the whole resource cannot be removed")
    parent, last = _get(document, path[:-1], place), path[-1]
    if isinstance(parent, list):
        return parent.pop(_index(last, len(parent), place))
    if not isinstance(parent, dict) or last not in parent:
        raise _fail(place, "a path does not exist")
    return parent.pop(last)


def _value(document: Any, row: dict[str, Any], place: int) -> tuple[Any, int]:
    """What an operation writes, as a copy, and its bytes; None and 0 when it writes nothing. Refused when it would lie too deep."""
    if row["op"] in ("remove", "test"):
        return None, 0
    value = row["value"] if "value" in MEMBERS[row["op"]] else _get(document, pointer(row["from"], place), place)
    if len(pointer(row.get("path"), place)) + values.levels(value) > values.DEPTH:
        raise _fail(place, f"the result would be nested deeper than {values.DEPTH} levels")
    text = msgspec.json.encode(value)
    return exact.decode(text), len(text)


def _operate(document: Any, row: dict[str, Any], value: Any, place: int) -> Any:
    operation, path = row["op"], pointer(row.get("path"), place)
    if operation in ("add", "copy"):
        return _add(document, path, value, place)
    if operation == "remove":
        _remove(document, path, place)
    elif operation == "replace":
        _get(document, path, place)
        if not path:
            return value
        parent, last = _get(document, path[:-1], place), path[-1]
        parent[int(last) if isinstance(parent, list) else last] = value
    elif operation == "test":
        if not exact.same(_get(document, path, place), row["value"]):
            raise _fail(place, "a test does not hold")
    else:
        return _move(document, pointer(row["from"], place), path, value, place)
    return document


def _move(document: Any, source: list[str], path: list[str], value: Any, place: int) -> Any:
    if path[: len(source)] == source and len(path) > len(source):
        raise _fail(place, "a value cannot be moved into itself")
    if path != source:
        _remove(document, source, place)
        return _add(document, path, value, place)
    return document


def apply(document: Any, patch: object) -> Any:
    """The patched document; the given one is left as it is. Refused with 400, naming the operation's place and reason, and with
    413 when the operations write too much."""
    if not isinstance(patch, list) or len(patch) > MAX_OPERATIONS:
        raise refuse(400, "structure", "A JSON Patch is an array of at most {} operations.", name(MAX_OPERATIONS))
    found, written = exact.decode(msgspec.json.encode(document)), 0
    for place, row in enumerate(patch):
        operation = row.get("op") if isinstance(row, dict) else None
        if not isinstance(operation, str) or operation not in MEMBERS:
            raise _fail(place, "op is none of add, remove, replace, move, copy, test")
        if any(member not in row for member in MEMBERS[operation]):
            raise _fail(place, "a member is missing")
        value, size = _value(found, row, place)
        written += size
        if written > MOST_WRITTEN:
            raise refuse(413, "too-long", "What the JSON Patch adds, copies and moves has more than {} bytes in all.", name(MOST_WRITTEN))
        found = _operate(found, row, value, place)
    return found
