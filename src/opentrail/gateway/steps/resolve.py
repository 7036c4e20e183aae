"""Step 1, resolve: which service and operation are called, and in which protocol."""

from __future__ import annotations

from opentrail.calls.call import Call, Target
from opentrail.gateway.body import Source
from opentrail.gateway.protocols import fhir
from opentrail.gateway.recording import Outcome
from opentrail.gateway.resolve import resolve as resolve_request
from opentrail.gateway.state import Gateway


async def resolve(gateway: Gateway, call: Call, source: Source, outcome: Outcome) -> None:
    """Sets the target. Raises ServiceError for a request that names no operation."""
    call.set_target(target_of(gateway, call))


def target_of(gateway: Gateway, call: Call) -> Target:
    """What the request calls. Raises ServiceError."""
    request = call.request
    found = resolve_request(request, gateway.routes)
    service = gateway.services[found.service]
    if found.protocol == "fhir":
        name, place = fhir.route(request)
        return Target(service, name, "fhir", service.operations.get(name), place)
    return Target(service, found.operation, found.protocol, service.operations.get(found.operation), found.labels)
