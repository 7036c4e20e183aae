"""Step 3, decode: the request becomes the operation's input, checked whole against its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from opentrail.calls.call import Call
from opentrail.gateway.body import Source
from opentrail.gateway.protocols import SPOKEN, contract, fhir
from opentrail.gateway.recording import Outcome
from opentrail.gateway.state import Gateway
from opentrail.kernel.errors import ServiceError


async def decode(gateway: Gateway, call: Call, source: Source, outcome: Outcome) -> None:
    """Sets the input. Raises ServiceError: not offered, unreadable, or every violation."""
    target = call.target
    if target.operation is None:
        raise not_offered(target.service.name, target.name)
    call.set_input(target.place if target.protocol == "fhir" else decoded(call, call.request.headers))
    if target.protocol == "fhir":
        fhir.check_format(call.request, call.input)


def decoded(call: Call, headers: Mapping[str, str]) -> Any:
    """The input that the request and these headers make."""
    target = call.target
    assert target.operation is not None
    known = contract(call)
    request = call.request if headers is call.request.headers else replace(call.request, headers=headers)
    value = SPOKEN[target.protocol].decode(request, known, target.place)
    for name in known.tokens:
        if getattr(value, name) is None:
            setattr(value, name, call.tools.ids.uuid())
    return value


def not_offered(service: str, operation: str) -> ServiceError:
    """The one answer for operations that are known and not offered."""
    return ServiceError(
        "NotImplemented", "{operation} of {service} is not offered by this server.", status=501, operation=operation, service=service
    )
