"""ReadResource, VersionReadResource and the three histories. Reads see every answered write, each within one snapshot."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.kernel import paging
from opentrail.services.healthlake import access, fhir_store, naming, requests, store
from opentrail.services.healthlake.changes import etag, version_headers
from opentrail.services.healthlake.drafts import rows_of
from opentrail.services.healthlake.engine import compartments, values
from opentrail.services.healthlake.engine.issues import content, refuse
from opentrail.store.sql import Snapshot

MOST = 100
Place = tuple[int, str, str, int]
_NEWEST: Place = (1 << 60, "", "", requests.LAST_VERSION + 1)
_STATUS = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}


def _newest(snapshot: Snapshot, call: Call, input: FhirInput) -> tuple[store.Datastore, str, str, fhir_store.Current]:
    type, id = requests.check_type(input.resourceType), requests.check_id(input.resourceId)
    found = requests.active(snapshot, call, input.datastoreId)
    naming.touch(call, found, type, id)
    newest = fhir_store.current(snapshot, found.key, type, id)
    if newest is None:
        raise requests.unknown(type, id)
    access.check_read(snapshot, call, found, type, id)
    return found, type, id, newest


def read(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """ReadResource: 200, 404, 410 for a deleted one, 304 when the caller has the current version."""
    found, type, id, newest = _newest(snapshot, call, input)
    if newest.body is None:
        raise requests.gone(newest.updated)
    headers = version_headers(newest.version, newest.updated)
    if _has_it(input, newest):
        return {"status": 304, "headers": headers}
    naming.tell_patients(call, found, fhir_store.patients_of(snapshot, [(newest.pk, type, id)]))
    return {"status": 200, "body": newest.body, "headers": headers}


def _has_it(input: FhirInput, newest: fhir_store.Current) -> bool:
    """Whether If-None-Match names the current version, or else it is no newer than If-Modified-Since."""
    if input.if_none_match:
        return input.if_none_match == etag(newest.version)
    if not input.if_modified_since:
        return False
    try:
        return newest.updated // 1000 <= parsedate_to_datetime(input.if_modified_since).timestamp()
    except (ValueError, OverflowError):
        return False


def vread(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """VersionReadResource: one version, 410 when that version is the deletion."""
    found, type, id, newest = _newest(snapshot, call, input)
    one = fhir_store.version(snapshot, found.key, type, id, requests.version_number(input.versionId or ""))
    if one is None or not access.shown_versions(snapshot, call, found, newest.version, [one]):
        raise refuse(404, "not-found", "The resource has no version {}.", content(input.versionId))
    if one.body is None:
        raise requests.gone(one.updated)
    naming.tell_patients(call, found, compartments.patients(type, id, rows_of(one.body)))
    return {"status": 200, "body": one.body, "headers": version_headers(one.version, one.updated)}


def history_of_one(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetHistoryByResourceId, deletions included."""
    found, type, id, newest = _newest(snapshot, call, input)
    return _history(snapshot, call, input, found, type, id, newest.version)


def history_of_type(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetHistoryByResourceType."""
    type = requests.check_type(input.resourceType)
    return _history(snapshot, call, input, requests.active(snapshot, call, input.datastoreId), type, "")


def history_of_all(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetFullHistory."""
    return _history(snapshot, call, input, requests.active(snapshot, call, input.datastoreId), "", "")


def _history(snapshot: Snapshot, call: Call, input: FhirInput, found: store.Datastore, type: str, id: str, newest: int = 0) -> Output:
    """A page of versions, newest first, as a Bundle; the next page starts behind its last version."""
    given = requests.only(input.parameters, "_since", "_count", "_format", "_pretty", "page")
    size, since = requests.page_size(input.parameters, MOST), _since(given.get("_since", ""))
    bound = (found.id, type, id)
    before = _redeemed(call, bound, given["page"]) if "page" in given else _NEWEST
    rows = fhir_store.history(snapshot, found.key, type, id, since, before, size + 1)
    page = rows[:size]
    address = "/".join(part for part in (input.base, type, id, "_history") if part)
    asked = {key: text for key, text in given.items() if key != "page"}
    links = [{"relation": "self", "url": address + ("?" + urlencode(given) if given else "")}]
    if len(rows) > size:
        last = page[-1]
        place: Place = (last.updated, last.type, last.id, last.version)
        token = paging.issue(call.tools.sealer, "GetHistory", bound, place)
        links.append({"relation": "next", "url": f"{address}?{urlencode({**asked, 'page': token})}"})
    page = access.shown_versions(snapshot, call, found, newest, page)
    naming.returned(
        call,
        found,
        (f"{one.type}/{one.id}/_history/{one.version}" for one in page),
        (patient for one in page for patient in compartments.patients(one.type, one.id, rows_of(one.body))),
    )
    bundle = {"resourceType": "Bundle", "type": "history", "link": links, "entry": [_entry(input.base, one) for one in page]}
    return {"status": 200, "body": msgspec.json.encode(bundle)}


def _entry(base: str, one: fhir_store.Version) -> dict[str, Any]:
    url = one.type if one.method == "POST" else f"{one.type}/{one.id}"
    status = "201" if one.version == 1 else _STATUS[one.method]
    entry = {
        "fullUrl": f"{base}/{one.type}/{one.id}",
        "request": {"method": one.method, "url": url},
        "response": {"status": status, "etag": etag(one.version), "lastModified": values.moment(one.updated)},
    }
    return entry if one.body is None else {**entry, "resource": msgspec.Raw(one.body)}


def _since(text: str) -> int:
    if not text:
        return 0
    interval = values.date_interval(text)
    if interval is None:
        raise refuse(400, "value", "_since is not an instant.")
    return interval[0]


def _redeemed(call: Call, bound: object, token: str) -> Place:
    try:
        return paging.redeem(call.tools.sealer, "GetHistory", bound, token, tuple[int, str, str, int])
    except paging.BadToken as error:
        raise refuse(400, "value", "The page token is not valid for this request.") from error
