"""DeleteResource: one resource, by id or condition, or with `_count` as many as the condition selects, a page at a time.

Several are deleted in one transaction and answered as a batch-response Bundle. Its next link is the same request again: what
is deleted is selected no more. Source: HealthLake's conditional delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.services.healthlake import changes, fhir_store, naming, requests, store
from opentrail.services.healthlake.changes import etag
from opentrail.services.healthlake.engine.issues import FhirError, operation_outcome, refuse
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.requests import Json
from opentrail.services.healthlake.writing import Done, Want, carry_out
from opentrail.store.sql import Tx

MOST = 100


@dataclass(frozen=True, slots=True)
class Several:
    """A deletion of `size` resources at most, and the address that asks for the next ones."""

    datastore: str
    criteria: Search
    size: int
    base: str
    address: str


def prepare(call: Call, input: FhirInput) -> changes.Plan | Several:
    """DeleteResource, first half."""
    if input.resourceId is not None or "_count" not in dict(input.parameters):
        return changes.prepare_delete(call, input)
    type, size = requests.check_type(input.resourceType), requests.page_size(input.parameters, MOST)
    if input.if_match:
        raise refuse(400, "invalid", "If-Match and _count cannot be used together.")
    asked = tuple(pair for pair in input.parameters if pair[0] != "_count")
    wanted = requests.criteria(type, asked, input.base, requests.milliseconds(call))
    return Several(input.datastoreId, wanted, size, input.base, f"{input.base}/{type}?{urlencode(input.parameters)}")


def delete(tx: Tx, call: Call, plan: changes.Plan | Several) -> Output:
    """DeleteResource, second half."""
    if isinstance(plan, changes.Plan):
        return changes.change(tx, call, plan)
    found = requests.active(tx, call, plan.datastore)
    type, ids = plan.criteria.resource_type, fhir_store.first_ids(tx, found.key, plan.criteria, plan.size + 1)
    entries: list[Json] = []
    done: list[Done] = []
    for id in ids[: plan.size]:
        entries.append(_one(tx, call, found, type, id, done))
    shown = naming.recorded_names(call, [f"{type}/{id}" for id in ids[: plan.size]])
    call.disclose("entries", (f"DELETE {name} {entry['response']['status']}" for name, entry in zip(shown, entries, strict=True)))
    naming.returned(call, found, (f"{type}/{one.id}" for one in done), (patient for one in done for patient in one.patients))
    links = [{"relation": "self", "url": plan.address}]
    if len(ids) > plan.size:
        links.append({"relation": "next", "url": plan.address})
    bundle = {"resourceType": "Bundle", "id": call.id, "type": "batch-response", "link": links, **({"entry": entries} if entries else {})}
    return {"status": 200, "body": msgspec.json.encode(bundle)}


def _one(tx: Tx, call: Call, found: store.Datastore, type: str, id: str, done: list[Done]) -> Json:
    try:
        gone = carry_out(tx, call, found, Want("delete", type, id))
    except FhirError as error:
        return {"response": {"status": str(error.status), "outcome": operation_outcome(error.issues)}}
    done.append(gone)
    return {"response": {"status": "204", "location": f"{type}/{id}/_history/{gone.version}", "etag": etag(gone.version)}}
