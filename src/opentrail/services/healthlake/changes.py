"""CreateResource, UpdateResource, PatchResource, DeleteResource: one request each; `writing` does the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output, Right
from opentrail.services.healthlake import access, datastores, fhir_store, naming, requests, store
from opentrail.services.healthlake.drafts import Draft, draft
from opentrail.services.healthlake.engine.issues import name, operation_outcome, refuse
from opentrail.services.healthlake.engine.patch import FHIR_JSON, JSON_PATCH
from opentrail.services.healthlake.outcomes import refusal
from opentrail.services.healthlake.requests import Json
from opentrail.services.healthlake.writing import Done, Patch, Want, carry_out, patch_of
from opentrail.store.sql import Tx

_KEY = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A want, and how its outcome is answered."""

    datastore: str
    want: Want
    base: str
    prefer: str
    key: str = ""


def _plan(input: FhirInput, want: Want, key: str = "") -> Plan:
    return Plan(input.datastoreId, want, input.base, input.prefer, key)


def _resource(input: FhirInput, type: str) -> Json:
    resource = requests.resource(input)
    if resource.get("resourceType") != type:
        raise refuse(400, "invalid", "resourceType must be {}, as in the path.", name(type))
    return resource


def _draft(call: Call, input: FhirInput, resource: Json) -> Draft:
    own, raw = store.own(input.datastoreId), requests.raw_members(input.body)
    return draft(resource, requests.level(input.validation_level), raw, requests.profiles(call), own=own)


def creating_rights(call: Call, input: FhirInput) -> list[Right]:
    """CreateResource, and ReadResource for a conditional create, which shows the resource that it finds."""
    actions = ("CreateResource", "ReadResource") if input.if_none_exist else ("CreateResource",)
    return [Right(f"healthlake:{action}", datastores.arn_of_id(call, input.datastoreId)) for action in actions]


def prepare_create(call: Call, input: FhirInput) -> Plan:
    """CreateResource, first half. An id in the body is ignored, as FHIR says."""
    type = requests.check_type(input.resourceType)
    if input.idempotency_key and not _KEY.fullmatch(input.idempotency_key):
        raise refuse(400, "value", "x-amz-fhir-idempotency-key must be a UUID.")
    wanted = None
    if input.if_none_exist:
        wanted = requests.criteria(type, requests.query(input.if_none_exist), input.base, requests.milliseconds(call))
    resource = _resource(input, type)
    resource.pop("id", None)
    made = _draft(call, input, resource)
    want = Want("create", type, fresh=call.tools.ids.uuid(), made=made, criteria=wanted)
    return _plan(input, want, input.idempotency_key.lower())


def prepare_update(call: Call, input: FhirInput) -> Plan:
    """UpdateResource, first half: by id, or by the condition in the query."""
    type = requests.check_type(input.resourceType)
    resource = _resource(input, type)
    wanted, id = None, resource.get("id", "")
    if input.resourceId is not None:
        if requests.check_id(input.resourceId) != id:
            raise refuse(400, "invalid", "id must be there and equal the id in the path.")
    else:
        wanted = requests.criteria(type, input.parameters, input.base, requests.milliseconds(call))
        id = requests.check_id(id) if "id" in resource else ""
    made = _draft(call, input, resource)
    want = Want("update", type, id, call.tools.ids.uuid(), made, None, 0, wanted, input.if_match, input.if_none_match)
    return _plan(input, want)


def prepare_patch(call: Call, input: FhirInput) -> Plan:
    """PatchResource, first half: the result is worked out against what is there now, and again in `change` if that moved on.

    A conditional patch is worked out in `change` alone.
    """
    type = requests.check_type(input.resourceType)
    patch = Patch(input.content_type, _document(input), requests.level(input.validation_level), requests.profiles(call))
    if input.resourceId is None:
        wanted = requests.criteria(type, input.parameters, input.base, requests.milliseconds(call))
        return _plan(input, Want("patch", type, patch=patch, criteria=wanted, if_match=input.if_match))
    id = requests.check_id(input.resourceId)
    want = Want("patch", type, id, patch=patch, if_match=input.if_match)
    with call.tools.read() as snapshot:
        found = store.datastore(snapshot, input.datastoreId)
        before = fhir_store.current(snapshot, found.key, type, id) if found and found.account == call.account else None
        if found and before:  # before the patch is tried: how it fails would tell what is there
            access.check_before(snapshot, call, found, "patch", type, id, before)
    return _plan(input, patch_of(want, before, found.own) if found and before and before.body is not None else want)


def _document(input: FhirInput) -> object:
    media = input.content_type.partition(";")[0].strip().lower()
    if media != JSON_PATCH and media not in FHIR_JSON:
        raise refuse(415, "not-supported", "A patch is sent as {} or {}.", name(JSON_PATCH), name(FHIR_JSON[0]))
    if media == JSON_PATCH:
        return requests.patch_document(input.body)
    return requests.exactly(input.body)


def prepare_delete(call: Call, input: FhirInput) -> Plan:
    """DeleteResource, first half: by id, or the one that the condition in the query selects."""
    type = requests.check_type(input.resourceType)
    if input.resourceId is not None:
        return _plan(input, Want("delete", type, requests.check_id(input.resourceId), if_match=input.if_match))
    wanted = requests.criteria(type, input.parameters, input.base, requests.milliseconds(call))
    return _plan(input, Want("delete", type, criteria=wanted, if_match=input.if_match))


def change(tx: Tx, call: Call, plan: Plan) -> Output:
    """Second half of all four. A repeated idempotency key is a 409 that tells where the first one's resource is."""
    found = requests.active(tx, call, plan.datastore)
    if plan.key and (made := fhir_store.made_by(tx, found.key, plan.key)):
        again = refuse(409, "duplicate", "A resource was created with this idempotency key before.")
        raise refusal(again, f"{plan.base}/{made[0]}/{made[1]}")
    done = carry_out(tx, call, found, plan.want)
    naming.tell_patients(call, found, done.patients)
    if plan.want.action == "create" and done.status == 200:
        call.facts["created"] = False
    if plan.key and done.status == 201:
        fhir_store.remember(tx, found.key, plan.key, done.type, done.id)
    return output(done, plan.base, plan.prefer)


def output(done: Done, base: str, prefer: str) -> Output:
    """The answer: the resource, nothing, or the outcome, as `Prefer: return` has it."""
    headers = version_headers(done.version, done.updated)
    if done.status == 201:
        headers["location"] = f"{base}/{done.type}/{done.id}/_history/{done.version}"
    if done.flagged:
        headers["x-amzn-healthlake-validation-issues"] = "true"
    if done.body is None:
        return {"status": done.status, "headers": {"etag": headers["etag"]}}
    back = requests.wants_back(prefer)
    if back == "minimal":
        return {"status": done.status, "headers": headers}
    body = msgspec.json.encode(operation_outcome(done.issues)) if back == "OperationOutcome" else done.body
    return {"status": done.status, "body": body, "headers": headers}


def etag(number: int) -> str:
    """The weak ETag of a version."""
    return f'W/"{number}"'


def version_headers(number: int, updated: int) -> dict[str, str]:
    """ETag and Last-Modified of a version."""
    return {"etag": etag(number), "last-modified": _date(updated // 1000)}


@lru_cache(maxsize=4096)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
