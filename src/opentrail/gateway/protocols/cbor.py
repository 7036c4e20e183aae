"""RPC-v2-CBOR: one POST per call to /service/NAME/operation/NAME, a map of members as its body, times under tag 1.

Inputs are decoded within limits (depth, no tag but 1, no key twice, nothing after the end), then checked by the same types as in
JSON. Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html and RFC 8949.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import cbor2
from botocore.model import Shape

from opentrail.calls.call import Answer, Request
from opentrail.contract import OperationContract
from opentrail.contract.compiled import DEPTH
from opentrail.gateway.protocols import faults
from opentrail.kernel.errors import ServiceError

CONTENT_TYPE = "application/cbor"
PROTOCOL = "rpc-v2-cbor"
"""The value of the header smithy-protocol."""

_TIME = 1
_KNOWN_TAGS = (0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
"""What cbor2 would read by itself: among it references, by which a small body becomes an endless value."""

_NULL = (None, cbor2.undefined)


class _Refused(Exception):
    """The body is well-formed CBOR that this protocol does not speak."""


def decode(request: Request, contract: OperationContract, labels: Mapping[str, str]) -> Any:
    """The input struct of a request. Raises ServiceError: not a call of this protocol, unreadable, or every violation."""
    code = contract.unreadable_code
    contract.refuse_event_stream()
    if request.method != "POST":
        raise ServiceError(code, "A call in RPC-v2-CBOR is a POST.", status=405)
    if "x-amz-target" in request.headers or "x-amzn-target" in request.headers:
        raise ServiceError(code, "A call in RPC-v2-CBOR has no X-Amz-Target.")
    if not request.body:
        return contract.from_value({})
    if request.header("content-type").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise ServiceError(code, "The content type of a call in RPC-v2-CBOR is application/cbor.", status=415)
    return contract.from_value(_loaded(request.body, code))


def _loaded(body: bytes, code: str) -> Any:
    """The plain value in a body; absent, null and undefined members are left out, times are numbers. Raises ServiceError."""
    stream = io.BytesIO(body)
    decoder = cbor2.CBORDecoder(
        stream,
        tag_hook=_refuse,
        object_hook=_members,
        semantic_decoders={_TIME: _seconds, **dict.fromkeys(_KNOWN_TAGS, _refuse)},
        max_depth=DEPTH,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
        read_size=1,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORDecodeError, RecursionError, ValueError):
        raise ServiceError(
            code, "The request body is not CBOR as this protocol has it: {levels} levels, no tag but 1.", levels=DEPTH
        ) from None
    if stream.read(1):
        raise ServiceError(code, "The request body goes on behind its end.")
    if not isinstance(value, dict):
        raise ServiceError(code, "The request body must be a map.")
    return value


def _members(value: Mapping[Any, Any], immutable: bool) -> dict[str, Any]:
    if not all(isinstance(key, str) for key in value):
        raise _Refused("a key that is no text")
    return {key: held for key, held in value.items() if held not in _NULL}


def _seconds(value: Any, immutable: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("a time that is no number")
    return value


def _refuse(*found: Any) -> Any:
    raise _Refused("a tag")


def encode(contract: OperationContract, output: Mapping[str, Any], request_id: str) -> Answer:
    """The answer of a call that succeeded."""
    shape = contract.model.output_shape
    if shape is None:
        return Answer(200, _headers(request_id)[1:])
    return Answer(200, _headers(request_id), cbor2.dumps(_tagged(shape, output)))


def encode_error(contract: OperationContract | None, error: ServiceError, request_id: str) -> Answer:
    """The answer of a call that failed: a map of its name and text, and what further members its shape has."""
    fault = faults.fault(contract, error)
    members = {name: _tagged(fault.shapes[name], value) for name, value in fault.members.items()}
    body = {"__type": fault.name, fault.message_member: fault.text.encode("utf-8", "replace").decode(), **members}
    return Answer(fault.status, _headers(request_id), cbor2.dumps(body))


def _headers(request_id: str) -> tuple[tuple[str, str], ...]:
    return ("content-type", CONTENT_TYPE), ("smithy-protocol", PROTOCOL), ("x-amzn-requestid", request_id)


def _tagged(shape: Shape, value: Any) -> Any:
    """The value as it is written: times under their tag, absent members left out."""
    kind = shape.type_name
    if kind == "structure":
        return {name: _tagged(shape.members[name], held) for name, held in value.items() if held is not None}
    if kind == "map":
        return {key: _tagged(shape.value, held) for key, held in value.items()}
    if kind == "list":
        return [_tagged(shape.member, held) for held in value]
    return cbor2.CBORTag(_TIME, value) if kind == "timestamp" else value
