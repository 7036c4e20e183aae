"""Policy documents: parsed and checked when they are put, compiled once for evaluation.

`validate` says why a document is refused; `compiled` gives what `decide` evaluates and never raises: a stored document
that cannot be understood denies everything. Source: IAM User Guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import msgspec

from opentrail.identity import patterns
from opentrail.identity.conditions import OF_RESOURCE_TAGS, BadCondition, Test, asked, compile_conditions, known
from opentrail.identity.patterns import Bound
from opentrail.kernel.repeated import repeated_key

Kind = Literal["identity", "resource", "trust", "session"]
VERSIONS = ("2012-10-17", "2008-10-17")
_FIELDS = frozenset({"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?_-]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_SERVICE = re.compile(r"[a-z0-9.-]{1,256}\.amazonaws\.com")
_PRINCIPAL_ARN = re.compile(
    r"arn:aws:(iam::[0-9]{12}:(root|user/[\w+=,.@/-]+|role/[\w+=,.@/-]+)"
    r"|sts::[0-9]{12}:(assumed-role/[\w+=,.@-]+/[\w+=,.@-]+|federated-user/[\w+=,.@-]+))",
    re.ASCII,
)


class Malformed(Exception):
    """A policy document that is refused. The message names statement, element and rule; it quotes no more than names."""


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a statement speaks of: `names` are ARNs, account ids and service names; `everyone` is `*`."""

    everyone: bool
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, compiled. Absent elements are None; `actions` and `resources` are any-of."""

    allow: bool
    actions: tuple[Bound, ...]
    not_action: bool
    resources: tuple[Bound, ...] | None
    not_resource: bool
    principals: Principals | None
    not_principal: bool
    conditions: tuple[Test, ...]
    asks_tags: bool
    """A condition or a variable asks for a tag of the resource."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled document. `broken`: it could not be understood, and denies."""

    statements: tuple[Statement, ...]
    broken: bool = False
    asks_tags: bool = field(init=False)
    """A statement asks for a tag of the resource, which must be read before the policy is evaluated."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asks_tags", any(statement.asks_tags for statement in self.statements))

    @property
    def trust(self) -> bool:
        """A role's trust policy, which speaks of no resource: without its word nobody gets in, whatever else allows it."""
        return all(statement.resources is None for statement in self.statements)


@lru_cache(maxsize=4096)
def compiled(document: str) -> Policy:
    """The document for evaluation; one that cannot be understood comes back `broken`."""
    try:
        return Policy(tuple(_statement(raw, number, with_variables) for number, raw, with_variables in _statements(document)))
    except Malformed:
        return Policy((), broken=True)


def validate(document: str, kind: Kind) -> Policy:
    """The compiled document, if it may be put as that kind of policy. Raises Malformed."""
    sids: set[str] = set()
    statements = []
    for number, raw, with_variables in _statements(document):
        _check_shape(raw, number, kind)
        sid = raw.get("Sid")
        if isinstance(sid, str) and sid:
            if sid in sids:
                raise Malformed(f"Statement IDs (SID) in a single policy must be unique: statement {number}")
            sids.add(sid)
        statements.append(_statement(raw, number, with_variables))
    return Policy(tuple(statements))


def _statements(document: str) -> list[tuple[int, dict[str, Any], bool]]:
    """Number, element and whether variables count, of each statement."""
    try:
        text = document.encode("utf-8", "surrogatepass")
        policy = msgspec.json.decode(text)
        repeated = repeated_key(text, policy)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed("Syntax errors in policy.") from error
    if repeated is not None:
        raise Malformed(f"Syntax errors in policy: the element {_shown(repeated)} stands twice in one object")
    if not isinstance(policy, dict):
        raise Malformed("Syntax errors in policy.")
    unknown = sorted(set(policy) - {"Version", "Id", "Statement"})
    if unknown:
        raise Malformed(f"Syntax errors in policy: unknown element {_shown(unknown[0])}")
    version = policy.get("Version", "2008-10-17")
    if version not in VERSIONS:
        raise Malformed("The policy must contain a valid version string")
    found = policy.get("Statement")
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise Malformed("Syntax errors in policy: Statement must be a statement or a list of statements")
    return [(number, raw, version == "2012-10-17") for number, raw in enumerate(listed, 1)]


def _check_shape(raw: Mapping[str, Any], number: int, kind: Kind) -> None:
    named = "Principal" in raw or "NotPrincipal" in raw
    if kind in ("identity", "session") and named:
        raise Malformed(f"Policy document should not specify a principal: statement {number}")
    if kind in ("resource", "trust") and not named:
        raise Malformed(f"Missing required field Principal: statement {number}")
    if kind == "trust" and ("Resource" in raw or "NotResource" in raw):
        raise Malformed(f"Has prohibited field Resource: statement {number}")
    if kind != "trust" and "Resource" not in raw and "NotResource" not in raw:
        raise Malformed(f"Policy statement must contain resources: statement {number}")


