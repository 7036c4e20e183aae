"""SearchWithGet and SearchWithPost: a page of matches with includes, as a searchset Bundle.

The next page's address holds one sealed token with the search and its place, so no search value of a form ends up in a log.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.kernel import paging
from opentrail.services.healthlake import access, fhir_store, naming, requests, store
from opentrail.services.healthlake.engine.issues import operation_outcome, refuse
from opentrail.services.healthlake.engine.search.parse import Handling, parse_search
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.search.run import Found, Stored
from opentrail.services.healthlake.engine.search.sql import START, After
from opentrail.services.healthlake.engine.subset import subset
from opentrail.services.healthlake.requests import Json, Pairs
from opentrail.store.sql import Snapshot


class Place(msgspec.Struct, array_like=True):
    """What a page token holds: the whole search, and the row that its next page comes after."""

    pairs: list[tuple[str, str]]
    handling: Handling
    now: int
    keys: list[int | str | float | None]
    pk: int


class Page(NamedTuple):
    """A page's Bundle as JSON, the resources (`Type/id`) in it, the patients they concern, and the parameter names that were used."""

    body: bytes
    resources: list[str]
    patients: list[str]
    names: list[str]


def search_get(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """SearchWithGet."""
    return _search(snapshot, call, input, input.parameters)


def search_post(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """SearchWithPost: the parameters of the form and of the query."""
    return _search(snapshot, call, input, requests.form(input))


def _search(snapshot: Snapshot, call: Call, input: FhirInput, pairs: Pairs) -> Output:
    if input.resourceType is None:
        raise refuse(400, "not-supported", "A search names one resource type; searches of all types are not offered.")
    type = requests.check_type(input.resourceType)
    found = requests.active(snapshot, call, input.datastoreId)
    place = _place(call, found, type, input, pairs)
    got = page(snapshot, call, found, type, place, input.base)
    naming.returned(call, found, got.resources, got.patients)
    call.disclose("searchParameters", got.names)
    return {"status": 200, "body": got.body}


def _place(call: Call, found: store.Datastore, type: str, input: FhirInput, pairs: Pairs) -> Place:
    token = dict(pairs).get("page")
    if token is None:
        return first_place(call, pairs, requests.handling(input.prefer))
    try:
        return paging.redeem(call.tools.sealer, "Search", (found.id, type), token, Place)
    except paging.BadToken as error:
        raise refuse(400, "value", "The page token is not valid for this request.") from error


def first_place(call: Call, pairs: Pairs, handling: Handling) -> Place:
    """Where a search begins."""
    return Place(list(pairs), handling, requests.milliseconds(call), [], 0)


def page(snapshot: Snapshot, call: Call, found: store.Datastore, type: str, place: Place, base: str) -> Page:
    """One page of a search."""
    wanted = access.narrowed(call, parse_search(type, place.pairs, place.handling, now=place.now, service=base))
    after = After(tuple(place.keys), place.pk) if place.pk else START
    got = fhir_store.search(snapshot, found.key, wanted, after, access.keeps(snapshot, call, found))
    rows = [*got.matches, *got.included]
    patients = fhir_store.patients_of(snapshot, [(one.pk, one.type, one.id) for one in rows])
    body = msgspec.json.encode(_bundle(call, found, place, base, wanted, got))
    return Page(body, [f"{one.type}/{one.id}" for one in rows], list(dict.fromkeys(patients)), list(dict.fromkeys(wanted.names)))


def _bundle(call: Call, found: store.Datastore, place: Place, base: str, wanted: Search, got: Found) -> Json:
    address = f"{base}/{wanted.resource_type}"
    links = [{"relation": "self", "url": address + ("?" + urlencode(place.pairs) if place.pairs else "")}]
    if got.next is not None:
        behind = Place(place.pairs, place.handling, place.now, list(got.next.keys), got.next.pk)
        token = paging.issue(call.tools.sealer, "Search", (found.id, wanted.resource_type), behind)
        links.append({"relation": "next", "url": f"{address}?page={token}"})
    entries: list[Json] = [_entry(base, one, "match", _shown(one, wanted)) for one in got.matches]
    whole = Search(wanted.resource_type, summary=wanted.summary)
    entries += [_entry(base, one, "include", _shown(one, whole)) for one in got.included]
    if got.warnings:
        entries.append({"resource": operation_outcome(got.warnings), "search": {"mode": "outcome"}})
    total = {} if got.total is None else {"total": got.total}
    return {"resourceType": "Bundle", "id": call.id, "type": "searchset", **total, "link": links, "entry": entries}


def _entry(base: str, one: Stored, mode: str, resource: Any) -> Json:
    return {"fullUrl": f"{base}/{one.type}/{one.id}", "resource": resource, "search": {"mode": mode}}


def _shown(one: Stored, wanted: Search) -> Any:
    """The resource as stored, or the part that `_summary` or `_elements` asks for."""
    if wanted.summary == "false" and not wanted.elements:
        return msgspec.Raw(one.body)
    return subset(msgspec.json.decode(one.body), wanted.summary, wanted.elements)
