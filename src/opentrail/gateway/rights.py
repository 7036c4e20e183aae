"""What a caller may do, judged by identity's rules with what is cached under the state epoch, and again in the lane when it moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from opentrail.calls import tagging
from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, ResourcePolicy, Right, Service
from opentrail.gateway.state import Gateway
from opentrail.identity.context import request_keys
from opentrail.identity.credentials import Credentials, load_credentials
from opentrail.identity.decide import Decision, decide, refused
from opentrail.identity.patterns import Keys
from opentrail.identity.policy import compiled
from opentrail.identity.refusals import Rejected
from opentrail.identity.sigv4 import Claim
from opentrail.kernel import arn
from opentrail.kernel.errors import ServiceError
from opentrail.store.database import LaneTx
from opentrail.store.epoch import stored_epoch
from opentrail.store.sql import Snapshot

_NO_KEYS: Keys = {}
"""Enough where there is no policy whose conditions could ask for one."""

_LONG_BODY = 16 * 1024
"""Bytes of a body that is read within half a millisecond."""

_REVOKED = Decision(False, "because the credentials were revoked")


class Standing(msgspec.Struct, frozen=True):
    """What is known of the caller's rights, and at which state epoch. `claim` is None for service-made calls and for callers with
    bearer tokens, of whom `issuer` is what the service said of the called resource's issuer."""

    epoch: int
    claim: Claim | None
    credentials: Credentials
    issuer: Any = None


async def authorize_call(gateway: Gateway, call: Call) -> None:
    """Raises ServiceError unless every right that the call needs is granted."""
    operation, service = call.target.operation, call.target.service
    assert operation is not None, "resolve refuses what is not offered"
    if operation.public and not call.authenticated:
        return
    if call.grant is not None:
        assert service.bearers is not None, "who takes a token can judge it"
        service.bearers.allow(call, call.input)
        return
    inner = call.standing.claim is None
    if operation.rights_in_body and len(call.request.body) > _LONG_BODY:
        rights = await gateway.run(partial(operation.rights, call, call.input), inner)
    else:
        rights = operation.rights(call, call.input)
    policies = [await policy_of(gateway, call.standing.epoch, service, right, inner) for right in rights]
    credentials: Credentials = call.standing.credentials
    tags = await _read_tags(gateway, call, rights, inner) if ask_for_tags(credentials, policies) else {}
    judge(call, credentials, rights, policies, tags)


async def policy_of(gateway: Gateway, epoch: int, service: Service, right: Right, inner: bool = False) -> ResourcePolicy | None:
    """The policy of the right's resource, from the cache of this epoch or the database."""
    if service.resource_policy is None or right.new or right.resource == "*":
        return None
    holder = service.policy_holder(right.resource)
    key = ("policy", service.name, holder)
    found: tuple[ResourcePolicy | None] | None = gateway.cached.get(epoch, key)
    if found is None:
        ask = service.resource_policy

        def load(view: Snapshot) -> tuple[ResourcePolicy | None]:
            return (ask(view, holder),)

        found = gateway.glance(load) if gateway.database.dialect == "sqlite" else await gateway.read(load, inner)
        gateway.cached.put(epoch, key, found)
    return found[0]


def ask_for_tags(credentials: Credentials, policies: Sequence[ResourcePolicy | None]) -> bool:
    """Whether a policy that applies asks for tags of the resource: they are read for such decisions alone."""
    return credentials.grants.asks_tags or any(
        policy is not None and policy.document and compiled(policy.document).asks_tags for policy in policies
    )


async def _read_tags(gateway: Gateway, call: Call, rights: Sequence[Right], inner: bool) -> Mapping[str, ConditionKeys]:
    def load(view: Snapshot) -> Mapping[str, ConditionKeys]:
        return tags_of(gateway.services, view, call.account, rights)

    return gateway.glance(load) if gateway.database.dialect == "sqlite" else await gateway.read(load, inner)


def tags_of(services: Mapping[str, Service], view: Snapshot, account: str, rights: Sequence[Right]) -> Mapping[str, ConditionKeys]:
    """The condition keys that the tags of the rights' resources make, by ARN. The service that an ARN names knows its tags: a role's
    are IAM's, whichever service asks for it."""
    found: dict[str, ConditionKeys] = {}
    for right in rights:
        name = arn.service_of(right.resource)
        service = services.get(name)
        if service is not None and service.resource_tags is not None and not right.new and right.resource not in found:
            found[right.resource] = tagging.of_resource(name, service.resource_tags(view, right.resource, account))
    return found


def authorize_again(gateway: Gateway, call: Call, tx: LaneTx) -> None:
    """In the lane: when rights changed since the call was authorised, judges it again by what the transaction sees."""
    standing: Standing = call.standing
    if standing.epoch == (tx.epoch if gateway.database.dialect == "sqlite" else stored_epoch(tx)):
        return
    service, operation = call.target.service, call.target.operation
    assert operation is not None
    if call.grant is not None:
        if service.bearers is None or service.bearers.issuer(tx, call) != standing.issuer:
            raise _refused(call, Right(f"{service.action_prefix}:{call.target.name}"), _REVOKED)
        return
    credentials = standing.credentials
    if standing.claim is not None:
        try:
            credentials = load_credentials(tx, gateway.tools.sealer, standing.claim.access_key, standing.claim.token)
        except Rejected as rejected:
            raise _refused(call, Right(f"{service.action_prefix}:{call.target.name}"), _REVOKED) from rejected
    rights = operation.rights(call, call.input)
    policies = [_policy_now(tx, service, right) for right in rights]
    tags = tags_of(gateway.services, tx, call.account, rights) if ask_for_tags(credentials, policies) else {}
    judge(call, credentials, rights, policies, tags)


def _policy_now(tx: LaneTx, service: Service, right: Right) -> ResourcePolicy | None:
    if service.resource_policy is None or right.new or right.resource == "*":
        return None
    return service.resource_policy(tx, service.policy_holder(right.resource))


def judge(
    call: Call, credentials: Credentials, rights: Sequence[Right], policies: Sequence[ResourcePolicy | None],
    tags: Mapping[str, ConditionKeys],
) -> None:  # fmt: skip
    """Raises ServiceError for the first right that is not granted. `tags` are those of `tags_of`, where a policy asks for any."""
    if not rights:
        return
    keys: dict[str, str] | None = None
    for right, policy in zip(rights, policies, strict=True):
        owner = policy.owner if policy is not None else ""
        spared = right.owner_root and credentials.grants.everything and owner == call.caller.account
        document = compiled(policy.document) if policy is not None and policy.document and not spared else None
        held: Keys = _NO_KEYS
        if document is not None or credentials.grants.identity or credentials.grants.session:
            keys = keys or request_keys(call.request, call.caller, credentials.tags, call.region, call.request.peer)
            held = {**keys, **right.keys, **tags.get(right.resource, _NO_KEYS)}
        decision = decide(call.caller, credentials.grants, right.action, right.resource, held, document, owner)
        if not decision.allowed:
            call.aimed = [
                (right.resource, policy.owner if policy is not None else "")
                for right, policy in zip(rights, policies, strict=True)
                if not right.new and right.resource != "*"
            ]
            raise _refused(call, right, decision)


def _refused(call: Call, right: Right, decision: Decision) -> ServiceError:
    return refused(call.caller, right.action, right.resource, decision, call.target.service.denied_code)
