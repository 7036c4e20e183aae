"""Export jobs: StartFHIRExportJob, DescribeFHIRExportJob, ListFHIRExportJobs, and FHIR's $export. `exporting` does them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from opentrail.calls.call import Call, Download
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Input, Output
from opentrail.contract import operation as contract_of
from opentrail.kernel.principal import Principal
from opentrail.record.keep import moment, recased
from opentrail.services.healthlake import bulk, bulk_store, exporting, job_store, kept_files, naming, requests, store
from opentrail.services.healthlake.bulk import Start, Wanted
from opentrail.services.healthlake.engine import bulk_layout, export, values
from opentrail.services.healthlake.engine.issues import content, name, refuse
from opentrail.services.healthlake.engine.smart.reach import Grant, exportable
from opentrail.services.healthlake.job_store import EXPORT, JobRow
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs

RETRY_AFTER = "5"
_PENDING = ("SUBMITTED", "QUEUED", "IN_PROGRESS")
_LONGEST_REQUEST = 2048
_MEMBERS = frozenset({"DataAccessRoleArn", "JobName", "OutputDataConfig", "ClientToken"})

rights = bulk.rights("StartFHIRExportJob", lambda input: str(input.DataAccessRoleArn), lambda input: str(input.DatastoreId))


def prepare_start(call: Call, input: Input) -> Start:
    """StartFHIRExportJob, first half: everything in the data store, into the bucket of the output configuration."""
    return _prepared(call, input, export.Asked(), "")


def _prepared(call: Call, input: Input, asked: export.Asked, request: str) -> Start:
    output, key = bulk.output_of(input.OutputDataConfig, "OutputDataConfig")
    wanted = Wanted(role=input.DataAccessRoleArn, output=output, kms_key=key, by=call.caller, request=request, asked=asked)
    with call.tools.read() as snapshot:
        found = bulk.usable(snapshot, call, input.DatastoreId)
    bulk.check_access(call, found, wanted)
    return Start(call.tools.ids.hex(32), found.id, EXPORT, input.JobName, input.ClientToken or call.id, wanted)


def start(tx: Tx, call: Call, plan: Start) -> Output:
    """StartFHIRExportJob: what is committed before it is part of the export, what comes later is not."""
    return bulk.started(_started(tx, call, plan))


def _started(tx: Tx, call: Call, plan: Start) -> JobRow:
    wanted = msgspec.structs.replace(plan.wanted, change=bulk_store.newest_change(tx))
    return bulk.start(tx, call, msgspec.structs.replace(plan, wanted=wanted))


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeFHIRExportJob."""
    return {"ExportJobProperties": _properties(bulk.described(snapshot, call, input.DatastoreId, EXPORT, input.JobId))}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListFHIRExportJobs: newest first."""
    page, token = bulk.listed(snapshot, call, input, EXPORT)
    return {"ExportJobPropertiesList": [_properties(job) for job in page], **({"NextToken": token} if token else {})}


def _properties(job: JobRow) -> dict[str, Any]:
    wanted = bulk.wanted_of(job)
    if not wanted.output:
        return bulk.properties(job)
    s3 = {"S3Uri": str(bulk.result_place(wanted, job.datastore, EXPORT, job.id)), "KmsKeyId": wanted.kms_key}
    return {**bulk.properties(job), "OutputDataConfig": {"S3Configuration": s3}}


# FHIR's $export


def fhir_asked(input: FhirInput) -> Any:
    """The body of an $export as the input of StartFHIRExportJob: one reading of it for the rights and for what is carried out. Refused
    with 400 when it cannot be read."""
    if input.parsed is None:
        body = requests.parse(input.body)
        if unknown := body.keys() - _MEMBERS:
            raise refuse(400, "not-supported", "The body has a member {}, which $export does not know.", content(min(unknown)))
        input.parsed = contract_of("healthlake", "StartFHIRExportJob").from_value(body | {"DatastoreId": input.datastoreId})
    return input.parsed


fhir_rights = bulk.rights(
    "StartFHIRExportJobWithPost", lambda input: str(fhir_asked(input).DataAccessRoleArn), lambda input: str(input.datastoreId)
)


class FhirStart(msgspec.Struct):
    """A checked $export, and the address under which its client knows the data store."""

    plan: Start
    base: str


def prepare_fhir(call: Call, input: FhirInput) -> FhirStart:
    """StartFHIRExportJobWithPost, first half. The level is the path's, filters are the query's, the place is the body's."""
    asked, _ = _asked(call, input)
    return FhirStart(_prepared(call, fhir_asked(input), asked, _request(input)), input.base)


