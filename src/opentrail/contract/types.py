"""msgspec types compiled from the shapes of a model: decode and check in one pass, at C speed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from botocore.model import Shape, StructureShape

from opentrail.contract.patterns import translate

INTEGERS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}

TIMES = (-62135596800, 253402300799)
"""Seconds since 1970 of the first second of the year 1 and the last of the year 9999. No calendar shows other times."""
TIME = Annotated[float, msgspec.Meta(ge=TIMES[0], le=TIMES[1])]


class Types:
    """The types of one operation. `special` tells that a value needs a look after decoding (a union, a JSON value)."""

    def __init__(self, open_enums: bool = False) -> None:
        self.special = False
        self.recursive = False
        self._open = open_enums
        self._made: dict[tuple[str, bool], Any] = {}
        self._making: set[str] = set()

    def of(self, shape: Shape, checked: bool = True) -> Any:
        """The type of any shape. Without `checked` only JSON types are demanded, no constraint."""
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, checked)
        if kind == "list":
            return _bounded(list[self.of(shape.member, checked)], shape, checked)  # type: ignore[misc]
        if kind == "map":
            return _bounded(dict[self.of(shape.key, checked), self.of(shape.value, checked)], shape, checked)  # type: ignore[misc]
        if shape.serialization.get("jsonvalue"):
            self.special = True
            return Any
        if kind in ("string", "character"):
            return self._string(shape, checked)
        if kind == "blob":
            return _bounded(bytes, shape, checked)
        if kind in INTEGERS:
            low, high = INTEGERS[kind]
            return _number(int, shape, low, high, checked)
        if kind in ("float", "double"):
            return _number(float, shape, None, None, checked)
        return {"boolean": bool, "timestamp": TIME}[kind]

    def struct(self, name: str, shape: StructureShape | None, unchecked: tuple[str, ...], streamed: str) -> type[msgspec.Struct]:
        """The input type of an operation; `unchecked` members are free of constraints, `streamed` holds anything."""
        members = shape.members if shape is not None else {}
        required = set(shape.required_members) - set(unchecked) - {streamed} if shape is not None else set()
        types = {member: Any if member == streamed else self.of(inner, member not in unchecked) for member, inner in members.items()}
        return _struct(name, types, required)

    def _structure(self, shape: StructureShape, checked: bool) -> Any:
        key = (shape.name, checked)
        if key in self._made:
            return self._made[key]
        if shape.is_tagged_union:
            self.special = True
        if shape.name in self._making or shape.is_document_type:
            self.recursive = True
            return Any
        self._making.add(shape.name)
        types = {member: self.of(inner, checked) for member, inner in shape.members.items()}
        self._making.discard(shape.name)
        made = self._made[key] = _struct(shape.name, types, set(shape.required_members) if checked else set())
        return made

    def _string(self, shape: Shape, checked: bool) -> Any:
        if not checked:
            return str
        if shape.enum and not self._open:
            return Literal[tuple(shape.enum)]
        pattern = shape.metadata.get("pattern")
        return _bounded(str, shape, True, None if pattern is None else translate(pattern))


def _struct(name: str, types: dict[str, Any], required: set[str]) -> type[msgspec.Struct]:
    fields: list[Any] = [(member, kind) for member, kind in types.items() if member in required]
    fields += [(member, kind | None if kind is not Any else Any, None) for member, kind in types.items() if member not in required]
    return msgspec.defstruct(name, fields, kw_only=True, module=__name__)


def _bounded(kind: Any, shape: Shape, checked: bool, pattern: str | None = None) -> Any:
    """A type with the shape's lengths; msgspec checks them before the pattern."""
    low, high = (shape.metadata.get("min"), shape.metadata.get("max")) if checked else (None, None)
    low, high = None if not low else int(low), None if high is None else int(high)
    if low is None and high is None and pattern is None:
        return kind
    return Annotated[kind, msgspec.Meta(min_length=low, max_length=high, pattern=pattern)]


def _number(kind: Any, shape: Shape, low: int | None, high: int | None, checked: bool) -> Any:
    bounds = shape.metadata if checked else {}
    low, high = bounds.get("min", low), bounds.get("max", high)
    if low is None and high is None:
        return kind
    whole = kind is int
    return Annotated[
        kind, msgspec.Meta(ge=int(low) if whole and low is not None else low, le=int(high) if whole and high is not None else high)
    ]
