"""Which interactions a bearer token allows, before any stored data is looked at. What is not listed here is refused.

Read and history of one resource need `r`, searches `s`, create `c`, update `u`, patch `u` and `r` (its outcome tells what was
there), delete `d` on the type. What searches the whole data store to decide something (conditional requests and references) or shows
all of a type or of the data store (their histories, searches of all types) needs a scope that reaches all of the type, not one
patient's. Which of the resources that a narrower scope reaches is decided where they are read and written: see `access`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.bundle import Entry
from opentrail.services.healthlake.engine.issues import Arg, name, refuse
from opentrail.services.healthlake.engine.smart.reach import Grant, exportable, reach
from opentrail.services.healthlake.engine.smart.scopes import Action
from opentrail.services.healthlake.outcomes import refusal

OPEN = ("GetCapabilities", "GetSmartConfiguration")
"""Open to every token."""
ON_ONE: dict[str, Action] = {
    "ReadResource": "r",
    "VersionReadResource": "r",
    "GetHistoryByResourceId": "r",
    "CreateResource": "c",
    "UpdateResource": "u",
    "PatchResource": "u",
    "DeleteResource": "d",
}
SEARCHES = ("SearchWithGet", "SearchWithPost")
EXPORTS = ("StartFHIRExportJobWithGet", "DescribeFHIRExportJobWithGet", "GetExportedFile", "CancelFHIRExportJobWithDelete")
"""Open to backend services; of which types, and whose exports, `export_jobs` says."""
TERMS = {"ExpandValueSet": "ValueSet", "LookupCodeSystem": "CodeSystem", "TranslateConceptMap": "ConceptMap"}
"""Operations that show nothing but the definitions: a scope that reads the type is enough, whatever it reaches."""
_ENTRIES: dict[str, str] = {
    "create": "CreateResource",
    "read": "ReadResource",
    "vread": "VersionReadResource",
    "update": "UpdateResource",
    "conditional-update": "UpdateResource",
    "patch": "PatchResource",
    "conditional-patch": "PatchResource",
    "delete": "DeleteResource",
    "conditional-delete": "DeleteResource",
}


def of_entry(entry: Entry) -> str:
    """The operation that an entry of a bundle would be alone; empty for a $operation, which bundles do not offer."""
    if entry.action == "search":
        return "SearchWithPost" if entry.method == "POST" else "SearchWithGet"
    if entry.action == "history":
        return "GetHistoryByResourceId" if entry.id else "GetHistoryByResourceType"
    return _ENTRIES.get(entry.action, "")


def allow(call: Call, input: FhirInput) -> None:
    """Raises ServiceError (403) unless the call's token allows the interaction. Bundles are judged by `allow_entries` besides."""
    grant: Grant = call.grant
    operation = call.target.name
    if operation == "ProcessBundle":
        if not grant.scopes:
            _refused("The token has no scope that grants anything.")
        if "respond-async" in input.prefer.lower() or input.resourceId is not None:
            _refused("A token, which may have ended by then, allows nothing that is done later.")
        return
    conditional = bool(input.if_none_exist) or (operation in ON_ONE and operation != "CreateResource" and input.resourceId is None)
    _judge(grant, operation, input.resourceType or "", conditional)


def allow_entries(call: Call, entries: Iterable[Entry]) -> None:
    """Raises ServiceError (403) unless the token, if the call has one, allows every entry of a bundle."""
    if call.grant is None:
        return
    for entry in entries:
        if entry.action in ("history", "operation"):
            _refused("Entry {} of the bundle: a token allows no histories and operations inside bundles.", name(entry.place))
        conditional = entry.action.startswith("conditional-") or bool(entry.if_none_exist)
        _judge(call.grant, of_entry(entry), entry.type, conditional)


def allow_condition(call: Call, resource_type: str) -> None:
    """Raises ServiceError (403) unless the token, if the call has one, may find any resource of the type by a condition."""
    if call.grant is not None:
        _whole(call.grant, resource_type, "s")


def _judge(grant: Grant, operation: str, kind: str, conditional: bool) -> None:
    if operation in OPEN:
        return
    if operation in ON_ONE:
        _some(grant, kind, ON_ONE[operation])
        if operation == "PatchResource":
            _some(grant, kind, "r")
        if conditional:
            _whole(grant, kind, ON_ONE[operation])
            _whole(grant, kind, "s")
    elif operation in SEARCHES and kind:
        _some(grant, kind, "s")
    elif operation == "GetHistoryByResourceType":
        _whole(grant, kind, "s")
    elif operation == "GetFullHistory" or operation in SEARCHES:
        for every in definitions.resource_types():
            _whole(grant, every, "s")
    elif operation == "SearchEverything":
        _some(grant, "Patient", "r")
    elif operation in EXPORTS:
        if not exportable(grant):
            _refused("An export needs a system/ scope that grants r and s on every resource of a type.")
    elif operation == "ValidateResource":
        _mentions(grant, kind, "crus")
    elif (type := TERMS.get(operation.partition("With")[0])) is not None:
        _mentions(grant, type, "rs")
    else:
        _refused("{} is not offered to bearer tokens.", name(operation))


def _some(grant: Grant, kind: str, action: Action) -> None:
    if reach(grant, kind, action).nothing:
        _refused("No scope of the token grants {} on {}.", name(action), name(kind))


def _whole(grant: Grant, kind: str, action: Action) -> None:
    if not reach(grant, kind, action).whole:
        _refused("This needs a scope that grants {} on every {}, not on one patient's.", name(action), name(kind))


def _mentions(grant: Grant, kind: str, actions: str) -> None:
    if not any(scope.speaks_of(kind, actions) for scope in grant.scopes):
        _refused("No scope of the token speaks of {}.", name(kind))


def _refused(text: str, *arguments: Arg) -> NoReturn:
    raise refusal(refuse(403, "forbidden", text, *arguments))
