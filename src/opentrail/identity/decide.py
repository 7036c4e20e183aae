"""May this principal do that? Evaluation of all policies that apply to one right.

The rules, in this order; the first that applies decides:

1. A policy that cannot be understood, or an explicit Deny in any policy: no.
2. A service acting for itself: yes if the resource's policy allows it.
3. An anonymous caller: yes if the resource's policy allows everyone.
4. Caller of the resource's own account (or an action without an owner): yes if the resource's policy names the caller itself,
   or if its identity side allows it (for a role's trust policy: and that policy allows the caller or its account).
5. Caller of another account: yes if the resource's policy allows the caller or its account, and the caller's identity side allows it too.
6. Otherwise no; and what the identity side allows, a session's policies must allow too.

The identity side of an account's root user allows everything; a session's is that of its role or user, narrowed by the
session's policies. Source: IAM User Guide, "Policy evaluation logic" and "Determining whether a request is allowed".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from opentrail.identity.patterns import Keys
from opentrail.identity.policy import Policy, Principals, Statement
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal

_ALLOW, _NEITHER, _DENY = 1, 0, -1


class Decision(msgspec.Struct, frozen=True):
    """The outcome. `why` completes AWS's sentence "is not authorized to perform ... because"."""

    allowed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a credential brings to every decision: the policies of its user or role, and its session's own."""

    identity: tuple[Policy, ...] = ()
    session: tuple[Policy, ...] | None = None
    """None: the session is not narrowed. Empty: it is narrowed to nothing, as a federated user without a policy."""
    everything: bool = False
    """The identity side is an account's root user."""
    asks_tags: bool = field(init=False)
    """A policy asks for a tag of the resource. Known once, because it is asked at every call."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asks_tags", any(policy.asks_tags for policy in (*self.identity, *(self.session or ()))))


_YES = Decision(True)
_BROKEN = Decision(False, "because a policy that applies cannot be evaluated")
_NO_IDENTITY = Decision(False, "because no identity-based policy allows the {action} action")
_NO_SESSION = Decision(False, "because no session policy allows the {action} action")
_NO_RESOURCE = Decision(False, "because no resource-based policy allows the {action} action")
_DENIED = {
    kind: Decision(False, f"with an explicit deny in {article} {kind} policy")
    for kind, article in (("identity-based", "an"), ("session", "a"), ("resource-based", "a"))
}


def decide(
    principal: Principal, grants: Grants, action: str, resource: str, keys: Keys, policy: Policy | None = None, owner: str = ""
) -> Decision:
    """Whether `principal` may do `action` (`service:Name`) on `resource` (an ARN or `*`).

    `keys` are the request's condition keys in lower case, with the tags of the resource where a policy asks for them;
    `policy` and `owner` the resource's policy and its owner's account, if it has one. An action on no owned resource counts
    as in the caller's account.
    """
    folded = action.lower()
    identity = _verdict(grants.identity, folded, resource, keys)
    session = _verdict(grants.session, folded, resource, keys) if grants.session is not None else _ALLOW
    names = _names(principal)
    given = _from_resource(policy, names, folded, resource, keys) if policy is not None else _SILENT
    # 1. broken or denied
    if _broken(grants.identity) or _broken(grants.session or ()) or (policy is not None and policy.broken):
        return _BROKEN
    for verdict, kind in ((identity, "identity-based"), (session, "session"), (given.verdict, "resource-based")):
        if verdict == _DENY:
            return _DENIED[kind]
    # 2, 3. callers without an identity side
    if principal.kind in ("AWSService", "AWSAccount"):
        return _YES if given.verdict == _ALLOW else _NO_RESOURCE
    # 4. the same account
    if not owner or owner == principal.account:
        if given.caller and (given.session or session == _ALLOW):
            return _YES
        if policy is not None and policy.trust and given.verdict != _ALLOW:
            return _NO_RESOURCE
    # 5. another account
    elif given.verdict != _ALLOW:
        return _NO_RESOURCE
    if not grants.everything and identity != _ALLOW:
        return _NO_IDENTITY
    # 6. what a session is narrowed to
    return _YES if session == _ALLOW else _NO_SESSION


def _broken(policies: tuple[Policy, ...]) -> bool:
    return any(policy.broken for policy in policies)


def _verdict(policies: tuple[Policy, ...], action: str, resource: str, keys: Keys) -> int:
    found = _NEITHER
    for policy in policies:
        for statement in policy.statements:
            if _applies(statement, action, resource, keys):
                if not statement.allow:
                    return _DENY
                found = _ALLOW
    return found


def _applies(statement: Statement, action: str, resource: str, keys: Keys) -> bool:
    if any(match(action, keys) for match in statement.actions) is statement.not_action:
        return False
    if statement.resources is not None and any(match(resource, keys) for match in statement.resources) is statement.not_resource:
        return False
    return all(test(keys) for test in statement.conditions)


@dataclass(frozen=True, slots=True)
class _Names:
    """By what names a statement may mean a caller: itself, its account as a whole, and its session alone."""

    own: frozenset[str]
    account: str = ""
    session: str = ""
    service: bool = False


_ANONYMOUS = _Names(frozenset())


@lru_cache(maxsize=4096)
def _names(principal: Principal) -> _Names:
    if principal.kind == "AWSService":
        return _Names(frozenset({principal.service}), service=True)
    if principal.kind == "AWSAccount":
        return _ANONYMOUS
    own = {principal.arn}
    issuer = principal.session.issuer if principal.session is not None else None
    if issuer is not None and issuer.kind == "Role":
        own.add(issuer.arn)
    session = principal.arn if principal.kind in ("AssumedRole", "FederatedUser") else ""
    return _Names(frozenset(own), f"arn:aws:iam::{principal.account}:root", session)


@dataclass(frozen=True, slots=True)
class _FromResource:
    """The resource policy's verdict, and how closely an Allow in it means the caller."""

    verdict: int = _NEITHER
    caller: bool = False
    """It names the caller or everyone, not only the caller's account."""
    session: bool = False
    """It names the session itself, which the session's policies then do not narrow."""


