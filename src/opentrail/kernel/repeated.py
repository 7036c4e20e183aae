"""Repeated keys in JSON objects: parsers differ in which one counts, so that what was checked need not be what another one reads."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_ESCAPE = re.compile(rb"\\.", re.DOTALL)


def repeated_key(text: bytes, decoded: object) -> str | None:
    """The first key that an object of a JSON text has twice, if any. `decoded` is what msgspec made of the text.

    A decoder keeps one of the two, so that fewer strings are left than the text has: counting their quotes costs a tenth of a decoder
    that looks at every key, which only has to say which one it is.
    """
    if _quotes(msgspec.json.encode(decoded)) == _quotes(text):
        return None
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)  # of numbers nothing is made, however long they are
    return found[0]


def _quotes(text: bytes) -> int:
    """How many quotes begin or end strings of a JSON text."""
    return (_ESCAPE.sub(b"", text) if b"\\" in text else text).count(b'"')
