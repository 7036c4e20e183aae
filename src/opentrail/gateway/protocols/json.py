"""AWS JSON 1.0 and 1.1: one POST per call, the operation in X-Amz-Target, times as epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from opentrail.calls.call import Answer, Request
from opentrail.contract import OperationContract
from opentrail.gateway.protocols import faults
from opentrail.kernel.errors import ServiceError

_write = msgspec.json.Encoder().encode


def decode(request: Request, contract: OperationContract, labels: Mapping[str, str]) -> Any:
    """The input struct of a request. Raises ServiceError."""
    return contract.from_json(request.body)


def encode(contract: OperationContract, output: Mapping[str, Any], request_id: str) -> Answer:
    """The answer of a call that succeeded."""
    # An operation without an output shape answers with an empty body.
    body = _write(output) if contract.model.output_shape is not None else b""
    return Answer(200, (("content-type", content_type(contract)), ("x-amzn-requestid", request_id)), body)


def encode_error(contract: OperationContract | None, error: ServiceError, request_id: str) -> Answer:
    """The answer of a call that failed. Without a contract: of one that could not be told."""
    fault = faults.fault(contract, error)
    body = _write({"__type": fault.name, fault.message_member: fault.text, **fault.members})
    kind = content_type(contract) if contract is not None else "application/x-amz-json-1.1"
    return Answer(fault.status, (("content-type", kind), ("x-amzn-requestid", request_id), ("x-amzn-errortype", fault.name)), body)


@cache
def content_type(contract: OperationContract) -> str:
    """The media type of the contract's JSON version."""
    return f"application/x-amz-json-{contract.model.metadata.get('jsonVersion', '1.1')}"
