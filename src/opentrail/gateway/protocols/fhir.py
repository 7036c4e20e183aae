"""FHIR's REST protocol under /datastore/{id}/r4/: paths to operations named as HealthLake's IAM actions, outcomes as FHIR.

Source: https://hl7.org/fhir/R4/http.html and HealthLake's actions in the service authorization reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from opentrail.calls.call import Answer, Request
from opentrail.calls.fhir import FhirInput
from opentrail.kernel.errors import ServiceError

PREFIX = "/datastore/"
CONTENT_TYPE = "application/fhir+json; charset=utf-8"
_PATH = re.compile(r"/datastore/([^/]+)/r4(?:/(.*))?", re.DOTALL)
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_PARAMETERS = 512
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SENT = {
    "if-match": "if_match",
    "if-none-match": "if_none_match",
    "if-none-exist": "if_none_exist",
    "if-modified-since": "if_modified_since",
    "prefer": "prefer",
    "content-type": "content_type",
    "x-amz-fhir-idempotency-key": "idempotency_key",
    "x-amzn-healthlake-fhir-validation-level": "validation_level",
}


def claims(path: str) -> bool:
    """Whether a raw path is FHIR's."""
    return path.startswith(PREFIX)


def route(request: Request) -> tuple[str, FhirInput]:
    """The operation's name and its input. Raises ServiceError for a path or method that FHIR does not know."""
    match = _PATH.fullmatch(request.path)
    if match is None:
        raise ServiceError("ResourceNotFoundException", "The path names no FHIR data store.", status=404)
    try:
        path = match.group(2) or ""
        segments = [unquote(part, errors="strict") if "%" in part else part for part in path.split("/") if part]
        pairs: tuple[tuple[str, str], ...] = ()
        if request.query:
            pairs = tuple(parse_qsl(request.query, keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS))
    except (UnicodeDecodeError, ValueError) as error:
        raise ServiceError("ValidationException", "The path or query is not percent-encoded UTF-8, or has too many parameters.") from error
    host = request.header("host")
    found = FhirInput(
        datastoreId=unquote(match.group(1)),
        parameters=pairs,
        body=request.body,
        base=f"{request.scheme}://{host}/datastore/{match.group(1)}/r4",
        **{_SENT[name]: text for name, text in request.headers.items() if name in _SENT},
    )
    if not (name := _operation(request.method, segments, found)):
        unfit = ServiceError("not-supported", "FHIR has no {method} on this path.", status=405, method=request.method)
        unfit.members = {"allow": ", ".join(method for method in _METHODS if _operation(method, segments, found))}
        raise unfit
    return name, found


def _operation(method: str, segments: list[str], found: FhirInput) -> str:
    """Fills the parts that the path names and returns the operation; empty when the path knows no such method."""
    reads = method in ("GET", "HEAD")
    name = ""
    match segments:
        case []:
            name = "ProcessBundle" if method == "POST" else "SearchWithGet" if reads else ""
        case ["metadata"] if reads:
            name = "GetCapabilities"
        case [".well-known", "smart-configuration"] if reads:
            name = "GetSmartConfiguration"
        case ["_history"] if reads:
            name = "GetFullHistory"
        case ["_search"] if method == "POST":
            name = "SearchWithPost"
        case ["export", job]:
            found.resourceId = job
            name = {"GET": "DescribeFHIRExportJobWithGet", "DELETE": "CancelFHIRExportJobWithDelete"}.get(method, "")
        case ["export", job, type, file]:
            found.resourceId, found.file = job, f"{type}/{file}"
            name = "GetExportedFile" if reads else ""
        case ["Transaction", job]:
            found.resourceId = job
            name = "DescribeTransaction" if reads else "ProcessBundle" if method == "POST" else ""
        case [type] if _TYPE.fullmatch(type):
            found.resourceType = type
            by_method = {"POST": "CreateResource", "PUT": "UpdateResource", "DELETE": "DeleteResource", "PATCH": "PatchResource"}
            name = by_method.get(method, "SearchWithGet" if reads else "")
        case [type, "_search"] if _TYPE.fullmatch(type) and method == "POST":
            found.resourceType = type
            name = "SearchWithPost"
        case [type, "_history"] if _TYPE.fullmatch(type) and reads:
            found.resourceType = type
            name = "GetHistoryByResourceType"
        case [type, id] if _TYPE.fullmatch(type) and not id.startswith("$"):
            found.resourceType, found.resourceId = type, id
            by_method = {"PUT": "UpdateResource", "DELETE": "DeleteResource", "PATCH": "PatchResource"}
            name = by_method.get(method, "ReadResource" if reads else "")
        case [type, id, "_history"] if _TYPE.fullmatch(type) and reads:
            found.resourceType, found.resourceId = type, id
            name = "GetHistoryByResourceId"
        case [type, id, "_history", version] if _TYPE.fullmatch(type) and reads:
            found.resourceType, found.resourceId, found.versionId = type, id, version
            name = "VersionReadResource"
        case [type, id, kind, *rest] if _TYPE.fullmatch(type) and (kind == "*" or _TYPE.fullmatch(kind)):
            found.compartmentType, found.resourceId, found.resourceType = type, id, None if kind == "*" else kind
            name = "SearchWithGet" if reads and not rest else "SearchWithPost" if method == "POST" and rest == ["_search"] else ""
        case [*place, last] if last.startswith("$") and len(place) <= 2:
            name = _named_operation(method, place, last[1:], found)
    return name


