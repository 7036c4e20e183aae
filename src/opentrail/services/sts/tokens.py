"""GetSessionToken and GetFederationToken: temporary credentials of a user, or of someone it vouches for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from opentrail.calls import tagging
from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, Right
from opentrail.kernel.principal import Issuer, Principal, Session
from opentrail.services.sts import common
from opentrail.store.sql import Snapshot

DEFAULT = 43200
ROOT_LONGEST = 3600
"""Seconds that sessions of a root user last at most, whatever was asked."""


def _long_term(call: Call, operation: str) -> Principal:
    """The caller, if it is a user or root user with a long-term key. Raises AccessDenied."""
    caller = call.caller
    if caller.session is not None or caller.kind not in ("IAMUser", "Root"):
        raise common.denied(f"Cannot call {operation} with session credentials")
    return caller


def _expires(call: Call, asked: int | None) -> float:
    duration = asked or DEFAULT
    return call.now + (min(duration, ROOT_LONGEST) if call.caller.kind == "Root" else duration)


def get_session_token(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Temporary credentials of the caller itself. Second factors are not supported."""
    common.refuse_unsupported(input, "SerialNumber", "TokenCode", "MinimumSessionTokenSize")
    caller = _long_term(call, "GetSessionToken")
    session = Session(call.now, _expires(call, input.DurationSeconds))
    principal = Principal(caller.kind, caller.account, caller.principal_id, caller.arn, user_name=caller.user_name, session=session)
    return {"Credentials": common.credentials(call, principal, caller.principal_id)}


def _federated_arn(call: Call, input: Input) -> str:
    return f"arn:aws:sts::{call.account}:federated-user/{input.Name}"


def _federation_rights(call: Call, input: Input) -> Sequence[Right]:
    _long_term(call, "GetFederationToken")
    keys = tagging.of_request((tag.Key, tag.Value) for tag in input.Tags or ())
    actions = ["sts:GetFederationToken"] + ["sts:TagSession"] * bool(keys)
    return [Right(action, _federated_arn(call, input), keys) for action in actions]


def get_federation_token(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Temporary credentials of a federated user, who may do what both the caller's policies and the given one allow."""
    common.refuse_unsupported(input, "PolicyArns", "MinimumSessionTokenSize")
    caller = _long_term(call, "GetFederationToken")
    policies, tags = common.session_policies(input), common.session_tags(input.Tags)
    kind: Literal["Root", "IAMUser"] = "Root" if caller.kind == "Root" else "IAMUser"
    issuer = Issuer(kind, caller.principal_id, caller.arn, caller.account, caller.user_name)
    session = Session(call.now, _expires(call, input.DurationSeconds), False, issuer, None, policies, tags)
    id = f"{caller.account}:{input.Name}"
    principal = Principal("FederatedUser", caller.account, id, _federated_arn(call, input), session=session)
    return {
        "Credentials": common.credentials(call, principal, caller.principal_id),
        "FederatedUser": {"FederatedUserId": id, "Arn": principal.arn},
        **common.packed(policies, tags),
    }


OPERATIONS = (
    Operation("GetSessionToken", lambda call, input: (), read=get_session_token),
    Operation("GetFederationToken", _federation_rights, read=get_federation_token),
)
