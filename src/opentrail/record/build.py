"""Call -> Record: the only place that writes CloudTrail's fields (schema 1.11), in AWS's order.

The JSON is put together from pieces that are rendered once (identity, names) and pieces of this call, because it is paid
on every call. Size rules: text fields are cut at 1 KB; requestParameters and responseElements above 100 KB and
additionalEventData above 28 KB are left out whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from opentrail.kernel.ambient import stamp
from opentrail.kernel.principal import Principal
from opentrail.record.identity import render, render_foreign

VERSION = "1.11"
CALL, SERVICE_EVENT = "AwsApiCall", "AwsServiceEvent"
"""Event types: a call, and what a service did later because of one."""

TEXT_LIMIT = 1024
ELEMENTS_LIMIT = 100 * 1024
ADDITIONAL_LIMIT = 28 * 1024

_encode = msgspec.json.Encoder().encode


class Action(msgspec.Struct, frozen=True, cache_hash=True):
    """What was called, as every record of the same operation says it."""

    event_source: str
    event_name: str
    read_only: bool
    data: bool
    """A data event, not a management event."""


class Facts(msgspec.Struct):
    """What happened in one call. `time` is its completion in seconds since 1970; `resources` are (ARN, type, account)."""

    action: Action
    principal: Principal
    time: float
    region: str
    source_ip: str
    user_agent: str
    request_id: str
    event_id: str
    recipient: str
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    additional: dict[str, Any] | None = None
    error_code: str = ""
    error_message: str = ""
    resources: Sequence[tuple[str, str, str]] = ()
    shared_event_id: str = ""
    foreign: bool = False
    """The recipient owns the resource and sees a caller of another account."""
    host: str = ""
    """The Host header the client sent; with `tls` the record gets tlsDetails."""
    tls: bool = False
    event_type: str = CALL


@lru_cache(maxsize=4096)
def _named(action: Action, region: str) -> bytes:
    source, name = _encode(action.event_source), _encode(action.event_name)
    return b'","eventSource":' + source + b',"eventName":' + name + b',"awsRegion":' + _encode(region) + b',"sourceIPAddress":'


@lru_cache(maxsize=4096)
def _source(ip: str, agent: str) -> bytes:
    return _encode(ip) + (b',"userAgent":' + _encode(agent[:TEXT_LIMIT]) if agent else b"")


@lru_cache(maxsize=256)
def _classed(event_type: str, data: bool, recipient: str, shared: str) -> bytes:
    shared_part = b',"sharedEventID":' + _encode(shared) if shared else b""
    management, category = (b"false", b"Data") if data else (b"true", b"Management")
    return (
        b'"eventType":"' + event_type.encode() + b'","managementEvent":' + management + b',"recipientAccountId":' + _encode(recipient)
        + shared_part + b',"eventCategory":"' + category + b'"'
    )  # fmt: skip


def build(facts: Facts) -> bytes:
    """The record's JSON, UTF-8."""
    action = facts.action
    service = facts.principal.service or facts.principal.invoked_by
    pieces = [
        b'{"eventVersion":"1.11","userIdentity":',
        (render_foreign if facts.foreign else render)(facts.principal),
        b',"eventTime":"',
        stamp(facts.time).encode(),
        _named(action, facts.region),
        _source(service, service) if service else _source(facts.source_ip, facts.user_agent),
    ]
    if facts.error_code:
        pieces += (b',"errorCode":', _encode(facts.error_code[:TEXT_LIMIT]))
        if facts.error_message:
            pieces += (b',"errorMessage":', _encode(facts.error_message[:TEXT_LIMIT]))
    for name, elements in ((b"requestParameters", facts.request), (b"responseElements", facts.response)):
        rendered = _encode(elements) if elements else b"null"
        if len(rendered) <= ELEMENTS_LIMIT:
            pieces += (b',"', name, b'":', rendered)
    if facts.additional and len(rendered := _encode(facts.additional)) <= ADDITIONAL_LIMIT:
        pieces += (b',"additionalEventData":', rendered)
    pieces += (b',"requestID":"', facts.request_id.encode(), b'","eventID":"', facts.event_id.encode())
    pieces.append(b'","readOnly":true,' if action.read_only else b'","readOnly":false,')
    if facts.resources:
        pieces += (b'"resources":', _encode([_resource(*resource) for resource in facts.resources]), b",")
    pieces.append(_classed(facts.event_type, action.data, facts.recipient, facts.shared_event_id))
    if facts.tls:
        pieces += (b',"tlsDetails":{"clientProvidedHostHeader":', _encode(facts.host[:TEXT_LIMIT]), b"}")
    pieces.append(b"}")
    return b"".join(pieces)


def _resource(arn: str, type: str, account: str) -> dict[str, str]:
    if account and type:
        return {"accountId": account, "type": type, "ARN": arn}
    return {**({"accountId": account} if account else {}), **({"type": type} if type else {}), "ARN": arn}
