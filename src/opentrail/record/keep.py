"""What a record keeps of an operation's input and output: allow-lists of member paths, compiled to small functions.

Names are recased as CloudTrail does (first letter small), map keys never; times are written `Jul 10, 2023 12:24:29 PM`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from opentrail.kernel.errors import HIDDEN

Kept = Callable[[Any], Any]
Tree = dict[str, "Tree"]

EVERYTHING = "*"
ITEMS, VALUES = "[]", "{}"
_SCALARS = (str, int, float, bool)
EARLIEST, LATEST = 62135596800, 253402300799
"""The first second of the year 1, before 1970, and the last of the year 9999: what a calendar shows."""


def tree(paths: Iterable[str]) -> Tree:
    """The paths as a tree: `TagsList[].Key` is {"TagsList": {"[]": {"Key": {}}}}."""
    root: Tree = {}
    for path in paths:
        node = root
        for part in path.replace("[]", ".[]").replace("{}", ".{}").split("."):
            node = node.setdefault(part, {})
    return root


def projector(
    keep: Iterable[str],
    hide: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
    times: Iterable[str] = (),
    shapes: Mapping[str, re.Pattern[str]] | None = None,
) -> Callable[[Any], dict[str, Any] | None]:
    """A function from an input (msgspec struct or mapping) or an output to what the record shows of it; None for nothing.

    `times` are the paths of members that hold seconds since 1970; the values at the paths of `shapes` are hidden unless they match.
    """
    root = tree(keep)
    special: dict[str, Kept] = dict.fromkeys(times, moment)
    special |= {path: _shaped(shape) for path, shape in (shapes or {}).items()}
    for path in hide:
        _graft(root, path)
        special[path] = _hidden
    fields = _fields(root, "", special, rename or {})

    def project(value: Any) -> dict[str, Any] | None:
        return _members(value, fields) or None

    return project if fields else _nothing


def _nothing(value: Any) -> None:
    """What most read-only calls keep of their output: looking for its kind alone would be dear."""


def _graft(root: Tree, path: str) -> None:
    for part in path.replace("[]", ".[]").replace("{}", ".{}").split("."):
        root = root.setdefault(part, {})


def _hidden(value: Any) -> str:
    return HIDDEN


def _shaped(shape: re.Pattern[str]) -> Kept:
    return lambda value: value if isinstance(value, str) and shape.fullmatch(value) else HIDDEN


def _fields(node: Tree, path: str, special: Mapping[str, Kept], rename: Mapping[str, str]) -> list[tuple[str, str, Kept]]:
    return [
        (member, rename.get(member) or recased(member), _kept(below, f"{path}{member}", special))
        for member, below in node.items()
        if member != EVERYTHING
    ]


def _kept(node: Tree, path: str, special: Mapping[str, Kept]) -> Kept:
    if path in special:
        return special[path]
    if not node:
        return _scalar
    if EVERYTHING in node:
        return whole
    if ITEMS in node:
        item = _kept(node[ITEMS], path + ITEMS, special)
        return lambda value: [item(entry) for entry in value]
    if VALUES in node:
        entry = _kept(node[VALUES], path + VALUES, special)
        return lambda value: {key: entry(inner) for key, inner in value.items()}
    fields = _fields(node, path + ".", special, {})
    return lambda value: _members(value, fields)


def _members(value: Any, fields: Sequence[tuple[str, str, Kept]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(value, Struct) or not isinstance(value, Mapping):  # inputs are structs; to ask an abstract class is dear
        for member, name, kept in fields:
            inner = getattr(value, member, None)
            if inner is not None:
                found[name] = kept(inner)
    else:
        for member, name, kept in fields:
            inner = value.get(member)
            if inner is not None:
                found[name] = kept(inner)
    return found


def _scalar(value: Any) -> Any:
    """A value without structure. Bytes and structures that nobody listed are content: hidden."""
    return value if isinstance(value, _SCALARS) else HIDDEN


def whole(value: Any) -> Any:
    """A structure with everything below it, members recased."""
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Mapping):
        return {recased(key): whole(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [whole(entry) for entry in value]
    names = getattr(value, "__struct_fields__", None)
    if names is None:
        return HIDDEN
    return {recased(name): whole(inner) for name in names if (inner := getattr(value, name)) is not None}


def recased(member: str) -> str:
    """A member's name in records: S3BucketName -> s3BucketName."""
    return member[:1].lower() + member[1:]


def moment(value: Any) -> Any:
    """Seconds since 1970 as records write times: Jul 10, 2023 12:24:29 PM."""
    if not isinstance(value, int | float) or not -EARLIEST <= value <= LATEST:
        return HIDDEN
    return time.strftime("%b %d, %Y %I:%M:%S %p", time.gmtime(value)).replace(" 0", " ")
