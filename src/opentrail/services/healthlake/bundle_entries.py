"""The entries of a bundle: reads among them, their answers, and the lines that the record keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Right
from opentrail.services.healthlake import datastores, fhir_store, interactions, naming, notes, reads, requests, searches, store
from opentrail.services.healthlake.changes import etag
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.engine import values
from opentrail.services.healthlake.engine.bundle import Entry, Unread
from opentrail.services.healthlake.engine.issues import FhirError, operation_outcome, refuse
from opentrail.services.healthlake.writing import Done
from opentrail.store.sql import Snapshot


class Result(NamedTuple):
    """An entry's answer, its line in the record (method, name and status), the resources it returned or changed, the patients they
    concern, and whether it changed them."""

    entry: dict[str, Any]
    line: tuple[str, str, int]
    resources: Sequence[str] = ()
    patients: Sequence[str] = ()
    changed: bool = False


def read(snapshot: Snapshot, call: Call, found: store.Datastore, entry: Entry, base: str) -> Result:
    """A read, vread, search or history. Refused with 400: operations, which are not offered inside bundles."""
    if entry.action == "search":
        got = searches.page(snapshot, call, found, searches.Scope(entry.type), searches.first_place(call, entry.criteria, "strict"), base)
        naming.touch_patients(call, found, got.patients)
        line = (entry.method, f"{entry.type}?{'&'.join(got.names)}", 200)
        return Result({"resource": msgspec.Raw(got.body), "response": {"status": "200"}}, line, got.resources, got.patients)
    if entry.action == "history":
        if entry.id and fhir_store.current(snapshot, found.key, entry.type, entry.id) is None:
            raise requests.unknown(entry.type, entry.id)
        told = reads.history(snapshot, call, found, entry.type, entry.id, entry.criteria, base)
        naming.touch_patients(call, found, told.patients)
        line = (entry.method, "/".join(part for part in (entry.type, entry.id, "_history") if part), 200)
        return Result({"resource": msgspec.Raw(told.body), "response": {"status": "200"}}, line, told.resources, told.patients)
    if entry.action not in ("read", "vread"):
        raise refuse(400, "not-supported", "Operations are not offered inside bundles.")
    asked = FhirInput(
        datastoreId=found.id, resourceType=entry.type, resourceId=entry.id, versionId=entry.version, if_none_match=entry.if_none_match,
        parameters=entry.criteria,
    )  # fmt: skip
    shown = (reads.one if entry.action == "read" else reads.one_version)(snapshot, call, asked)
    headers, status, body = shown.output["headers"], shown.output["status"], shown.output.get("body")
    answer: dict[str, Any] = {"response": {"status": str(status), "etag": headers["etag"]}}
    if body is not None and entry.method != "HEAD":
        answer["resource"] = msgspec.Raw(body)
    own = f"{entry.type}/{entry.id}" + (f"/_history/{entry.version}" if entry.action == "vread" else "")
    return Result(answer, (entry.method, own, status), [own], list(shown.patients))


def changed(entry: Entry, done: Done, prefer: str) -> Result:
    """The answer of an entry that changed something; with the resource only when `Prefer` asks for it."""
    own = f"{done.type}/{done.id}"
    response = {"status": str(done.status), "location": f"{own}/_history/{done.version}", "etag": etag(done.version)}
    answer: dict[str, Any] = {"response": {**response, "lastModified": values.moment(done.updated)}}
    if done.issues:
        answer["response"]["outcome"] = operation_outcome(done.issues)
    if done.body is not None and "return=representation" in prefer:
        answer["resource"] = msgspec.Raw(done.body)
    same = entry.action == "create" and done.status == 200
    return Result(answer, (entry.method, own, done.status), [own], done.patients, not same)


def refused(entry: Entry, error: FhirError) -> Result:
    """The answer of a batch's entry that could not be done."""
    own = f"{entry.type}/{entry.id}" if values.is_id(entry.id) else entry.type
    answer = {"response": {"status": str(error.status), "outcome": operation_outcome(error.issues)}}
    return Result(answer, (entry.method, own, error.status))


def unread(one: Unread) -> Result:
    """The answer of a batch's entry that could not even be read."""
    answer = {"response": {"status": str(one.error.status), "outcome": operation_outcome(one.error.issues)}}
    return Result(answer, (one.method or "?", one.type or "?", one.error.status))


def tell(call: Call, found: store.Datastore, results: Iterable[Result]) -> None:
    """Writes into the record: a line per entry, what was returned or changed, and whom it concerns."""
    every = list(results)
    call.disclose("entries", (_line(call, *one.line) for one in every))
    naming.returned(
        call, found, (resource for one in every for resource in one.resources), (patient for one in every for patient in one.patients)
    )
    if changed := dict.fromkeys(patient for one in every if one.changed for patient in one.patients):
        call.disclose("patientsChanged", naming.recorded(call, changed))


def _line(call: Call, method: str, name: str, status: int) -> str:
    return f"{method} {naming.shown(call, name)} {status}"


def taken_apart(input: FhirInput) -> engine.Bundle:
    """The bundle in the body: one reading of it for the rights and for what is carried out. Refused as by `parse_bundle`."""
    if input.parsed is None:
        most = engine.MAX_ASYNC if requests.wants_async(input.prefer) else engine.MAX_TRANSACTION
        input.parsed = engine.parse_bundle(requests.resource(input), most)
    found: engine.Bundle = input.parsed
    return found


def rights(call: Call, input: FhirInput) -> list[Right]:
    """The right to send a bundle, and the rights that its entries would need alone: a bundle opens no back door. One that cannot be
    read is refused. HealthLake's own need none when it reads a note: they carry what it found into the store that the note lies in."""
    if input.resourceId is not None:
        return []  # a waiting transaction, judged when it was sent; only HealthLake itself gets further
    if notes.is_reading(call.caller):
        return []
    place = datastores.arn_of_id(call, input.datastoreId)
    entries = taken_apart(input).entries
    actions = dict.fromkeys(["ProcessBundle", *map(interactions.of_entry, entries)])
    if any(entry.if_none_exist for entry in entries):
        actions["ReadResource"] = None
    return [Right(f"healthlake:{action}", place) for action in actions if action]