def _named_operation(method: str, place: list[str], operation: str, found: FhirInput) -> str:
    found.operation = operation
    if place:
        found.resourceType = place[0]
    if len(place) == 2:
        found.resourceId = place[1]
    if method not in ("GET", "POST") or not re.fullmatch(r"[a-z][a-z-]{1,40}", operation):
        return ""
    verb = "WithGet" if method == "GET" else "WithPost"
    return {
        "everything": "SearchEverything",
        "validate": "ValidateResource",
        "expand": "ExpandValueSet" + verb,
        "lookup": "LookupCodeSystem" + verb,
        "translate": "TranslateConceptMap" + verb,
        "export": "StartFHIRExportJob" + verb,
    }.get(operation, "FHIROperation")


_JSON = ("json", "application/json", "application/fhir+json", "application/fhir json", "text/json")
_ANY = ("*/*", "application/*", *_JSON)


def check_format(request: Request, found: FhirInput) -> None:
    """Refuses with 406 a caller that wants anything but JSON: by `_format`, else by Accept when that names only other FHIR formats."""
    asked = [text for name, text in found.parameters if name == "_format"]
    kinds = [part.partition(";")[0].strip().lower() for part in (asked or request.header("accept").split(",")) if part.strip()]
    other = any("xml" in kind or "turtle" in kind or asked for kind in kinds)
    if other and not any(kind in _ANY for kind in kinds):
        raise ServiceError("NotAcceptable", "FHIR resources are answered as application/fhir+json only.", status=406)


def encode(output: Mapping[str, Any], request_id: str, pretty: bool = False) -> Answer:
    """The answer of a FHIR operation: `status`, `body` (bytes or absent), `headers` of the output."""
    headers = (("x-amzn-requestid", request_id), *output.get("headers", {}).items())
    body = output.get("body", b"")
    if body and isinstance(body, bytes):
        body = msgspec.json.format(body, indent=2) if pretty else body
        headers = (("content-type", CONTENT_TYPE), *headers)
    return Answer(output.get("status", 200), headers, body)


_ISSUE = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported",
          409: "conflict", 410: "deleted", 412: "conflict", 413: "too-long", 415: "not-supported", 422: "processing",
          429: "throttled", 501: "not-supported", 503: "transient"}  # fmt: skip


def encode_error(error: ServiceError, request_id: str) -> Answer:
    """An OperationOutcome. `issues` of the error's members, when there are any, are its issues."""
    issues = error.members.get("issues") or [
        {"severity": "error", "code": error.members.get("issue", _ISSUE.get(error.status, "exception")), "diagnostics": error.for_caller()}
    ]
    headers = [("content-type", CONTENT_TYPE), ("x-amzn-requestid", request_id), ("x-amzn-errortype", error.code)]
    if error.status == 401:
        headers.append(("www-authenticate", str(error.members.get("challenge", "AWS4-HMAC-SHA256"))))
    headers += [(name, str(error.members[name])) for name in ("location", "allow") if name in error.members]
    body = msgspec.json.encode({"resourceType": "OperationOutcome", "id": request_id, "issue": issues})
    return Answer(error.status, tuple(headers), body)
