"""FHIR interactions by id: CreateResource, ReadResource, VersionReadResource, UpdateResource, DeleteResource, GetCapabilities.

Source: https://hl7.org/fhir/R4/http.html, and HealthLake's behaviour where it says more. Reads see every answered write.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.contract.compiled import too_deep
from opentrail.kernel.ambient import stamp
from opentrail.kernel.errors import Content, ServiceError
from opentrail.services.healthlake import datastores, store
from opentrail.services.healthlake.types import RESOURCE_TYPES
from opentrail.store.sql import Snapshot, Tx

RESOURCE = "AWS::HealthLake::FHIRResource"
MOST_BYTES = 4 * 1024 * 1024
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ETAG = re.compile(r'W/"([0-9]{1,18})"')


class Plan(msgspec.Struct):
    """A checked resource on its way into the store. `id` is None for a create whose id is still to be drawn."""

    datastore: str
    type: str
    id: str
    resource: dict[str, Any]
    if_match: str
    if_none_match: str
    create: bool


def fhir_error(status: int, issue: str, template: str, **arguments: object) -> ServiceError:
    """An OperationOutcome with one issue of FHIR's code `issue`."""
    names = {400: "ValidationException", 404: "ResourceNotFoundException", 409: "ConflictException", 410: "ResourceGoneException"}
    error = ServiceError(names.get(status, "FHIRException"), template, status=status, **arguments)
    error.members = {"issue": issue}
    return error


def active(snapshot: Snapshot, call: Call, id: str) -> store.Datastore:
    """The caller's active data store. Raises ServiceError, 404 as FHIR has it (the control plane's own answer is a 400)."""
    found = store.datastore(snapshot, id)
    if found is None or (found.account, found.region, found.status) != (call.account, call.region, "ACTIVE"):
        raise fhir_error(404, "not-found", "FHIR Data Store with id {id} not found.", id=id)
    call.touch(datastores.TYPE, datastores.store_arn(found))
    return found


def prepare_write(call: Call, input: FhirInput) -> Plan:
    """Create and update, first half: the body is a resource of the named type, within limits, with a proper id."""
    create = input.resourceId is None
    check_type(input.resourceType)
    for header, value in (("If-None-Exist", input.if_none_exist if create else ""), ("idempotency key", input.idempotency_key)):
        if value:
            raise fhir_error(501, "not-supported", "{header} is not supported yet.", header=header)
    if input.parameters:
        raise fhir_error(501, "not-supported", "Conditional updates are not supported yet.")
    resource = parse(input.body)
    if resource.get("resourceType") != input.resourceType:
        raise fhir_error(400, "invalid", "resourceType must be {type}, as in the path.", type=input.resourceType)
    if create:
        resource.pop("id", None)
        id = call.tools.ids.uuid()
    else:
        id = check_id(input.resourceId or "")
        if resource.get("id") != id:
            raise fhir_error(400, "invalid", "id must be there and equal the id in the path.")
    meta = resource.get("meta", {})
    if not isinstance(meta, dict):
        raise fhir_error(400, "structure", "meta must be an object.")
    return Plan(
        input.datastoreId, input.resourceType or "", id, resource, if_match=input.if_match, if_none_match=input.if_none_match, create=create
    )  # fmt: skip


