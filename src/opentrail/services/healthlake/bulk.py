"""What import and export jobs have in common: how they are started, described and listed, and the bucket that they write to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output, Right, Rights
from opentrail.calls.tools import Calls
from opentrail.kernel import paging
from opentrail.kernel.errors import Content, ServiceError, Unavailable
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.common.buckets import Buckets, Place, place
from opentrail.services.healthlake import datastores, job_store, store
from opentrail.services.healthlake.engine import bulk_layout
from opentrail.services.healthlake.engine.export import Asked
from opentrail.services.healthlake.engine.validation import Level
from opentrail.services.healthlake.job_store import JobRow
from opentrail.store.database import Again
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs
from opentrail.work.jobs import Run

PRINCIPAL = "healthlake.amazonaws.com"
QUEUES = {job_store.IMPORT: "healthlake import", job_store.EXPORT: "healthlake export"}
"""The work role's queue of each kind: one does not wait for the other."""
MOST_WAITING = 100
MOST_LISTED = 100
MESSAGE = 2048
_NOBODY = Principal("AWSAccount", "")
_PATIENCE = 20
"""How often a turn is tried again that lost against another transaction."""


class JobFailed(ServiceError):
    """A job's own reason to fail."""

    def __init__(self, template: str, /, **arguments: Any) -> None:
        super().__init__("ValidationException", template, **arguments)


class Wanted(msgspec.Struct, omit_defaults=True):
    """What was asked for, and who asked. `input` and `output` are s3:// addresses. Of exports: `change` is the number of the newest
    change that is part of it, `request` the address that asked for it, if FHIR's; without an `output` the files are kept here."""

    by: Principal
    role: str = ""
    output: str = ""
    kms_key: str = ""
    input: str = ""
    level: Level = "strict"
    change: int = 0
    request: str = ""
    asked: Asked = msgspec.field(default_factory=Asked)


class Start(msgspec.Struct):
    """A checked wish to start a job."""

    id: str
    datastore: str
    kind: str
    name: str | None
    token: str
    wanted: Wanted


def rights(action: str, role: Callable[[Input], str], datastore: Callable[[Input], str]) -> Rights:
    """What starting a job needs: its action on the data store, and passing the role to HealthLake."""

    def needed(call: Call, input: Input) -> Sequence[Right]:
        passed = Right("iam:PassRole", role(input), {"iam:passedtoservice": PRINCIPAL})
        return Right(f"healthlake:{action}", datastores.arn_of_id(call, datastore(input))), passed

    return needed


def buckets(calls: Calls, found: store.Datastore, role: str) -> Buckets:
    """The user's buckets, as HealthLake reaches them in the role that the user named."""
    return Buckets(calls, service_principal(PRINCIPAL, found.account, datastores.store_arn(found), role), found.region)


def at(address: str | None, member: str) -> Place:
    """The place of an s3:// address. Raises ServiceError."""
    found = place(address or "")
    if found is None:
        raise datastores.invalid("{member} must be an address of the form s3://bucket/folder/.", member=member)
    return found


def output_of(configuration: Any, member: str) -> tuple[str, str]:
    """(S3Uri, KmsKeyId) of an output configuration. Raises ServiceError."""
    s3 = None if configuration is None else configuration.S3Configuration
    if s3 is None:
        raise datastores.invalid("{member}.S3Configuration is required.", member=member)
    at(s3.S3Uri, f"{member}.S3Configuration.S3Uri")
    return s3.S3Uri, s3.KmsKeyId


def check_access(call: Call, found: store.Datastore, wanted: Wanted) -> None:
    """Assumes the role and writes HealthLake's probe to the output place, as HealthLake does when a job is submitted; for an import
    it also lists the input. Raises ServiceError, before anything is started."""
    reach = buckets(call.tools.calls, found, wanted.role)
    target = at(wanted.output, "S3Uri")
    try:
        reach.put(target.below(bulk_layout.PROBE), b"")
        if wanted.input:
            next(reach.listed(at(wanted.input, "InputDataConfig.S3Uri")), None)
    except ServiceError as error:
        raise refused(error, wanted.role) from error


def refused(error: ServiceError, role: str) -> ServiceError:
    """HealthLake's error for one of S3 or STS: what the user can put right, or what to try again."""
    if isinstance(error, Unavailable):
        return error
    why = Content(error.for_caller())
    if error.status == 403:
        text = "HealthLake cannot use the data access role {role}: {why}"
        return ServiceError("AccessDeniedException", text, role=role, why=why)
    if error.status < 500:
        return datastores.invalid("The bucket cannot be used in the data access role {role}: {why}", role=role, why=why)
    return ServiceError("FailedDependencyException", "Amazon S3 cannot be used now: {why}", why=why)


def job_error(error: ServiceError, role: str) -> ServiceError:
    """What a running job makes of an error: its own reasons and outages, which are tried again, stay as they are."""
    return error if isinstance(error, JobFailed) or error.status >= 500 else refused(error, role)


