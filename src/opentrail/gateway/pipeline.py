"""The path of a call, in one tuple. Each step writes its own part of the call once; recording is the frame around them."""

from __future__ import annotations

from functools import partial

from opentrail.calls.call import Answer, Call, Request
from opentrail.gateway.body import HungUp, Source
from opentrail.gateway.protocols import encode_error
from opentrail.gateway.recording import Outcome, recorded
from opentrail.gateway.state import Gateway
from opentrail.gateway.steps.authenticate import authenticate
from opentrail.gateway.steps.authorize import authorize
from opentrail.gateway.steps.decode import decode
from opentrail.gateway.steps.perform import perform
from opentrail.gateway.steps.receive import receive, receive_head
from opentrail.gateway.steps.resolve import resolve
from opentrail.kernel import telemetry
from opentrail.kernel.errors import ServiceError, Unavailable

STEPS = (resolve, authenticate, decode, authorize, receive, perform)


async def serve(gateway: Gateway, request: Request, source: Source) -> Answer:
    """Answers one request. The answer leaves only after its record is durable."""
    started = gateway.tools.clock.monotonic()
    call = Call(request, gateway.tools, gateway.tools.ids.uuid())
    try:
        call.request = await receive_head(gateway, request, source)
    except HungUp:
        telemetry.calls_unrecorded.labels("hung up").inc()
        return Answer(400, ())
    except ServiceError as error:
        telemetry.calls_unrecorded.labels("body").inc()
        return encode_error(call, error)
    try:
        outcome = await recorded(gateway, call, lambda outcome: _walk(gateway, call, source, outcome))
    finally:
        if call.spooled is not None:
            await gateway.run(partial(call.spooled.unlink, missing_ok=True))
    assert outcome.answer is not None, "the frame always leaves an answer"
    service, operation = (call.target.service.name, call.target.name) if call.resolved else ("unknown", "unknown")
    telemetry.count_call(service, operation, outcome.answer.status, gateway.tools.clock.monotonic() - started)
    return outcome.answer


async def _walk(gateway: Gateway, call: Call, source: Source, outcome: Outcome) -> None:
    reason = gateway.admits(False)
    if reason:
        raise Unavailable("No call is served: {reason}", reason=reason)
    for step in STEPS:
        await step(gateway, call, source, outcome)