def _asked(call: Call, input: FhirInput) -> tuple[export.Asked, store.Datastore]:
    """What path and query ask for, and of which data store."""
    if not requests.wants_async(input.prefer):
        raise refuse(400, "required", "An export is asynchronous: the header Prefer: respond-async is needed.")
    level = _level(input)
    asked = export.parse(input.parameters, level.patients, level.group)
    with call.tools.read() as snapshot:
        found = requests.active(snapshot, call, input.datastoreId)
        newest = bulk_store.newest_change(snapshot)
        if level.group and bulk_store.one_as_of(snapshot, found.key, "Group", level.group, newest) is None:
            raise requests.unknown("Group", level.group)
    return asked, found


def prepare_fhir_kept(call: Call, input: FhirInput) -> FhirStart:
    """StartFHIRExportJobWithGet, first half: as by POST, but the files stay here for the client to fetch. A token exports the types of
    which its `system/` scopes grant all."""
    asked, found = _asked(call, input)
    if call.grant is not None:
        asked = msgspec.structs.replace(asked, types=_granted(call.grant, asked))
    wanted = Wanted(by=call.caller, request=_request(input), asked=asked)
    return FhirStart(Start(call.tools.ids.hex(32), found.id, EXPORT, None, call.id, wanted), input.base)


def _granted(grant: Grant, asked: export.Asked) -> tuple[str, ...]:
    """The types that a token exports of what it asks for. Refused with 403 when it asks for others."""
    allowed = exportable(grant)
    needed = (*asked.types, "Group") if asked.group else asked.types
    if beyond := [type for type in needed if type not in allowed]:
        raise refuse(403, "forbidden", "No system/ scope of the token grants r and s on every {}.", name(beyond[0]))
    return asked.types or tuple(sorted(allowed))


def _level(input: FhirInput) -> export.Asked:
    if input.resourceType is None:
        return export.Asked()
    if input.resourceType == "Patient" and input.resourceId is None:
        return export.Asked(patients=True)
    if input.resourceType == "Group" and input.resourceId is not None:
        return export.Asked(patients=True, group=requests.check_id(input.resourceId))
    raise refuse(400, "not-supported", "$export is offered for the data store, for Patient, and for Group/id.")


def _request(input: FhirInput) -> str:
    """The address that was asked for, which the manifest repeats."""
    path = "/".join(part for part in (input.base, input.resourceType, input.resourceId, "$export") if part)
    return (path + ("?" + urlencode(input.parameters) if input.parameters else ""))[:_LONGEST_REQUEST]


def start_fhir(tx: Tx, call: Call, given: FhirStart) -> Output:
    """StartFHIRExportJobWithPost: 202, with the address to ask in Content-Location."""
    job = _started(tx, call, given.plan)
    call.facts["jobId"] = job.id
    body = {"datastoreId": job.datastore, "jobStatus": job.status, "jobId": job.id}
    return {"status": 202, "headers": {"content-location": f"{given.base}/export/{job.id}"}, "body": msgspec.json.encode(body)}


