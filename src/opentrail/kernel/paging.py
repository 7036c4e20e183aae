"""Page tokens: sealed, bound to the operation and to the request's other parameters, never guessable or editable."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from opentrail.kernel.sealing import BadSeal, Sealer

T = TypeVar("T")


class BadToken(Exception):
    """The token is not one of ours, or was issued for other parameters."""


def issue(sealer: Sealer, operation: str, bound_to: object, place: object) -> str:
    """A token for the page that begins at `place` (any msgspec value) of a listing with the parameters `bound_to`."""
    return sealer.seal_text(f"page {operation} {_digest(bound_to)}", msgspec.msgpack.encode(place))


def redeem(sealer: Sealer, operation: str, bound_to: object, token: str, kind: type[T]) -> T:
    """The place in `token`. Raises BadToken when it was altered, or issued for another operation or other parameters."""
    try:
        return msgspec.msgpack.decode(sealer.open_text(f"page {operation} {_digest(bound_to)}", token), type=kind)
    except (BadSeal, msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadToken(operation) from error


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
