"""Import jobs: StartFHIRImportJob, DescribeFHIRImportJob, ListFHIRImportJobs. `importing` does them."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.healthlake import bulk, datastores
from opentrail.services.healthlake.bulk import Start, Wanted
from opentrail.services.healthlake.engine import bulk_layout
from opentrail.services.healthlake.importing import Checkpoint
from opentrail.services.healthlake.job_store import IMPORT, JobRow
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs

NOT_YET = ("ProfileId", "InputFormat", "DriftDetectionEnabled", "ProvenanceEnabled")

rights = bulk.rights("StartFHIRImportJob", lambda input: str(input.DataAccessRoleArn), lambda input: str(input.DatastoreId))


def prepare_start(call: Call, input: Input) -> Start:
    """StartFHIRImportJob, first half: the request's rules, then the role and its access to both places."""
    for member in NOT_YET:
        if getattr(input, member) not in (None, False):
            raise datastores.invalid("{member} belongs to data transformation, which is not supported.", member=member)
    bulk.at(input.InputDataConfig.S3Uri, "InputDataConfig.S3Uri")
    output, key = bulk.output_of(input.JobOutputDataConfig, "JobOutputDataConfig")
    wanted = Wanted(
        role=input.DataAccessRoleArn,
        output=output,
        kms_key=key,
        by=call.caller,
        input=input.InputDataConfig.S3Uri,
        level=input.ValidationLevel or "strict",
    )
    with call.tools.read() as snapshot:
        found = bulk.usable(snapshot, call, input.DatastoreId)
    bulk.check_access(call, found, wanted)
    return Start(call.tools.ids.hex(32), found.id, IMPORT, input.JobName, input.ClientToken, wanted)


def start(tx: Tx, call: Call, plan: Start) -> Output:
    """StartFHIRImportJob: the same client token and input give the same job again."""
    return bulk.started(bulk.start(tx, call, plan))


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeFHIRImportJob."""
    return {"ImportJobProperties": _properties(snapshot, call, bulk.described(snapshot, call, input.DatastoreId, IMPORT, input.JobId))}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListFHIRImportJobs: newest first."""
    page, token = bulk.listed(snapshot, call, input, IMPORT)
    return {
        "ImportJobPropertiesList": [_properties(snapshot, call, job) for job in page],
        **({"NextToken": token} if token else {}),
    }


def _properties(snapshot: Snapshot, call: Call, job: JobRow) -> dict[str, Any]:
    """The properties; while the job runs, its progress as of its newest checkpoint."""
    wanted = bulk.wanted_of(job)
    report = msgspec.json.decode(job.report)
    running = jobs.under_way(snapshot, job.id)
    if running is not None and running.checkpoint:
        held = msgspec.json.decode(running.checkpoint, type=Checkpoint)
        report = bulk_layout.progress(held.before.plus(held.here), call.now - held.began)
    s3 = {"S3Configuration": {"S3Uri": str(bulk.result_place(wanted, job.datastore, IMPORT, job.id)), "KmsKeyId": wanted.kms_key}}
    return {
        **bulk.properties(job),
        "InputDataConfig": {"S3Uri": wanted.input},
        "JobOutputDataConfig": s3,
        "ValidationLevel": wanted.level,
        **({"JobProgressReport": report} if report else {}),
    }
