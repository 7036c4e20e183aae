"""AssumeRole: credentials of a role for whoever its trust policy names."""

from __future__ import annotations

from collections.abc import Sequence

from opentrail.calls import tagging
from opentrail.calls.call import Call, Touched
from opentrail.calls.operation import Input, Operation, Output, ResourcePolicy, Right
from opentrail.identity import store
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Issuer, Principal, Session
from opentrail.services.sts import common
from opentrail.store.sql import Snapshot

CHAINED = 3600
"""Seconds that a session which a session asked for lasts at most."""
_UNSUPPORTED = ("PolicyArns", "TransitiveTagKeys", "SerialNumber", "TokenCode", "ProvidedContexts", "MinimumSessionTokenSize")


def trust_policy(snapshot: Snapshot, arn: str) -> ResourcePolicy | None:
    """A role's trust policy is the resource policy that decides on AssumeRole; None for anything else."""
    role = store.role_by_arn(snapshot, arn)
    return ResourcePolicy(role.account, role.trust) if role is not None else None


def _rights(call: Call, input: Input) -> Sequence[Right]:
    _check_caller(call)
    given = tagging.of_request((tag.Key, tag.Value) for tag in input.Tags or ())
    keys = {"sts:rolesessionname": input.RoleSessionName, **given}
    if input.ExternalId is not None:
        keys["sts:externalid"] = input.ExternalId
    if input.SourceIdentity is not None:
        keys["sts:sourceidentity"] = input.SourceIdentity
    actions = ["sts:AssumeRole"] + ["sts:TagSession"] * bool(given) + ["sts:SetSourceIdentity"] * (input.SourceIdentity is not None)
    return [Right(action, input.RoleArn, keys) for action in actions]


def _check_caller(call: Call) -> None:
    if call.caller.kind == "Root":
        raise common.denied("Roles may not be assumed by root accounts.")
    if call.caller.kind == "FederatedUser":
        raise common.denied("Cannot call AssumeRole with federated user credentials")


def assume_role(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Issues a session of the role. The right was decided by the trust policy; here only what the session may be."""
    common.refuse_unsupported(input, *_UNSUPPORTED)
    policies, tags = common.session_policies(input), common.session_tags(input.Tags)
    role = store.role_by_arn(snapshot, input.RoleArn)
    if role is None:
        raise ServiceError(
            "AccessDenied",
            "User: {principal} is not authorized to perform: sts:AssumeRole on resource: {resource}",
            status=403,
            principal=call.caller.arn or call.caller.service,
            resource=input.RoleArn,
        )
    duration = _duration(call, role, input.DurationSeconds)
    issuer = Issuer("Role", role.id, role.arn, role.account, role.name)
    session = Session(call.now, call.now + duration, False, issuer, _source_identity(call, input.SourceIdentity), policies, tags)
    arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{input.RoleSessionName}"
    principal = Principal(
        "AssumedRole", role.account, f"{role.id}:{input.RoleSessionName}", arn, session=session, invoked_by=call.caller.service
    )
    # The role's account gets a record of its own when it is not the caller's.
    call.touched.append(Touched("AWS::IAM::Role", role.arn, role.account))
    named = {"SourceIdentity": session.source_identity} if session.source_identity else {}
    return {
        "Credentials": common.credentials(call, principal, role.id),
        "AssumedRoleUser": {"AssumedRoleId": principal.principal_id, "Arn": arn},
        **common.packed(policies, tags),
        **named,
    }


def _duration(call: Call, role: store.Role, asked: int | None) -> int:
    duration = 3600 if asked is None else asked
    if duration > role.longest:
        raise common.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if duration > CHAINED and call.caller.kind == "AssumedRole":
        raise common.invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
    return duration


def _source_identity(call: Call, asked: str | None) -> str | None:
    """A source identity, once set, stays for the whole chain."""
    held = call.caller.session.source_identity if call.caller.session is not None else None
    if held is not None and asked is not None and asked != held:
        raise common.denied("The source identity of a session cannot be changed.")
    return held or asked


OPERATIONS = (Operation("AssumeRole", _rights, read=assume_role),)
