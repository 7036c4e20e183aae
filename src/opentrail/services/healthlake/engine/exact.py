"""JSON whose decimals stay as they were written: how what will be encoded again is decoded.

    decode(text) -> value     numbers with a fraction or exponent, and -0, are `msgspec.Raw`, which is encoded as it is
    same(left, right)         JSON equality, of such values too

Validation and the index take plain numbers: what came of such a value is encoded, and its text read like that of a request.
"""

import json
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import msgspec

_DECODER = msgspec.json.Decoder(float_hook=msgspec.Raw)
_MINUS_ZERO = re.compile(rb"-0(?=[\s,\]}]|\Z)")
_WIDE = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
"""Takes every number as it is; an exponent that no number needs becomes zero or infinity."""


def decode(text: bytes | msgspec.Raw) -> Any:
    """The value of a JSON text that `requests.parse` accepts."""
    if _MINUS_ZERO.search(text):  # msgspec has no hook for whole numbers, of which only this one would lose anything
        return json.loads(bytes(text), parse_float=msgspec.Raw, parse_int=_whole)
    return _DECODER.decode(text)


def _whole(text: str) -> int | msgspec.Raw:
    return msgspec.Raw(text) if text == "-0" else int(text)


def value(member: Any) -> Any:
    """A member of a resource, decoded if it is not yet."""
    return decode(member) if isinstance(member, msgspec.Raw) else member


def _number(number: Any) -> Decimal | None:
    if isinstance(number, msgspec.Raw):
        return _WIDE.create_decimal(bytes(number).decode())
    return Decimal(repr(number)) if isinstance(number, int | float) else None


def same(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, msgspec.Raw) or isinstance(right, msgspec.Raw):
        return _number(left) == _number(right)
    return bool(left == right)
