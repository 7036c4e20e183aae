"""The protocols that clients speak, and the one place where a finished call is put into its caller's."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from opentrail.calls.call import Answer, Call, Request
from opentrail.contract import OperationContract
from opentrail.contract import operation as contract_of
from opentrail.gateway.protocols import cbor, fhir, json, query, rest_json, rest_xml
from opentrail.kernel.errors import ServiceError

SPOKEN: dict[str, ModuleType] = {"json": json, "cbor": cbor, "query": query, "rest_json": rest_json, "rest_xml": rest_xml}


def encode(call: Call, output: Mapping[str, Any]) -> Answer:
    """The answer of a call that succeeded. Service-made calls take their output as it is."""
    protocol = call.target.protocol
    if protocol == "inner":
        return Answer(200, ())
    if protocol == "fhir":
        return fhir.encode(output, call.id, ("_pretty", "true") in call.target.place.parameters)
    answer: Answer = SPOKEN[protocol].encode(contract(call), output, call.id)
    return answer


def encode_error(call: Call, error: ServiceError) -> Answer:
    """The answer of a call that failed, also of one that could not be resolved."""
    protocol = call.target.protocol if call.resolved else guess(call.request, error)
    if protocol == "inner":
        return Answer(error.status, ())
    if protocol == "fhir":
        return fhir.encode_error(error, call.id)
    known = contract(call) if call.resolved else None
    answer: Answer = SPOKEN[protocol].encode_error(known, error, call.id)
    return answer


def contract(call: Call) -> OperationContract:
    """The contract of a resolved call."""
    target = call.target
    unchecked = target.operation.unchecked if target.operation is not None else ()
    return contract_of(target.service.name, target.name, target.service.invalid_code, unchecked)


def guess(request: Request, error: ServiceError) -> str:
    """The protocol of a request that calls nothing known."""
    spoken = getattr(error, "protocol", "")
    if spoken in SPOKEN:
        return str(spoken)
    if fhir.claims(request.path):
        return "fhir"
    kind = request.header("content-type")
    if "x-amz-target" in request.headers or kind.startswith("application/x-amz-json"):
        return "json"
    if kind.startswith("application/x-www-form-urlencoded"):
        return "query"
    return "rest_json" if kind.startswith("application/json") else "rest_xml"
