"""REST-JSON: the operation is method and path; members in path, query, headers and a JSON body."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from botocore.model import StructureShape

from opentrail.calls.call import Answer, Request
from opentrail.contract import OperationContract
from opentrail.contract.compiled import too_deep
from opentrail.gateway.protocols import faults, rest
from opentrail.kernel.errors import ServiceError


def decode(request: Request, contract: OperationContract, labels: Mapping[str, str]) -> Any:
    """The input struct of a request. Raises ServiceError."""
    shape = contract.model.input_shape
    if shape is None or _all_in_body(shape):
        return contract.from_json(request.body)
    contract.refuse_event_stream()
    value = rest.located(contract, shape, request, labels)
    payload = rest.payload(shape)
    if payload and shape.members[payload].type_name in ("blob", "string"):
        if not contract.streamed:
            held = shape.members[payload].type_name == "blob"
            value[payload] = request.body if held else rest.body_text(request, contract.unreadable_code)
    elif request.body:
        read = _object(request.body, contract.unreadable_code)
        members = {payload: read} if payload else {k: v for k, v in read.items() if k in shape.members}
        value = {**members, **value}
    return contract.from_value(value)


def _object(body: bytes, code: str) -> dict[str, Any]:
    too_deep(body, code)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise ServiceError(code, "The request body is not a JSON object.") from None


def encode(contract: OperationContract, output: Mapping[str, Any], request_id: str) -> Answer:
    """The answer of a call that succeeded."""
    shape = contract.model.output_shape
    lines = [("x-amzn-requestid", request_id)]
    if shape is not None and _all_in_body(shape):
        return rest.answer(int(contract.model.http.get("responseCode", 200)), lines, rest.dumps(output), "application/json")
    status = rest.status(contract, shape, output)
    if shape is None:
        return rest.answer(status, lines, b"", "")
    lines += rest.headers(shape, output)
    payload = rest.payload(shape)
    if payload and shape.members[payload].type_name in ("blob", "string"):
        return rest.answer(status, lines, rest.raw(output.get(payload)), "application/octet-stream")
    apart = {name for name, member in shape.members.items() if "location" in member.serialization}
    body: Any = output.get(payload, {}) if payload else {k: v for k, v in output.items() if k not in apart} if apart else output
    return rest.answer(status, lines, rest.dumps(body), "application/json")


@cache
def _all_in_body(shape: StructureShape) -> bool:
    return not rest.payload(shape) and not any("location" in member.serialization for member in shape.members.values())


def encode_error(contract: OperationContract | None, error: ServiceError, request_id: str) -> Answer:
    """The answer of a call that failed: its name in x-amzn-errortype."""
    fault = faults.fault(contract, error)
    body = rest.dumps({fault.message_member: fault.text, **fault.members})
    lines = [("x-amzn-requestid", request_id), ("x-amzn-errortype", fault.name)]
    return rest.answer(fault.status, lines, body, "application/json")