def write(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateResource and UpdateResource: the next version of the resource. 201 when it is new or was deleted, else 200."""
    found = active(tx, call, plan.datastore)
    touch(call, found, plan.type, plan.id)
    before = store.current(tx, found.key, plan.type, plan.id)
    check_preconditions(before, plan)
    number = before.version + 1 if before else 1
    body = with_meta(plan.resource, plan.id, number, call.now)
    method = "POST" if plan.create else "PUT"
    store.write(tx, found.key, plan.type, plan.id, number, call.now, method, body)
    status = 200 if before and before.body is not None else 201
    return {"status": status, "body": body, "headers": headers(number, call.now)}


def check_preconditions(before: store.Version | None, plan: Plan) -> None:
    """If-Match and If-None-Match against the newest version. A deleted id stays taken, as in HealthLake."""
    if plan.if_match:
        wanted = _ETAG.fullmatch(plan.if_match)
        if wanted is None:
            raise fhir_error(400, "invalid", 'If-Match must be of the form W/"1".')
        if before is None or before.body is None or int(wanted.group(1)) != before.version:
            raise fhir_error(412, "conflict", "The version in If-Match is not the current one.")
    if plan.if_none_match:
        if plan.if_none_match != "*":
            raise fhir_error(400, "invalid", "If-None-Match must be * on an update.")
        if before is not None:
            raise fhir_error(412, "conflict", "A resource with this id exists or existed.")


def read(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """ReadResource: 200, 404, 410 for a deleted one, 304 when If-None-Match names the current version."""
    _, newest = _newest(snapshot, call, input)
    if newest.body is None:
        raise gone(newest)
    if input.if_none_match == etag(newest.version):
        return {"status": 304, "headers": headers(newest.version, newest.time)}
    return {"status": 200, "body": newest.body, "headers": headers(newest.version, newest.time)}


def vread(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """VersionReadResource: one version, 410 when that version is the deletion."""
    found, _ = _newest(snapshot, call, input)
    number = input.versionId or ""
    one = None
    if number.isascii() and number.isdigit() and len(number) < 19:
        one = store.version(snapshot, found.key, input.resourceType or "", input.resourceId or "", int(number))
    if one is None:
        raise fhir_error(404, "not-found", "The resource has no version {version}.", version=Content(number))
    if one.body is None:
        raise gone(one)
    return {"status": 200, "body": one.body, "headers": headers(one.version, one.time)}


def _newest(snapshot: Snapshot, call: Call, input: FhirInput) -> tuple[store.Datastore, store.Version]:
    check_type(input.resourceType)
    id = check_id(input.resourceId or "")
    found = active(snapshot, call, input.datastoreId)
    touch(call, found, input.resourceType or "", id)
    newest = store.current(snapshot, found.key, input.resourceType or "", id)
    if newest is None:
        raise fhir_error(404, "not-found", "{type}/{id} is not known.", type=input.resourceType, id=id)
    return found, newest


def gone(one: store.Version) -> ServiceError:
    """The answer for a deleted resource."""
    return fhir_error(410, "deleted", "The resource was deleted at {time}.", time=stamp(one.time))


def delete(tx: Tx, call: Call, input: FhirInput) -> Output:
    """DeleteResource: 204 whether the resource was there or is deleted already; 404 for an id that was never used."""
    if input.resourceId is None:
        raise fhir_error(501, "not-supported", "Conditional deletes are not supported yet.")
    found, newest = _newest(tx, call, input)
    if newest.body is not None:
        store.write(tx, found.key, input.resourceType or "", input.resourceId, newest.version + 1, call.now, "DELETE", None)
        return {"status": 204, "headers": {"etag": etag(newest.version + 1)}}
    return {"status": 204, "headers": {"etag": etag(newest.version)}}


def capabilities(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetCapabilities: what is offered, and that resources are checked for size, type and id only so far."""
    found = active(snapshot, call, input.datastoreId)
    interactions = [{"code": code} for code in ("read", "vread", "create", "update", "delete")]
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": stamp(found.created),
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "implementation": {"description": "OpenTrail FHIR data store", "url": input.base},
        "rest": [
            {
                "mode": "server",
                "documentation": "Resources are checked for size, type and id. Search, history, patch and bundles are not offered yet.",
                "security": {"description": "AWS Signature Version 4, service name healthlake."},
                "resource": [
                    {
                        "type": type,
                        "interaction": interactions,
                        "versioning": "versioned-update",
                        "readHistory": True,
                        "updateCreate": True,
                        "conditionalRead": "not-match",
                    }
                    for type in RESOURCE_TYPES
                ],
            }
        ],
    }
    return {"status": 200, "body": msgspec.json.encode(statement)}


def parse(body: bytes) -> dict[str, Any]:
    """The resource in a body. Raises ServiceError for anything but a JSON object within bounds."""
    if not body:
        raise fhir_error(400, "required", "The request has no body; a resource as JSON is needed.")
    if len(body) > MOST_BYTES:
        raise fhir_error(413, "too-long", "A resource has at most {most} bytes.", most=MOST_BYTES)
    too_deep(body, "ValidationException")
    try:
        resource = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise fhir_error(400, "structure", "The body is not JSON.") from error
    if not isinstance(resource, dict):
        raise fhir_error(400, "structure", "The body must be a JSON object.")
    return resource


def check_type(type: str | None) -> None:
    """Raises ServiceError for a name that is no R4 resource type."""
    if type not in RESOURCE_TYPES:
        raise fhir_error(404, "not-supported", "{type} is not a resource type of FHIR R4.", type=type)


def check_id(id: str) -> str:
    """The id, or ServiceError when it is none."""
    if not _ID.fullmatch(id):
        raise fhir_error(400, "invalid", "A resource id has 1 to 64 of A-Z, a-z, 0-9, - and .")
    return id


def touch(call: Call, found: store.Datastore, type: str, id: str) -> None:
    """Names the resource in the record: who touched which one is the auditor's question."""
    call.touch(RESOURCE, f"{datastores.store_arn(found)}/{type}/{id}")


def with_meta(resource: dict[str, Any], id: str, number: int, time: float) -> bytes:
    """The resource's JSON with its id and the server's own meta members."""
    meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": instant(time)}
    return msgspec.json.encode({"resourceType": resource["resourceType"], "id": id, **resource, "meta": meta} | {"id": id})


def instant(time: float) -> str:
    """Seconds since 1970 as a FHIR instant with milliseconds."""
    return f"{stamp(time)[:-1]}.{int(time * 1000) % 1000:03d}Z"


def etag(number: int) -> str:
    """The weak ETag of a version."""
    return f'W/"{number}"'


def headers(number: int, time: float) -> dict[str, str]:
    """ETag and Last-Modified of a version."""
    return {"etag": etag(number), "last-modified": formatdate(time, usegmt=True)}
