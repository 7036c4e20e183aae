"""REST-XML as S3 speaks it: method, path and sub-resource, members in headers, an XML or raw body."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from botocore.model import StructureShape

from opentrail.calls.call import Answer, Request
from opentrail.contract import OperationContract
from opentrail.gateway.protocols import faults, rest, xml
from opentrail.kernel.errors import ServiceError

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListParts": "ListPartsResult",
}
"""Root elements of answers, which the model does not name."""

UNWRAPPED = {"GetBucketLocation": "LocationConstraint"}
"""Answers whose one member is the root element itself."""


def decode(request: Request, contract: OperationContract, labels: Mapping[str, str]) -> Any:
    """The input struct of a request; a streamed payload is left None for the gateway. Raises ServiceError."""
    contract.refuse_event_stream()
    shape = contract.model.input_shape
    if shape is None:
        return contract.from_value({})
    value = rest.located(contract, shape, request, labels)
    payload, code = rest.payload(shape), contract.unreadable_code
    if payload and not contract.streamed:
        inner = shape.members[payload]
        if inner.type_name in ("blob", "string"):
            value[payload] = request.body if inner.type_name == "blob" else rest.body_text(request, code)
        elif request.body.strip():
            value[payload] = xml.read(inner, xml.parse(request.body, code), payload, code)
        elif payload in shape.required_members:
            raise ServiceError("MissingRequestBodyError", "Request Body is empty")
    elif not payload and request.body.strip() and any("location" not in m.serialization for m in shape.members.values()):
        value.update(xml.read_members(shape, xml.parse(request.body, code), code))
    return contract.from_value(value)


def encode(contract: OperationContract, output: Mapping[str, Any], request_id: str) -> Answer:
    """The answer of a call that succeeded."""
    shape = contract.model.output_shape
    lines = _ids(request_id)
    # The model gives every read 200; a part of an object is 206 (RFC 9110, 15.3.7).
    status = 206 if output.get("ContentRange") else rest.status(contract, shape, output)
    if shape is None:
        return rest.answer(status, lines, b"", "")
    lines += rest.headers(shape, output)
    payload = rest.payload(shape)
    if payload and shape.members[payload].type_name in ("blob", "string"):
        kind = "binary/octet-stream" if shape.members[payload].type_name == "blob" else "application/json"
        return rest.answer(status, lines, rest.raw(output.get(payload)), kind)
    return rest.answer(status, lines, _body(contract, shape, payload, output), "application/xml")


def _body(contract: OperationContract, shape: StructureShape, payload: str, output: Mapping[str, Any]) -> bytes:
    name, out = contract.name, list[str]()
    if payload:
        inner = shape.members[payload]
        if output.get(payload) is None:
            return b""
        xml.write(out, inner.serialization.get("name", payload), inner, output[payload], "millis", NAMESPACE)
    elif name in UNWRAPPED:
        out.append(f'<{UNWRAPPED[name]} xmlns="{NAMESPACE}">{xml.escape(output.get(UNWRAPPED[name]) or "")}</{UNWRAPPED[name]}>')
    elif all("location" in member.serialization for member in shape.members.values()):
        return b""
    else:
        root = ROOTS.get(name, f"{name}Result")
        out.append(f'<{root} xmlns="{NAMESPACE}">')
        xml.write_members(out, shape, output, "millis")
        out.append(f"</{root}>")
    return xml.DECLARATION + "".join(out).encode()


def encode_error(contract: OperationContract | None, error: ServiceError, request_id: str) -> Answer:
    """The answer of a call that failed; none of HEAD has a body."""
    fault = faults.fault(contract, error)
    lines = _ids(request_id)
    if fault.status == 304 or (contract is not None and contract.model.http.get("method") == "HEAD"):
        return rest.answer(fault.status, lines, b"", "")
    out = [f"<Error><Code>{xml.escape(fault.code)}</Code><Message>{xml.escape(fault.text)}</Message>"]
    for member, value in (fault.members or error.members).items():
        if member in fault.shapes:
            xml.write(out, xml.element_name(member, fault.shapes[member]), fault.shapes[member], value, "millis")
        elif isinstance(value, (str, int)) and member.isidentifier():
            # S3 names its error's bucket, key and the like although the model declares few errors.
            out.append(f"<{member}>{xml.escape(str(value))}</{member}>")
    out.append(f"<RequestId>{xml.escape(request_id)}</RequestId><HostId>{lines[1][1]}</HostId></Error>")
    return rest.answer(fault.status, lines, xml.DECLARATION + "".join(out).encode(), "application/xml")


def _ids(request_id: str) -> list[tuple[str, str]]:
    """S3's two ids; the second says nothing, it is derived from the first."""
    host = base64.b64encode(hashlib.sha384(request_id.encode()).digest()).decode()
    return [("x-amz-request-id", request_id), ("x-amz-id-2", host)]
