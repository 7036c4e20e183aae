"""SearchWithGet and SearchWithPost: a page of matches with includes, as a searchset Bundle. Of one type, of several or all (at
the data store's own address, with `_type`), or in a compartment (`Patient/1/Observation`, `Patient/1/*`).

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
from opentrail.services.healthlake.engine import compartments, definitions, exact
from opentrail.services.healthlake.engine.issues import content, name, operation_outcome, refuse
from opentrail.services.healthlake.engine.search.parse import ANY, IGNORED, Handling, parse_search
from opentrail.services.healthlake.engine.search.query import InCompartment, Search
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


class Scope(NamedTuple):
    """Where a search looks: in one type, or in several (`type` is empty), maybe only in a compartment."""

    type: str
    inside: InCompartment | None = None

    @property
    def path(self) -> str:
        """The path of the search below the data store."""
        return f"{self.inside.compartment}/{self.inside.id}/{self.type or '*'}" if self.inside else self.type


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
    scope = _scope(input)
    found = requests.active(snapshot, call, input.datastoreId)
    if scope.inside:
        naming.touch(call, found, scope.inside.compartment, scope.inside.id)
    place = _place(call, found, scope, input, pairs)
    got = page(snapshot, call, found, scope, place, input.base)
    naming.returned(call, found, got.resources, got.patients)
    call.disclose("searchParameters", got.names)
    return {"status": 200, "body": got.body}


def _scope(input: FhirInput) -> Scope:
    type = requests.check_type(input.resourceType) if input.resourceType else ""
    if input.compartmentType is None:
        return Scope(type)
    compartment, id = input.compartmentType, requests.check_id(input.resourceId)
    if compartment not in definitions.compartments():
        raise refuse(404, "not-supported", "{} has no compartment.", name(compartment))
    if type and type != compartment and type not in compartments.types_in(compartment):
        raise refuse(400, "not-supported", "{} is in no {} compartment.", name(type), name(compartment))
    return Scope(type, InCompartment(compartment, id))


def _place(call: Call, found: store.Datastore, scope: Scope, input: FhirInput, pairs: Pairs) -> Place:
    token = dict(pairs).get("page")
    if token is None:
        return first_place(call, pairs, requests.handling(input.prefer))
    if others := [key for key, _ in pairs if key not in ("page", *IGNORED)]:
        raise refuse(400, "value", "A page token stands alone: what was asked goes with it, and {} cannot be added.", content(others[0]))
    try:
        return paging.redeem(call.tools.sealer, "Search", (found.id, scope.path), token, Place)
    except paging.BadToken as error:
        raise refuse(400, "value", "The page token is not valid for this request.") from error


def first_place(call: Call, pairs: Pairs, handling: Handling) -> Place:
    """Where a search begins."""
    return Place(list(pairs), handling, requests.milliseconds(call), [], 0)


def page(snapshot: Snapshot, call: Call, found: store.Datastore, scope: Scope, place: Place, base: str) -> Page:
    """One page of a search."""
    searches = [access.narrowed(call, one) for one in _searches(snapshot, found, scope, place, base)]
    after = After(tuple(place.keys), place.pk) if place.pk else START
    got = fhir_store.search(snapshot, found.key, searches, after, access.keeps(snapshot, call, found))
    rows = [*got.matches, *got.included]
    patients = fhir_store.patients_of(snapshot, [(one.pk, one.type, one.id) for one in rows])
    used = {name for one in searches for name in one.names} | (set() if scope.type else {"_type"})
    body = msgspec.json.encode(_bundle(call, found, scope, place, base, searches[0], got, used))
    names = [key for key, text in place.pairs if key in used and text]
    return Page(body, [f"{one.type}/{one.id}" for one in rows], list(dict.fromkeys(patients)), list(dict.fromkeys(names)))


def _searches(snapshot: Snapshot, found: store.Datastore, scope: Scope, place: Place, base: str) -> list[Search]:
    """One search for each type. Over all types only what every type has can be asked, whatever the data store holds."""

    def parsed(type: str, pairs: Pairs) -> Search:
        return parse_search(type, pairs, place.handling, now=place.now, service=base, inside=scope.inside)

    if scope.type:
        return [parsed(scope.type, tuple(place.pairs))]
    pairs = tuple(pair for pair in place.pairs if pair[0] != "_type")
    wanted = [requests.check_type(type) for key, text in place.pairs if key == "_type" for type in text.split(",")]
    types = dict.fromkeys(wanted) if wanted else [ANY, *fhir_store.types_in(snapshot, found.key)]
    searches = [parsed(type, pairs) for type in types if not scope.inside or type in (ANY, *_members(scope.inside.compartment))]
    if not searches:
        raise refuse(400, "not-supported", "No type of _type is in a {} compartment.", name(scope.inside and scope.inside.compartment))
    if len({tuple(key.parameter and key.parameter.kind for key in one.sort) for one in searches}) > 1:
        raise refuse(400, "not-supported", "_sort names a parameter that is not of the same kind in every type.")
    return searches


def _members(compartment: str) -> tuple[str, ...]:
    return (compartment, *compartments.types_in(compartment))


def _bundle(
    call: Call, found: store.Datastore, scope: Scope, place: Place, base: str, wanted: Search, got: Found, used: set[str]
) -> Json:  # fmt: skip
    address = f"{base}/{scope.path}" if scope.path else base
    asked = [(key, text) for key, text in place.pairs if key in used and text]
    links = [{"relation": "self", "url": address + ("?" + urlencode(asked) if asked else "")}]
    if got.next is not None:
        behind = Place(place.pairs, place.handling, place.now, list(got.next.keys), got.next.pk)
        token = paging.issue(call.tools.sealer, "Search", (found.id, scope.path), behind)
        links.append({"relation": "next", "url": f"{address}?page={token}"})
    entries: list[Json] = [_entry(base, one, "match", _shown(one, wanted)) for one in got.matches]
    whole = Search(wanted.resource_type, summary=wanted.summary)
    entries += [_entry(base, one, "include", _shown(one, whole)) for one in got.included]
    if got.warnings:
        entries.append({"resource": operation_outcome(got.warnings), "search": {"mode": "outcome"}})
    total = {} if got.total is None else {"total": got.total}
    return {"resourceType": "Bundle", "id": call.id, "type": "searchset", **total, "link": links, **({"entry": entries} if entries else {})}


def _entry(base: str, one: Stored, mode: str, resource: Any) -> Json:
    return {"fullUrl": f"{base}/{one.type}/{one.id}", "resource": resource, "search": {"mode": mode}}


def _shown(one: Stored, wanted: Search) -> Any:
    """The resource as stored, or the part that `_summary` or `_elements` asks for."""
    if wanted.summary == "false" and not wanted.elements:
        return msgspec.Raw(one.body)
    return subset(exact.decode(one.body), wanted.summary, wanted.elements)
