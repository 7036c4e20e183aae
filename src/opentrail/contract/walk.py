"""What is wrong with a value, all of it, in AWS's words. Runs only after a decode or check has failed."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from botocore.model import Shape, StructureShape

from opentrail.contract.patterns import translate
from opentrail.contract.types import INTEGERS, TIMES
from opentrail.kernel.errors import Content, ServiceError

LISTED = 64
"""Violations that one message spells out; the count at its head is of all."""

_NAMES = {
    "structure": "an object",
    "list": "a list",
    "map": "an object",
    "string": "a string",
    "character": "a string",
    "blob": "base64 text",
    "boolean": "true or false",
    "timestamp": "a number of seconds between the years 1 and 9999",
    "integer": "a whole number of 32 bits",
    "long": "a whole number of 64 bits",
    "float": "a number",
    "double": "a number",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `personal` says that the path holds a map key, which is the caller's text."""

    path: str
    value: Any
    rule: str
    sensitive: bool = False
    personal: bool = False


class Mistyped(Exception):
    """A value of the wrong wire type; `path` and `kind` name the member and what it must be."""

    def __init__(self, path: str, kind: str, personal: bool = False) -> None:
        super().__init__(kind)
        self.path, self.kind, self.personal = path, kind, personal


def violations(
    shape: StructureShape, value: Any, unchecked: tuple[str, ...] = (), streamed: str = "", open_enums: bool = False
) -> list[Violation]:
    """Every broken rule of `value`, in the model's order. Raises Mistyped at the first value of a wrong wire type."""
    walk = _Walk(open_enums)
    if not isinstance(value, dict):
        raise Mistyped("", _NAMES["structure"])
    found: list[Violation] = []
    for name, member in shape.members.items():
        if name != streamed:
            found += walk.member(name, member, value.get(name), name in shape.required_members, name not in unchecked, "", False)
    return found


def message(found: list[Violation], code: str) -> ServiceError:
    """AWS's one error for them all. Values, and paths through map keys, are content."""
    count = len(found)
    parts: list[str] = []
    arguments: dict[str, Any] = {}
    for n, item in enumerate(found[:LISTED]):
        arguments[f"p{n}"] = Content(item.path) if item.personal else item.path
        arguments[f"c{n}"] = item.rule
        shown = " null" if item.value is None else "" if item.sensitive else f" '{{v{n}}}'"
        if item.value is not None and not item.sensitive:
            arguments[f"v{n}"] = Content(_java(item.value))
        parts.append(f"Value{shown} at '{{p{n}}}' failed to satisfy constraint: {{c{n}}}")
    head = f"{count} validation error{'s' if count > 1 else ''} detected: "
    return ServiceError(code, head + "; ".join(parts), **arguments)