def _statement(raw: Mapping[str, Any], number: int, with_variables: bool) -> Statement:
    unknown = sorted(set(raw) - _FIELDS)
    if unknown:
        raise Malformed(f"Syntax errors in policy: statement {number} has the unknown element {_shown(unknown[0])}")
    if not isinstance(raw.get("Sid", ""), str):
        raise Malformed(f"Syntax errors in policy: Sid of statement {number}")
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise Malformed(f"Syntax errors in policy: Effect of statement {number} must be Allow or Deny")
    for one in ("Action", "Resource", "Principal"):
        if one in raw and "Not" + one in raw:
            raise Malformed(f"Syntax errors in policy: statement {number} has {one} and Not{one}")
    try:
        conditions = compile_conditions(raw["Condition"], with_variables) if "Condition" in raw else ()
    except BadCondition as error:
        raise Malformed(f"Condition of statement {number}: {_shown(str(error))}") from error
    principals = raw.get("Principal", raw.get("NotPrincipal"))
    return Statement(
        allow=effect == "Allow",
        actions=_actions(raw, number),
        not_action="NotAction" in raw,
        resources=_resources(raw, number, with_variables),
        not_resource="NotResource" in raw,
        principals=_principals(principals, number) if principals is not None else None,
        not_principal="NotPrincipal" in raw,
        conditions=conditions,
        asks_tags=_asks_tags(raw),
    )


def _asks_tags(raw: Mapping[str, Any]) -> bool:
    """Of a statement that was found good. Variables are looked for in every version: a needless look is no harm."""
    resources = raw.get("Resource", raw.get("NotResource")) or ()
    found = [*asked(raw.get("Condition") or {})]
    for resource in [resources] if isinstance(resources, str) else resources:
        found += patterns.variables(resource)
    return any(key.startswith(OF_RESOURCE_TAGS) for key in found)


def _texts(value: object, what: str, number: int) -> list[str]:
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(each, str) and each for each in found):
        raise Malformed(f"Syntax errors in policy: {what} of statement {number} must be a text or a list of texts")
    return [str(each) for each in found]


def _actions(raw: Mapping[str, Any], number: int) -> tuple[Bound, ...]:
    value = raw.get("Action", raw.get("NotAction"))
    if value is None:
        raise Malformed(f"Policy statement must contain actions: statement {number}")
    for action in _texts(value, "Action", number):
        if action != "*" and not _ACTION.fullmatch(action):
            raise Malformed(
                f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: statement {number}, {_shown(action)}"
            )
    return tuple(
        patterns.bound(patterns.tokens(action.lower(), with_variables=False), patterns.glob) for action in _texts(value, "Action", number)
    )


def _resources(raw: Mapping[str, Any], number: int, with_variables: bool) -> tuple[Bound, ...] | None:
    value = raw.get("Resource", raw.get("NotResource"))
    if value is None:
        return None
    found = []
    for resource in _texts(value, "Resource", number):
        if not patterns.is_arn_pattern(resource):
            raise Malformed(f'Resource {_shown(resource)} must be in ARN format or "*": statement {number}')
        if with_variables and "NotResource" in raw and patterns.variables(resource):
            raise Malformed(f"NotResource of statement {number}: a variable there would match everything when it has no value")
        unknown = [key for key in patterns.variables(resource) if with_variables and not known(key)]
        if unknown:
            raise Malformed(f"Resource of statement {number}: {_shown(unknown[0])} is not a policy variable that is evaluated here")
        found.append(patterns.bound(patterns.tokens(resource, with_variables), patterns.arn_glob))
    return tuple(found)


def _principals(value: object, number: int) -> Principals:
    if value == "*":
        return Principals(True, frozenset())
    if not isinstance(value, dict) or not value:
        raise Malformed(f'Invalid principal in policy: statement {number} must name "*" or an object of principals')
    everyone, names = False, set()
    for kind, listed in value.items():
        for name in _texts(listed, "Principal", number):
            if kind == "AWS" and name == "*":
                everyone = True
            elif kind == "AWS" and _ACCOUNT.fullmatch(name):
                names.add(f"arn:aws:iam::{name}:root")
            elif (kind == "AWS" and _PRINCIPAL_ARN.fullmatch(name)) or (kind == "Service" and _SERVICE.fullmatch(name)):
                names.add(name)
            else:
                raise Malformed(f'Invalid principal in policy: statement {number}, "{_shown(str(kind))}":"{_shown(name)}"')
    return Principals(everyone, frozenset(names))


def _shown(text: str) -> str:
    return text[:128]
