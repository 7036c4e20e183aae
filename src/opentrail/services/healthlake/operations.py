"""$validate, Patient/$everything, $expand, $lookup, $translate. All only read; none is told by what was asked, only by what it showed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output, Right
from opentrail.kernel import paging
from opentrail.kernel.ambient import stamp
from opentrail.services.healthlake import access, datastores, fhir_store, naming, reads, requests
from opentrail.services.healthlake.engine import everything as engine
from opentrail.services.healthlake.engine import terminology
from opentrail.services.healthlake.engine.issues import Issue, content, error, name, operation_outcome, refuse
from opentrail.services.healthlake.engine.search.run import Stored
from opentrail.services.healthlake.engine.validation import validate as check
from opentrail.services.healthlake.requests import Json
from opentrail.store.sql import Snapshot

MOST = 100
_MODES = ("create", "update", "delete", "profile")
_TEXTS = (
    "valueString", "valueUri", "valueUrl", "valueCanonical", "valueCode", "valueId", "valueDate", "valueDateTime", "valueInstant",
)  # fmt: skip
_WHOLE = ("valueInteger", "valuePositiveInt", "valueUnsignedInt")


def validation_rights(call: Call, input: FhirInput) -> list[Right]:
    """ValidateResource, and ReadResource where a stored resource is checked: what is wrong with it tells what is in it."""
    actions = ("ValidateResource", "ReadResource") if _checks_stored(input) else ("ValidateResource",)
    return [Right(f"healthlake:{action}", datastores.arn_of_id(call, input.datastoreId)) for action in actions]


def _checks_stored(input: FhirInput) -> bool:
    return input.resourceId is not None and not input.body and dict(input.parameters).get("mode") == "profile"


def validate(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """ValidateResource: the outcome of a resource's validation, always with 200.

    The body is the resource, or Parameters that hold it. Two modes do without: `delete`, for which there is nothing to check, and
    `profile`, which checks the stored resource that the path names.
    """
    found, type = requests.active(snapshot, call, input.datastoreId), requests.check_type(input.resourceType)
    id = None if input.resourceId is None else requests.check_id(input.resourceId)
    given = requests.only(input.parameters, "mode", "profile", "_format", "_pretty")
    resource: object = None
    if _checks_stored(input):
        read = reads.read(snapshot, call, FhirInput(datastoreId=found.id, resourceType=type, resourceId=id))
        resource = msgspec.json.decode(read["body"])
    elif input.body or given.get("mode") != "delete":
        resource = requests.resource(input)
        if resource.get("resourceType") == "Parameters" and type != "Parameters":
            given |= requests.only(parameters(resource, but="resource"), "mode", "profile")
            resource = next((row.get("resource") for row in _rows(resource) if row.get("name") == "resource"), None)
    mode, profile = given.get("mode", ""), given.get("profile")
    if mode and mode not in _MODES:
        raise refuse(400, "value", "mode must be one of {}.", name(", ".join(_MODES)))
    if mode == "profile" and not profile:
        raise refuse(400, "required", "mode=profile needs the parameter profile.")
    if resource is None and (mode != "delete" or id is None):
        raise refuse(400, "required", "There is no resource to validate, in the body or in its Parameters.")
    if resource is not None and not isinstance(resource, dict):
        raise refuse(400, "structure", "The resource in the Parameters is no object.")
    issues = [] if resource is None else _wrong(call, input, type, resource, profile)
    if mode == "update" and resource is not None and resource.get("id", "") != (id or resource.get("id")):
        issues.append(error("invalid", "id must be there and equal the id in the path.", location=f"/{type}/id"))
    return {"status": 200, "body": msgspec.json.encode(operation_outcome(issues))}


def _wrong(call: Call, input: FhirInput, type: str, resource: Json, profile: str | None) -> list[Issue]:
    if resource.get("resourceType") != type:
        return [error("invalid", "resourceType must be {}, as in the path.", name(type), location="/resourceType")]
    return check(resource, requests.level(input.validation_level), requests.profiles(call), (profile,) if profile else ())


def _rows(resource: Json) -> list[Json]:
    rows = resource.get("parameter", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refuse(400, "structure", "Parameters.parameter is no list of objects.")
    return rows


def parameters(resource: Json, but: str = "") -> requests.Pairs:
    """The (name, value) pairs of a Parameters resource, without those named `but`; codings as `system` and `code`.

    Refused with 400 when a value is of a type that is not read: what is asked is never left out in silence.
    """
    return tuple(pair for row in _rows(resource) if row.get("name") != but for pair in _values(row))


def _values(row: Json) -> list[tuple[str, str]]:
    name_of, held = row.get("name"), [key for key in row if key not in ("name", "id", "extension")]
    if not isinstance(name_of, str):
        raise refuse(400, "structure", "A row of Parameters.parameter has no name.")
    kind, value = (held[0], row[held[0]]) if len(held) == 1 else ("", None)
    if (kind in _TEXTS and isinstance(value, str)) or (kind in _WHOLE and type(value) is int):
        return [(name_of, str(value))]
    if kind == "valueCoding" and isinstance(value, dict):
        return [(key, text) for key in ("system", "code") if isinstance(text := value.get(key), str)]
    raise refuse(400, "not-supported", "The parameter {} of the body has no value of a type that is read here.", content(name_of))


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
    bundle = {"resourceType": "Bundle", "id": call.id, "type": "searchset", "total": total, "link": links}
    if entries:
        bundle["entry"] = entries
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
        given += parameters(requests.resource(input))
    found = requests.only(given, *known)
    if types := [text for key, text in given if key == "_type"]:
        found["_type"] = ",".join(types)  # the one that R4 lets repeat
    return found


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
