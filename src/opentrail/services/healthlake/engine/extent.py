"""How large and how deep decoded JSON is, before anything copies or encodes it."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentrail.services.healthlake.engine.issues import refuse

DEEPEST = 64
"""Levels of arrays and objects: as many as a request may have."""


class Extent(NamedTuple):
    """How many values there are, objects and arrays included, and how many bytes their JSON has at least."""

    values: int
    bytes: int


def of(value: Any) -> Extent:
    """The extent of a value. Refused with 400 when it nests deeper than `DEEPEST` levels."""
    count, length, level = 0, 0, [value]
    for _ in range(DEEPEST + 1):
        deeper: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                length += sum(map(len, node)) + 4 * len(node)
                deeper += node.values()
            elif isinstance(node, list):
                length += len(node)
                deeper += node
            else:
                length += len(node) if isinstance(node, str) else 1
        count += len(level)
        if not deeper:
            return Extent(count, length)
        level = deeper
    raise refuse(400, "structure", "The resource would be nested deeper than 64 levels.")
