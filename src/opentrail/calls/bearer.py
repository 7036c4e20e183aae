"""Callers with bearer tokens: what the gateway needs to know of a service that takes them, and nothing about what a token allows.

The gateway asks in this order: `issuer` (whose tokens the called resource takes; cached under the state epoch), `admit` (who is
it), `allow` (may it, instead of policies). In the lane, `issuer` is asked again when rights moved: another answer refuses the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentrail.calls.call import Call
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal
from opentrail.store.sql import Snapshot


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who a token stands for, the region of the resource that is called, and what the token allows, for the service to judge."""

    principal: Principal
    region: str
    grant: Any


class TokenRefused(ServiceError):
    """A token that is not accepted: 401. `known` is whom the record names, and where: None when the token proves nobody."""

    def __init__(self, why: str, known: tuple[Principal, str] | None = None) -> None:
        super().__init__("UnauthorizedException", "The bearer token is not accepted: {why}.", status=401, why=why)
        self.known = known
        self.members = {"challenge": 'Bearer error="invalid_token"'}


class Outside(Exception):
    """A token cannot be judged before `ask` has run. It waits for another server, within limits of its own, in a thread; of
    several with the same `key` one is run at a time. It never raises: what it learned, or failed to, shows when asked again."""

    def __init__(self, key: str, ask: Callable[[], None]) -> None:
        super().__init__(key)
        self.key = key
        self.ask = ask


@dataclass(frozen=True, slots=True)
class Bearers:
    """How a service takes bearer tokens."""

    place: Callable[[Call], str]
    """What tells one called resource from another, for the cache."""
    issuer: Callable[[Snapshot, Call], Any]
    """Whose tokens the called resource takes, comparable by ==; None when it takes none, or is not there."""
    admit: Callable[[Call, Any, str], Admitted]
    """Judges a token by what `issuer` said. Computes only, on the event loop. Raises TokenRefused, and Outside at most once."""
    allow: Callable[[Call, Any], None]
    """Raises ServiceError unless `call.grant` allows the decoded call; what depends on stored data the operation itself judges."""
