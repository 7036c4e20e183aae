"""$validate, Patient/$everything, $expand, $lookup, $translate. All only read; none is told by what was asked, only by what it showed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.kernel import paging
from opentrail.kernel.ambient import stamp
from opentrail.services.healthlake import access, fhir_store, naming, requests
from opentrail.services.healthlake.engine import everything as engine
from opentrail.services.healthlake.engine import terminology
from opentrail.services.healthlake.engine.issues import error, name, operation_outcome, refuse
from opentrail.services.healthlake.engine.search.run import Stored
from opentrail.services.healthlake.engine.validation import validate as check
from opentrail.services.healthlake.requests import Json
from opentrail.store.sql import Snapshot

MOST = 100
_MODES = ("create", "update", "delete")
_PLAIN = ("valueString", "valueUri", "valueUrl", "valueCanonical", "valueCode", "valueInteger", "valueBoolean", "valueId")


def validate(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """ValidateResource: the outcome of a resource's validation, always with 200. The body is the resource, or Parameters that hold it."""
    requests.active(snapshot, call, input.datastoreId)
    type = requests.check_type(input.resourceType)
    given, resource = dict(input.parameters), requests.resource(input)
    if resource.get("resourceType") == "Parameters" and type != "Parameters":
        given |= parameters(resource)
        held = [row.get("resource") for row in _rows(resource) if row.get("name") == "resource"]
        if not held or not isinstance(held[0], dict):
            raise refuse(400, "required", "The Parameters hold no resource to validate.")
        resource = held[0]
    if given.get("mode", "create") not in _MODES:
        raise refuse(400, "value", "mode must be one of {}.", name(", ".join(_MODES)))
    profile = given.get("profile")
    if resource.get("resourceType") != type:
        issues = [error("invalid", "resourceType must be {}, as in the path.", name(type), location="/resourceType")]
    else:
        issues = check(resource, requests.level(input.validation_level), requests.profiles(call), (profile,) if profile else ())
    return {"status": 200, "body": msgspec.json.encode(operation_outcome(issues))}


def _rows(resource: Json) -> list[Json]:
    rows = resource.get("parameter", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refuse(400, "structure", "Parameters.parameter is no list of objects.")
    return rows


def parameters(resource: Json) -> dict[str, str]:
    """The plain values of a Parameters resource by name; codings as `system` and `code`."""
    found: dict[str, str] = {}
    for row in _rows(resource):
        for key in _PLAIN:
            if isinstance(value := row.get(key), str | int) and isinstance(row.get("name"), str):
                found[row["name"]] = str(value)
        coding = row.get("valueCoding")
        if isinstance(coding, dict):
            found |= {key: text for key in ("system", "code") if isinstance(text := coding.get(key), str)}
    return found


def everything(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """SearchEverything: the patient, what is in the compartment, and what that points to, by type and id, with its total."""
    if input.resourceType != "Patient" or input.resourceId is None:
        raise refuse(400, "not-supported", "$everything is offered for one patient: Patient/id/$everything.")
    id = requests.check_id(input.resourceId)
    found = requests.active(snapshot, call, input.datastoreId)
    naming.touch(call, found, "Patient", id)
    if (patient := fhir_store.current(snapshot, found.key, "Patient", id)) is None:
        raise requests.unknown("Patient", id)
    access.check_read(snapshot, call, found, "Patient", id)
    if patient.body is None:
        raise requests.gone(patient.updated)
    given = _asked(input, "start", "end", "_since", "_type", "_count", "_format", "_pretty", "page")
    size = requests.page_size(tuple(given.items()), MOST)
    asked = {key: text for key, text in given.items() if key != "page"}
    wanted, bound = engine.parse(id, asked), (found.id, id, asked)
    after, visible = _after(call, bound, given.get("page")), access.visible(call)
    rows = [Stored(*row) for row in fhir_store.run(snapshot, engine.compile_page(wanted, found.key, size + 1, after, visible))]
    page = rows[:size]
    address = f"{input.base}/Patient/{id}/$everything"
    links = [{"relation": "self", "url": address + ("?" + urlencode(given) if given else "")}]
    if len(rows) > size:
        token = paging.issue(call.tools.sealer, "Everything", bound, (page[-1].type, page[-1].id))
        links.append({"relation": "next", "url": f"{address}?{urlencode({**asked, 'page': token})}"})
    naming.returned(
        call, found, (f"{one.type}/{one.id}" for one in page),
        [id, *fhir_store.patients_of(snapshot, [(one.pk, one.type, one.id) for one in page])],
    )  # fmt: skip
    entries = [
        {"fullUrl": f"{input.base}/{one.type}/{one.id}", "resource": msgspec.Raw(one.body), "search": {"mode": "match"}} for one in page
    ]
    total = fhir_store.run(snapshot, engine.compile_total(wanted, found.key, visible))[0][0]
    bundle = {"resourceType": "Bundle", "id": call.id, "type": "searchset", "total": total, "link": links, "entry": entries}
    return {"status": 200, "body": msgspec.json.encode(bundle)}


def _after(call: Call, bound: object, token: str | None) -> tuple[str, str]:
    if token is None:
        return "", ""
    try:
        return paging.redeem(call.tools.sealer, "Everything", bound, token, tuple[str, str])
    except paging.BadToken as wrong:
        raise refuse(400, "value", "The page token is not valid for this request.") from wrong


def _asked(input: FhirInput, *known: str) -> dict[str, str]:
    """The parameters of a $operation: of the query, and of the Parameters in the body. Refused with 400 when one is not offered."""
    given = tuple(input.parameters)
    if input.body:
        given += tuple(parameters(requests.resource(input)).items())
    return requests.only(given, *known)


def expand(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """ExpandValueSet: by `url`, of the value sets in the definitions."""
    requests.active(snapshot, call, input.datastoreId)
    given = _on("ValueSet", input, "url", "filter", "offset", "count")
    offset, count = _number(given, "offset", 0), _number(given, "count", terminology.MAX_EXPANSION)
    return _told(terminology.expand(_needed(given, "url"), stamp(call.now), given.get("filter", ""), offset, count))


def lookup(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """LookupCodeSystem: a code of a code system in the definitions."""
    requests.active(snapshot, call, input.datastoreId)
    given = _on("CodeSystem", input, "system", "code")
    return _told(terminology.lookup(_needed(given, "system"), _needed(given, "code")))


def translate(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """TranslateConceptMap: a code by the concept maps in the definitions, all or the one of `url`, `source` or `target`."""
    requests.active(snapshot, call, input.datastoreId)
    given = _on("ConceptMap", input, "url", "system", "code", "source", "target")
    system, code = _needed(given, "system"), _needed(given, "code")
    return _told(terminology.translate(system, code, given.get("url", ""), given.get("source", ""), given.get("target", "")))


def _on(type: str, input: FhirInput, *known: str) -> dict[str, str]:
    if input.resourceType != type or input.resourceId is not None:
        raise refuse(400, "not-supported", "The operation is offered on {} as a whole, by url.", name(type))
    return _asked(input, *known)


def _needed(given: Mapping[str, str], key: str) -> str:
    if not given.get(key):
        raise refuse(400, "required", "The parameter {} is needed.", name(key))
    return given[key]


def _number(given: Mapping[str, str], key: str, default: int) -> int:
    text = given.get(key, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise refuse(400, "value", "{} must be a whole number.", name(key))
    return int(text)


def _told(resource: Mapping[str, Any]) -> Output:
    return {"status": 200, "body": msgspec.json.encode(resource)}
