"""The scopes of a token, taken apart.

    parse(text, versions, restricted) -> tuple[Scope, ...]

Version 1 is `patient/Observation.read` (`read`, `write`, `*`); version 2 `patient/Observation.rs`, letters of `cruds` in that order,
with search parameters that narrow it: `patient/Observation.rs?category=laboratory`. What is no such scope (`launch`, `openid`,
`offline_access`, an unknown type, letters out of order) grants nothing. Source: SMART App Launch 1.0 and 2.2, "Scopes and launch context".
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from opentrail.services.healthlake.engine import definitions

Level = Literal["patient", "user", "system"]
Action = Literal["c", "r", "u", "d", "s"]
ACTIONS: frozenset[Action] = frozenset(("c", "r", "u", "d", "s"))
MOST = 200
"""Scopes of one token that are looked at."""
MOST_CRITERIA = 5
EVERY = "*"
_ONE: dict[str, frozenset[Action]] = {
    "read": frozenset(("r", "s")),
    "write": frozenset(("c", "u", "d")),
    EVERY: ACTIONS,
}
_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)(?:\?([\x21-\x7e]{1,512}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope that grants something. `criteria` are search parameters that a resource must fit; `type` may be `*`."""

    level: Level
    type: str
    actions: frozenset[Action]
    criteria: tuple[tuple[str, str], ...] = ()

    def speaks_of(self, resource_type: str, actions: str) -> bool:
        """Whether it grants one of these actions on the type."""
        return self.type in (EVERY, resource_type) and not self.actions.isdisjoint(actions)


def parse(text: str, second: bool, narrowing: bool) -> tuple[Scope, ...]:
    """The scopes in a space-separated list, each once. `second`: version 2 is understood too. `narrowing`: so are its search
    parameters; else a scope with them grants nothing, as it must never grant more than it says."""
    found = (_scope(one, second, narrowing) for one in text.split()[:MOST])
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _scope(text: str, second: bool, narrowing: bool) -> Scope | None:
    match = _SCOPE.fullmatch(text)
    if match is None:
        return None
    level, kind, letters, query = match[1], match[2], match[3], match[4]
    actions = _ONE.get(letters) or frozenset(one for one in ACTIONS if second and one in letters)
    if not actions or not (kind == EVERY or definitions.is_resource_type(kind)):
        return None
    if query is None:
        return Scope(level, kind, actions)  # type: ignore[arg-type]
    criteria = _criteria(query)
    reads = actions & _ONE["read"]
    if not criteria or not narrowing or letters in _ONE or not reads:
        return None
    return Scope(level, kind, reads, criteria)  # type: ignore[arg-type]


def _criteria(query: str) -> tuple[tuple[str, str], ...]:
    """The search parameters behind a scope; none when they cannot be read or there are too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_CRITERIA)
    except (ValueError, UnicodeDecodeError):
        return ()
    return tuple(pairs) if all(key and value for key, value in pairs) else ()