_SILENT = _FromResource()


def _from_resource(policy: Policy, names: _Names, action: str, resource: str, keys: Keys) -> _FromResource:
    found, caller, session = _NEITHER, False, False
    for statement in policy.statements:
        principals = statement.principals
        if principals is None or not _means(statement, principals, names) or not _applies(statement, action, resource, keys):
            continue
        if not statement.allow:
            return _FromResource(_DENY)
        found = _ALLOW
        named = not statement.not_principal and not names.own.isdisjoint(principals.names)
        caller = caller or principals.everyone or statement.not_principal or named
        session = session or (named and names.session in principals.names)
    return _FromResource(found, caller, session)


def _means(statement: Statement, principals: Principals, names: _Names) -> bool:
    listed = not names.own.isdisjoint(principals.names) or names.account in principals.names
    if not statement.not_principal:
        # A service acts only where it is named: `*` allows people, though it denies everyone.
        return listed or (principals.everyone and not (names.service and statement.allow))
    if principals.everyone:
        return False
    if statement.allow:
        return not listed and not names.service
    # A Deny leaves out a caller only when session, role and account are all listed, as AWS documents.
    every = names.own | ({names.account} if names.account else frozenset())
    return not every or not every <= principals.names


def refused(principal: Principal, action: str, resource: str, decision: Decision, code: str) -> ServiceError:
    """The answer to a call that was decided against, in AWS's wording and with the service's code."""
    who = principal.arn or principal.service or "anonymous"
    return ServiceError(
        code,
        "User: {principal} is not authorized to perform: {action} on resource: {resource} " + decision.why,
        status=403,
        principal=who,
        action=action,
        resource=resource,
    )