def still_active(tx: Tx, id: str) -> None:
    """Raises JobFailed when the data store was deleted meanwhile."""
    found = store.datastore(tx, id)
    if found is None or found.status != "ACTIVE":
        raise JobFailed("The data store was deleted.")


def turn(run: Run, write: Callable[[Tx], object], durable: bool = True) -> float:
    """Writes in one turn, again when it lost against another transaction. Returns the share of its time that the statements took."""
    for tried in range(_PATIENCE):
        try:
            with run.write(durable) as tx:
                began = run.clock.monotonic()
                write(tx)
                return (run.clock.monotonic() - began) / tx.lasts
        except Again:
            if tried == _PATIENCE - 1:
                raise
    raise AssertionError("the last one returned or raised")


def start(tx: Tx, call: Call, plan: Start) -> JobRow:
    """Starts a job, or finds the one that the same client token and input started. Raises ServiceError."""
    found = usable(tx, call, plan.datastore)
    fingerprint = hashlib.sha256(msgspec.json.encode((plan.name, msgspec.structs.replace(plan.wanted, by=_NOBODY, change=0)))).hexdigest()
    if earlier := job_store.by_token(tx, found.id, plan.kind, plan.token):
        if earlier[1] != fingerprint:
            raise datastores.invalid("ClientToken was used before with other parameters.")
        return earlier[0]
    waiting = jobs.waiting(tx, QUEUES[plan.kind], plan.kind)
    if waiting >= MOST_WAITING:
        raise ServiceError("ThrottlingException", "{most} jobs wait already. Try again later.", most=MOST_WAITING)
    status = "QUEUED" if waiting else "SUBMITTED"
    asked = msgspec.json.encode(plan.wanted).decode()
    job_store.add(tx, plan.id, found.id, plan.kind, plan.name, status, round(call.now, 3), asked, plan.token, fingerprint)
    jobs.submit(tx, QUEUES[plan.kind], plan.kind, plan.id, call.now)
    made = job_store.job(tx, found.id, plan.kind, plan.id)
    assert made is not None, "just made"
    return made


def usable(snapshot: Snapshot, call: Call, id: str) -> store.Datastore:
    """The caller's active data store, named in the record. Raises ServiceError."""
    found = datastores.own(snapshot, call, id)
    call.touch(datastores.TYPE, datastores.store_arn(found))
    if found.status != "ACTIVE":
        raise datastores.invalid("The data store is {state}.", state=found.status)
    return found


def described(snapshot: Snapshot, call: Call, datastore: str, kind: str, id: str) -> JobRow:
    """A job of the caller's data store. Raises ServiceError."""
    found = datastores.own(snapshot, call, datastore)
    call.touch(datastores.TYPE, datastores.store_arn(found))
    job = job_store.job(snapshot, found.id, kind, id)
    if job is None:
        raise ServiceError("ResourceNotFoundException", "The {kind} job {id} was not found.", kind=kind, id=Content(id))
    return job


def listed(snapshot: Snapshot, call: Call, input: Input, kind: str) -> tuple[list[JobRow], str | None]:
    """A page of jobs, newest first, and the token of the next one."""
    found = datastores.own(snapshot, call, input.DatastoreId)
    call.touch(datastores.TYPE, datastores.store_arn(found))
    after, before = input.SubmittedAfter, input.SubmittedBefore
    bound = (call.account, call.region, found.id, kind, input.JobName, input.JobStatus, after, before)
    last = None
    if input.NextToken:
        try:
            last = paging.redeem(call.tools.sealer, "ListFHIRJobs", bound, input.NextToken, tuple[float, str])
        except paging.BadToken as error:
            raise datastores.invalid("NextToken is not valid for this request.") from error
    size = input.MaxResults or MOST_LISTED
    rows = job_store.page(snapshot, found.id, kind, input.JobName, input.JobStatus, after, before, last, size + 1)
    shown = rows[:size]
    token = None
    if len(rows) > size:
        token = paging.issue(call.tools.sealer, "ListFHIRJobs", bound, (shown[-1].submitted, shown[-1].id))
    return shown, token


def started(job: JobRow) -> Output:
    """What starting answers."""
    return {"JobId": job.id, "JobStatus": job.status, "DatastoreId": job.datastore}


def wanted_of(job: JobRow) -> Wanted:
    """What a job was asked for."""
    return msgspec.json.decode(job.wanted, type=Wanted)


def properties(job: JobRow) -> dict[str, Any]:
    """What the descriptions of both kinds have in common."""
    found: dict[str, Any] = {"JobId": job.id, "JobStatus": job.status, "SubmitTime": job.submitted, "DatastoreId": job.datastore}
    if job.name is not None:
        found["JobName"] = job.name
    if job.ended is not None:
        found["EndTime"] = job.ended
    if job.message:
        found["Message"] = job.message
    role = wanted_of(job).role
    return found | ({"DataAccessRoleArn": role} if role else {})


def result_place(wanted: Wanted, datastore: str, kind: str, job: str) -> Place:
    """The folder that a job writes to."""
    return at(wanted.output, "S3Uri").below(bulk_layout.folder(datastore, kind, job))
