"""Reading the body: whole and before the first step, or, for a streamed operation, as step 5 after the call is authorised."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from opentrail.calls.call import Call, Request
from opentrail.gateway.body import HungUp, Source
from opentrail.gateway.protocols import contract
from opentrail.gateway.recording import Outcome
from opentrail.gateway.resolve import resolve as resolve_request
from opentrail.gateway.state import Gateway
from opentrail.gateway.steps.decode import decoded
from opentrail.identity import sigv4
from opentrail.identity.chunks import ChunkReader
from opentrail.identity.refusals import Rejected, refusal
from opentrail.kernel.errors import ServiceError


async def receive_head(gateway: Gateway, request: Request, source: Source) -> Request:
    """The request with its body, or without when the operation streams it. Raises TooLarge, HungUp, Unavailable."""
    if request.method == "PUT" and streams(gateway, request):
        return request
    body = await source.whole(gateway.tools.settings.max_body, gateway.memory)
    return replace(request, body=body) if body else request


def streams(gateway: Gateway, request: Request) -> bool:
    """Whether the request's head already names an operation that takes a streamed body."""
    try:
        found = resolve_request(request, gateway.routes)
    except ServiceError:
        return False
    operation = gateway.services[found.service].operations.get(found.operation)
    return operation is not None and operation.streams_in


async def receive(gateway: Gateway, call: Call, source: Source, outcome: Outcome) -> None:
    """Step 5: spools a streamed body to disk and proves that it is the one that was signed."""
    operation = call.target.operation
    if operation is None or not operation.streams_in:
        return
    claim = call.standing.claim
    if source.declared is None and not call.request.header("transfer-encoding"):
        raise ServiceError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)
    length = decoded_length(call.request, source)
    chunks = None
    if claim.payload in sigv4.STREAMING:
        chunks = _Chunks(ChunkReader(claim, call.standing.credentials.secret, length, call.request.header("x-amz-trailer")))
    file = gateway.spool.file()
    call.spooled = file
    try:
        upload = await source.spool(file, gateway.tools.settings.max_object, chunks)
        if chunks is None:
            sigv4.check_streamed(claim, upload.sha256)
    except Rejected as rejected:
        raise refusal(rejected, "rest-xml") from rejected
    except HungUp as error:  # nobody reads this answer, but the call was authorised, so its record says how it ended
        text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
        raise ServiceError("IncompleteBody", text) from error
    if chunks is not None and chunks.trailers:
        _add_trailers(call, chunks.trailers)
    setattr(call.input, contract(call).streamed, upload)


def _add_trailers(call: Call, trailers: Mapping[str, str]) -> None:
    """Trailing headers count as headers: members that were absent are filled from them."""
    again = decoded(call, {**call.request.headers, **trailers})
    for name in again.__struct_fields__:
        if getattr(call.input, name) is None:
            setattr(call.input, name, getattr(again, name))


def decoded_length(request: Request, source: Source) -> int:
    """How many bytes the body has once it is decoded."""
    text = request.header("x-amz-decoded-content-length")
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return source.declared or 0


class _Chunks:
    """A ChunkReader as the spool wants it."""

    def __init__(self, reader: ChunkReader) -> None:
        self._reader = reader
        self.trailers: Mapping[str, str] = {}

    def feed(self, raw: bytes) -> bytes:
        return b"".join(self._reader.feed(raw))

    def finish(self) -> None:
        self.trailers = self._reader.finish()
