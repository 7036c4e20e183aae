"""Calls that services make themselves, through the same steps and the same frame; only HTTP and the signature fall away."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from opentrail.calls.call import Call, Download, Request, Target, Upload
from opentrail.contract import operation as contract_of
from opentrail.gateway.recording import Outcome, recorded
from opentrail.gateway.rights import Standing
from opentrail.gateway.state import Gateway
from opentrail.gateway.steps.authenticate import credentials_of
from opentrail.gateway.steps.authorize import authorize
from opentrail.gateway.steps.perform import perform
from opentrail.identity.credentials import Credentials
from opentrail.identity.decide import Grants
from opentrail.identity.refusals import Rejected
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal

SERVICE = Credentials("", Principal("AWSService", ""), Grants())
"""What a service brings to a decision: no policies of its own."""

_PATIENCE = 60.0
_WHOLE = 64 * 1024 * 1024


class InnerCalls:
    """The `Calls` of a web process. Made before the gateway, which is set by app.py."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        """See calls.tools.Calls."""
        gateway = self.gateway
        assert gateway is not None, "app.py sets the gateway before anything is served"
        if gateway.lane.inside() or threading.get_ident() == gateway.thread:
            raise RuntimeError("a service-made call would wait for the lane or loop in which it stands")
        future = asyncio.run_coroutine_threadsafe(_make(gateway, principal, region, service, operation, input, body), gateway.loop)
        return future.result(timeout=_PATIENCE)


async def _make(
    gateway: Gateway, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes
) -> Mapping[str, Any]:
    tools = gateway.tools
    request = Request(
        "CALL", "/", "", {"host": principal.service, "user-agent": principal.service}, b"", principal.service, tools.clock.now()
    )
    call = Call(request, tools, tools.ids.uuid())
    found = gateway.services[service]
    call.set_target(Target(found, operation, "inner", found.operations[operation]))
    credentials = await _in_role(gateway, principal, region) if principal.role else SERVICE
    call.set_caller(credentials.principal if principal.role else principal, region)
    spooled: Path | None = None

    async def walk(outcome: Outcome) -> None:
        nonlocal spooled
        call.standing = Standing(await gateway.epoch(inner=True), None, credentials)
        value = contract_of(service, operation).from_value(dict(input))
        if found.operations[operation].streams_in:
            spooled = gateway.spool.file()
            upload = await gateway.run(partial(spool, spooled, body), inner=True)
            setattr(value, contract_of(service, operation).streamed, upload)
        call.set_input(value)
        await authorize(gateway, call, None, outcome)
        await perform(gateway, call, None, outcome)

    try:
        outcome = await recorded(gateway, call, walk)
    finally:
        if spooled is not None:
            spooled.unlink(missing_ok=True)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.output is not None
    return {name: _whole(value) for name, value in outcome.output.items()}


async def _in_role(gateway: Gateway, principal: Principal, region: str) -> Credentials:
    """The session of the role in which the service works, assumed for this call. Raises ServiceError when it may not be."""
    asked = {"RoleArn": principal.role, "RoleSessionName": principal.service.partition(".")[0]}
    issued = (await _make(gateway, replace(principal, role=""), region, "sts", "AssumeRole", asked, b""))["Credentials"]
    try:
        return await credentials_of(gateway, await gateway.epoch(inner=True), issued["AccessKeyId"], issued["SessionToken"], inner=True)
    except Rejected as rejected:
        raise ServiceError("AccessDenied", "The role {role} was deleted.", status=403, role=principal.role) from rejected


def spool(file: Path, body: bytes) -> Upload:
    """The body as a streamed one arrives: in a file, fsynced, measured."""
    with file.open("xb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Upload(file, len(body), hashlib.sha256(body).hexdigest(), md5)


def _whole(value: Any) -> Any:
    """A streamed output as bytes."""
    if not isinstance(value, Download):
        return value
    if value.length > _WHOLE:
        raise ServiceError("EntityTooLarge", "The object is larger than a service reads at once.")
    with value.file.open("rb") as file:
        file.seek(value.start)
        return file.read(value.length)
