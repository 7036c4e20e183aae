"""ReadResource, VersionReadResource and the three histories. Reads see every answered write, each within one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.kernel import paging
from opentrail.services.healthlake import access, fhir_store, naming, requests, store
from opentrail.services.healthlake.changes import etag, version_headers
from opentrail.services.healthlake.drafts import rows_of
from opentrail.services.healthlake.engine import compartments, exact, values
from opentrail.services.healthlake.engine.issues import content, name, refuse
from opentrail.services.healthlake.engine.search.parse import parse_part
from opentrail.services.healthlake.engine.subset import subset
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


class One(NamedTuple):
    """The answer to the read of one resource, its data store, and the patients whom what it shows concerns."""

    output: Output
    store: store.Datastore
    patients: Iterable[str] = ()


def read(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """ReadResource: 200, 404, 410 for a deleted one, 304 when the caller has the current version."""
    return _named(call, one(snapshot, call, input))


def vread(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """VersionReadResource: one version, 410 when that version is the deletion."""
    return _named(call, one_version(snapshot, call, input))


def _named(call: Call, shown: One) -> Output:
    if "body" in shown.output:
        naming.tell_patients(call, shown.store, shown.patients)
    return shown.output


def one(snapshot: Snapshot, call: Call, input: FhirInput) -> One:
    """The current version of a resource, as ReadResource answers it."""
    found, type, id, newest = _newest(snapshot, call, input)
    if newest.body is None:
        raise requests.gone(newest.updated)
    headers = version_headers(newest.version, newest.updated)
    if _has_it(input, newest):
        return One({"status": 304, "headers": headers}, found)
    output = {"status": 200, "body": _part(type, newest.body, input), "headers": headers}
    return One(output, found, fhir_store.patients_of(snapshot, [(newest.pk, type, id)]))


def _part(type: str, body: bytes, input: FhirInput) -> bytes:
    """The resource as it is stored, or the part that `_summary` or `_elements` asks for."""
    if not input.parameters:
        return body
    wanted = parse_part(type, input.parameters)
    if wanted.summary == "false" and not wanted.elements:
        return body
    return msgspec.json.encode(subset(exact.decode(body), wanted.summary, wanted.elements))


def _has_it(input: FhirInput, newest: fhir_store.Current) -> bool:
    """Whether If-None-Match names the current version, or else it is no newer than If-Modified-Since."""
    if input.if_none_match:
        known = [one.strip() for one in input.if_none_match.split(",")]
        return "*" in known or etag(newest.version) in known or f'"{newest.version}"' in known
    if not input.if_modified_since:
        return False
    try:
        return newest.updated // 1000 <= parsedate_to_datetime(input.if_modified_since).timestamp()
    except (ValueError, OverflowError):
        return False


def one_version(snapshot: Snapshot, call: Call, input: FhirInput) -> One:
    """One version of a resource, as VersionReadResource answers it: it concerns whom it named, not whom the current one names."""
    found, type, id, newest = _newest(snapshot, call, input)
    asked = fhir_store.version(snapshot, found.key, type, id, requests.version_number(input.versionId or ""))
    if asked is None or not access.shown_versions(snapshot, call, found, newest.version, [asked]):
        raise refuse(404, "not-found", "The resource has no version {}.", content(input.versionId))
    if asked.body is None:
        raise requests.gone(asked.updated)
    output = {"status": 200, "body": _part(type, asked.body, input), "headers": version_headers(asked.version, asked.updated)}
    return One(output, found, compartments.patients(type, id, rows_of(asked.body, found.own)))


class Page(NamedTuple):
    """A page of a history as a Bundle, the versions (`Type/id/_history/n`) in it, and the patients they concern."""

    body: bytes
    resources: list[str]
    patients: list[str]


def history_of_one(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetHistoryByResourceId, deletions included."""
    found, type, id, newest = _newest(snapshot, call, input)
    return _told(call, found, history(snapshot, call, found, type, id, input.parameters, input.base, newest.version))


def history_of_type(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetHistoryByResourceType."""
    type, found = requests.check_type(input.resourceType), requests.active(snapshot, call, input.datastoreId)
    return _told(call, found, history(snapshot, call, found, type, "", input.parameters, input.base))


def history_of_all(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetFullHistory."""
    found = requests.active(snapshot, call, input.datastoreId)
    return _told(call, found, history(snapshot, call, found, "", "", input.parameters, input.base))


def _told(call: Call, found: store.Datastore, page: Page) -> Output:
    naming.returned(call, found, page.resources, page.patients)
    return {"status": 200, "body": page.body}


def history(
    snapshot: Snapshot, call: Call, found: store.Datastore, type: str, id: str, asked: requests.Pairs, base: str, newest: int = 0
) -> Page:
    """A page of versions, newest first; the next page starts behind its last version. `newest`: the current version of the one resource."""
    given = requests.only(asked, "_since", "_at", "_count", "_format", "_pretty", "page")
    size, since, at = requests.page_size(asked, MOST), _instant(given, "_since"), _instant(given, "_at")
    bound = (found.id, type, id)
    before = _redeemed(call, bound, given["page"]) if "page" in given else _NEWEST
    rows = fhir_store.history(snapshot, found.key, type, id, since[0] if since else 0, at, before, size + 1)
    page = rows[:size]
    address = "/".join(part for part in (base, type, id, "_history") if part)
    again = {key: text for key, text in given.items() if key != "page"}
    links = [{"relation": "self", "url": address + ("?" + urlencode(given) if given else "")}]
    if len(rows) > size:
        last = page[-1]
        place: Place = (last.updated, last.type, last.id, last.version)
        token = paging.issue(call.tools.sealer, "GetHistory", bound, place)
        links.append({"relation": "next", "url": f"{address}?{urlencode({**again, 'page': token})}"})
    page = access.shown_versions(snapshot, call, found, newest, page)
    bundle: dict[str, Any] = {"resourceType": "Bundle", "id": call.id, "type": "history", "link": links}
    if page:
        bundle["entry"] = [_entry(base, one) for one in page]
    patients = dict.fromkeys(
        patient for one in page for patient in compartments.patients(one.type, one.id, rows_of(one.body, found.own))
    )  # fmt: skip
    return Page(msgspec.json.encode(bundle), [f"{one.type}/{one.id}/_history/{one.version}" for one in page], list(patients))


def _entry(base: str, one: fhir_store.Version) -> dict[str, Any]:
    url = one.type if one.method == "POST" else f"{one.type}/{one.id}"
    status = "201" if one.made else _STATUS[one.method]
    entry = {
        "fullUrl": f"{base}/{one.type}/{one.id}",
        "request": {"method": one.method, "url": url},
        "response": {"status": status, "etag": etag(one.version), "lastModified": values.moment(one.updated)},
    }
    return entry if one.body is None else {**entry, "resource": msgspec.Raw(one.body)}


def _instant(given: Mapping[str, str], key: str) -> values.Interval | None:
    if not given.get(key):
        return None
    interval = values.date_interval(given[key].replace(" ", "+"))
    if interval is None:
        raise refuse(400, "value", "{} is not a date or instant.", name(key))
    return interval


def _redeemed(call: Call, bound: object, token: str) -> Place:
    try:
        return paging.redeem(call.tools.sealer, "GetHistory", bound, token, tuple[int, str, str, int])
    except paging.BadToken as error:
        raise refuse(400, "value", "The page token is not valid for this request.") from error