def describe_fhir(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """DescribeFHIRExportJobWithGet: 202 while it runs, 200 with the manifest, 404 once cancelled, 422 with why it failed."""
    job = _asked_for(snapshot, call, input)
    properties = {"exportJobProperties": _lowered(_properties(job))}
    if job.status in _PENDING:
        running = jobs.under_way(snapshot, job.id)
        held = msgspec.json.decode(running.checkpoint, type=exporting.Checkpoint) if running and running.checkpoint else None
        progress = f"{job.status.lower()}, {held.resources if held else 0} resources"
        return {"status": 202, "headers": {"x-progress": progress, "retry-after": RETRY_AFTER}, "body": msgspec.json.encode(properties)}
    if job.status == "FAILED":
        raise refuse(422, "processing", "The export failed: {}", content(job.message))
    wanted = bulk.wanted_of(job)
    place = str(bulk.result_place(wanted, job.datastore, EXPORT, job.id)) if wanted.output else f"{input.base}/export/{job.id}/"
    output = bulk_layout.export_outputs(place, job.id, msgspec.json.decode(job.report, type=dict[str, list[int]]))
    manifest = bulk_layout.export_manifest(values.moment(int(job.submitted * 1000)), wanted.request, output, not wanted.output)
    return {"status": 200, "body": msgspec.json.encode(properties | manifest)}


def cancel_fhir(tx: Tx, call: Call, input: FhirInput) -> Output:
    """CancelFHIRExportJobWithDelete: 202; files that are written already stay."""
    job = _asked_for(tx, call, input)
    if job.status not in _PENDING:
        raise refuse(409, "conflict", "The export has ended: {}.", name(job.status))
    jobs.stop(tx, job.id)
    job_store.move(tx, job.id, "CANCEL_SUBMITTED")
    body = {"exportJobProperties": {"jobId": job.id, "jobStatus": "CANCEL_SUBMITTED", "datastoreId": job.datastore}}
    return {"status": 202, "body": msgspec.json.encode(body)}


def _asked_for(snapshot: Snapshot, call: Call, input: FhirInput) -> JobRow:
    found = requests.active(snapshot, call, input.datastoreId)
    job = job_store.job(snapshot, found.id, EXPORT, input.resourceId or "")
    if job is None or job.status.startswith("CANCEL") or not _own(call, bulk.wanted_of(job).by):
        raise refuse(404, "not-found", "There is no such export.")
    return job


def _own(call: Call, by: Principal) -> bool:
    """Whether the caller may know of an export: with a token, of what the same client and subject started."""
    mine, theirs = call.caller.web_identity, by.web_identity
    if call.grant is None or mine is None:
        return True
    return (
        theirs is not None
        and mine.provider == theirs.provider
        and all(dict(mine.attributes).get(key) == dict(theirs.attributes).get(key) for key in ("client_id", "sub"))
    )


def fetch(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetExportedFile: a file of an export that was started by GET, until KEPT seconds after its end. The record names what it shows."""
    job, asked_for = _asked_for(snapshot, call, input), input.file or ""
    type = asked_for.partition("/")[0]
    files = msgspec.json.decode(job.report, type=dict[str, list[int]])
    known = job.status == "COMPLETED" and not bulk.wanted_of(job).output and asked_for in bulk_layout.export_names(job.id, files)
    if not known or job.ended is None or job.ended + kept_files.KEPT < call.now:
        raise refuse(404, "not-found", "The export has no such file, or its time is over.")
    if call.grant is not None and type not in exportable(call.grant):
        raise refuse(403, "forbidden", "No system/ scope of the token grants r and s on every {}.", name(type))
    found = requests.active(snapshot, call, input.datastoreId)
    file = kept_files.place(call.tools.settings.folder, job.id, asked_for)
    shown = kept_files.shown(file)
    naming.returned(call, found, shown.resources, shown.patients)
    return {"status": 200, "headers": {"content-type": "application/fhir+ndjson"}, "body": Download(file, 0, file.stat().st_size)}


def _lowered(value: Any) -> Any:
    """HealthLake's FHIR interface writes its names with a small first letter, and times as text."""
    if not isinstance(value, dict):
        return value
    return {recased(key): moment(inner) if key.endswith("Time") else _lowered(inner) for key, inner in value.items()}
