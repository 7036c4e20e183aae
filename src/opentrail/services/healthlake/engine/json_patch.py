"""JSON Patch (RFC 6902) on a resource, as a pure function."""

import copy
from typing import Any

from opentrail.services.healthlake.engine import extent
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse

MAX_OPERATIONS = 1000
MOST_COPIED = 20_000
"""Values that the copies of one patch may add: each could double the resource, and a few of them fill the memory."""
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


def same(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def _operate(document: Any, row: dict[str, Any], place: int) -> Any:
    operation, path = row["op"], pointer(row.get("path"), place)
    if operation == "add":
        return _add(document, path, copy.deepcopy(row["value"]), place)
    if operation == "remove":
        _remove(document, path, place)
    elif operation == "replace":
        _get(document, path, place)
        if not path:
            return copy.deepcopy(row["value"])
        parent, last = _get(document, path[:-1], place), path[-1]
        parent[int(last) if isinstance(parent, list) else last] = copy.deepcopy(row["value"])
    elif operation == "test":
        if not same(_get(document, path, place), row["value"]):
            raise _fail(place, "a test does not hold")
    else:
        return _transfer(document, operation, pointer(row["from"], place), path, place)
    return document


def _transfer(document: Any, operation: str, source: list[str], path: list[str], place: int) -> Any:
    value = _get(document, source, place)
    if operation == "copy":
        return _add(document, path, copy.deepcopy(value), place)
    if path[: len(source)] == source and len(path) > len(source):
        raise _fail(place, "a value cannot be moved into itself")
    if path != source:
        _remove(document, source, place)
        return _add(document, path, value, place)
    return document


def apply(document: Any, patch: object) -> Any:
    """The patched document; the given one is left as it is. Refused with 400, naming the operation's place and reason, and with 422
    before it copies too much."""
    if not isinstance(patch, list) or len(patch) > MAX_OPERATIONS:
        raise refuse(400, "structure", "A JSON Patch is an array of at most {} operations.", name(MAX_OPERATIONS))
    found, copied = copy.deepcopy(document), 0
    for place, row in enumerate(patch):
        operation = row.get("op") if isinstance(row, dict) else None
        if not isinstance(operation, str) or operation not in MEMBERS:
            raise _fail(place, "op is none of add, remove, replace, move, copy, test")
        if any(member not in row for member in MEMBERS[operation]):
            raise _fail(place, "a member is missing")
        if operation == "copy":
            copied += extent.of(_get(found, pointer(row["from"], place), place)).values
            if copied > MOST_COPIED:
                raise refuse(422, "too-costly", "The copies of a JSON Patch may add {} values at most.", name(MOST_COPIED))
        found = _operate(found, row, place)
    return found
