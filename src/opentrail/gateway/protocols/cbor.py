"""RPC-v2-CBOR: calls in it are resolved, authenticated and refused, clearly and in it; the same operations are served in JSON.

Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html and RFC 8949 (maps of text strings).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from opentrail.calls.call import Answer, Request
from opentrail.contract import OperationContract
from opentrail.gateway.protocols import faults
from opentrail.kernel.errors import ServiceError

_MAP, _TEXT = 0xA0, 0x60


def decode(request: Request, contract: OperationContract, labels: Mapping[str, str]) -> NoReturn:
    """Raises ServiceError: inputs are not read in this protocol."""
    raise ServiceError("NotImplemented", "This server does not read RPC-v2-CBOR; call it in JSON.", status=501)


def encode(contract: OperationContract, output: Mapping[str, Any], request_id: str) -> NoReturn:
    """Raises ServiceError, as `decode` did before."""
    decode(Request("", "", "", {}, b"", "", 0.0), contract, {})


def encode_error(contract: OperationContract | None, error: ServiceError, request_id: str) -> Answer:
    """The answer of a call that failed: a map of its name and text."""
    fault = faults.fault(contract, error)
    body = bytes([_MAP | 2]) + b"".join(map(_text, ("__type", fault.name, fault.message_member, fault.text)))
    headers = (("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"), ("x-amzn-requestid", request_id))
    return Answer(fault.status, headers, body)


def _text(text: str) -> bytes:
    """A text string: its major type and length, then UTF-8."""
    encoded = text.encode("utf-8", "replace")
    length = len(encoded)
    if length < 24:
        return bytes([_TEXT | length]) + encoded
    if length < 256:
        return bytes([_TEXT | 24, length]) + encoded
    return bytes([_TEXT | 26]) + length.to_bytes(4, "big") + encoded