class _Walk:
    def __init__(self, open_enums: bool) -> None:
        self._open = open_enums

    def member(self, name: str, shape: Shape, value: Any, required: bool, checked: bool, path: str, personal: bool) -> Iterator[Violation]:
        here = f"{path}{'.' if path else ''}{name[:1].lower()}{name[1:]}"
        if value is not None:
            yield from self.value(shape, value, here, checked, personal)
        elif required and checked:
            yield Violation(here, None, "Member must not be null", personal=personal)

    def value(self, shape: Shape, value: Any, path: str, checked: bool, personal: bool) -> Iterator[Violation]:
        value = _typed(shape, value, path, personal)
        if checked and (rules := self._broken(shape, value)):
            secret = bool(shape.metadata.get("sensitive"))
            for rule in rules:
                yield Violation(path, value, rule, secret, personal)
        if shape.type_name == "structure":
            for name, inner in shape.members.items():
                yield from self.member(name, inner, value.get(name), name in shape.required_members, checked, path, personal)
            if checked and shape.is_tagged_union and sum(value.get(name) is not None for name in shape.members) != 1:
                yield Violation(path, "union", "Member must have exactly one member set", True, personal)
        elif shape.type_name == "list":
            yield from self._items(shape, value, path, checked, personal)
        elif shape.type_name == "map":
            yield from self._entries(shape, value, path, checked, personal)

    def _items(self, shape: Shape, value: list[Any], path: str, checked: bool, personal: bool) -> Iterator[Violation]:
        inner = shape.member
        nested = inner.type_name in ("structure", "list", "map")
        broken = False
        for n, item in enumerate(value, 1):
            here = f"{path}.{n}.member"
            if item is None:
                yield Violation(here, None, "Member must not be null", personal=personal)
            elif nested:
                yield from self.value(inner, item, here, checked, personal)
            else:
                broken = bool(self._broken(inner, _typed(inner, item, here, personal))) or broken
        if broken and checked:
            secret = bool(inner.metadata.get("sensitive"))
            yield Violation(path, value, f"Member must satisfy constraint: [{self._all(inner)}]", secret, personal)

    def _entries(self, shape: Shape, value: dict[str, Any], path: str, checked: bool, personal: bool) -> Iterator[Violation]:
        nested = shape.value.type_name in ("structure", "list", "map")
        keys = values = False
        for key, item in value.items():
            keys = bool(self._broken(shape.key, key)) or keys
            here = f"{path}.{key}.member"
            if item is None:
                yield Violation(here, None, "Member must not be null", personal=True)
            elif nested:
                yield from self.value(shape.value, item, here, checked, True)
            else:
                values = bool(self._broken(shape.value, _typed(shape.value, item, here, True))) or values
        secret = bool(shape.key.metadata.get("sensitive") or shape.value.metadata.get("sensitive"))
        if keys and checked:
            yield Violation(path, value, f"Map keys must satisfy constraint: [{self._all(shape.key)}]", secret, personal)
        if values and checked:
            yield Violation(path, value, f"Map value must satisfy constraint: [{self._all(shape.value)}]", secret, personal)

    def _all(self, shape: Shape) -> str:
        return ", ".join(text for _, text in _rules(shape, self._open))

    def _broken(self, shape: Shape, value: Any) -> list[str]:
        rules = _rules(shape, self._open)
        if not rules:
            return []
        broken = [text for kind, text in rules if kind != "pattern" and not _holds(kind, shape, value)]
        too_long = isinstance(value, str) and len(value) > shape.metadata.get("max", math.inf)
        for kind, text in rules:
            if kind == "pattern" and not too_long and not _compiled(shape.metadata["pattern"]).match(value):
                broken.append(text)
        return broken


def _rules(shape: Shape, open_enums: bool) -> list[tuple[str, str]]:
    """The shape's constraints as (kind, AWS's words)."""
    bounds, kind = shape.metadata, shape.type_name
    enum = kind == "string" and shape.enum and not open_enums
    if enum:
        return [("enum", f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")]
    what = "value" if kind in ("integer", "long", "float", "double") else "length"
    rules = []
    if "max" in bounds:
        rules.append(("max", f"Member must have {what} less than or equal to {_plain(bounds['max'])}"))
    if "min" in bounds:
        rules.append(("min", f"Member must have {what} greater than or equal to {_plain(bounds['min'])}"))
    if kind == "string" and "pattern" in bounds:
        rules.append(("pattern", f"Member must satisfy regular expression pattern: {bounds['pattern']}"))
    return rules


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _holds(kind: str, shape: Shape, value: Any) -> bool:
    if kind == "enum":
        return value in shape.enum
    size = value if isinstance(value, (int, float)) else len(value)
    return bool(size <= shape.metadata["max"] if kind == "max" else size >= shape.metadata["min"])


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _typed(shape: Shape, value: Any, path: str, personal: bool) -> Any:
    """The value, base64 text of a blob decoded. Raises Mistyped."""
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        return json_text(value)
    if kind == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise Mistyped(path, _NAMES[kind], personal) from None
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    elif kind == "timestamp":
        right = isinstance(value, (int, float)) and not isinstance(value, bool) and TIMES[0] <= value <= TIMES[1]
    elif kind in ("float", "double"):
        right = isinstance(value, (int, float)) and not isinstance(value, bool) and -1.8e308 < value < 1.8e308
    else:
        right = isinstance(value, _PYTHON[kind])
    if not right:
        raise Mistyped(path, _NAMES[kind], personal)
    return value


_PYTHON: dict[str, type] = {
    "structure": dict, "map": dict, "list": list, "string": str, "character": str, "blob": bytes, "boolean": bool,
}  # fmt: skip


def json_text(value: Any) -> str:
    """A JSON value member as text, whether it came as text or as bare JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _java(value: Any) -> str:
    """How AWS prints a value: lists as [a, b], maps as {a=b}."""
    if isinstance(value, list):
        return "[" + ", ".join(_java(item) for item in value[:256]) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in list(value.items())[:256]) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)
