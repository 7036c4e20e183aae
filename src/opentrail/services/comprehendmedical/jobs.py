"""Batch jobs: Start, Describe, List and Stop of the five kinds; the work is in `batch`.

Start -> SUBMITTED -> IN_PROGRESS -> COMPLETED | PARTIAL_SUCCESS | FAILED
Stop of a waiting job -> STOPPED; of one at work -> STOP_REQUESTED -> STOPPED, with what was done until then
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, Right, right
from opentrail.kernel import arn, paging
from opentrail.kernel.errors import ServiceError
from opentrail.services.comprehendmedical import store, vocabularies
from opentrail.services.comprehendmedical.engine.library import MODEL_VERSION
from opentrail.services.comprehendmedical.engine.snomed import MISSING
from opentrail.services.comprehendmedical.kinds import KINDS, SNOMEDCT, JobKind
from opentrail.services.comprehendmedical.store import Job
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs

SERVICE = "comprehendmedical"
PRINCIPAL = "comprehendmedical.amazonaws.com"
"""Whom the trust policy of a data access role must name."""

LISTED = 100
"""Jobs on a page that asks for no number."""


class Plan(NamedTuple):
    """A checked start."""

    made: Job
    token: str
    token_input: str


def invalid(template: str, **arguments: Any) -> ServiceError:
    """A request that breaks a rule."""
    return ServiceError("InvalidRequestException", template, **arguments)


def job_arn(job: Job) -> str:
    """What stands for a job as the source of calls (aws:SourceArn), and as the id of its work."""
    return arn.build(SERVICE, job.region, job.account, f"{KINDS[job.kind].arn}/{job.id}")


class Family:
    """The four operations of one kind."""

    def __init__(self, kind: JobKind) -> None:
        self._kind = kind

    def operations(self) -> tuple[Operation, ...]:
        """Start, Describe, List, Stop."""
        word = self._kind.word
        start, describe, listing, stop = f"Start{word}Job", f"Describe{word}Job", f"List{word}Jobs", f"Stop{word}Job"
        return (
            Operation(start, self._start_rights, prepare=self.prepare, apply=self.start),
            Operation(describe, right(f"{SERVICE}:{describe}"), read=self.describe, point=True),
            Operation(listing, right(f"{SERVICE}:{listing}"), read=self.list_all),
            Operation(stop, right(f"{SERVICE}:{stop}"), apply=self.stop),
        )

    def _start_rights(self, call: Call, input: Input) -> Sequence[Right]:
        """Who starts a job hands a role to the service."""
        return (
            Right(f"{SERVICE}:Start{self._kind.word}Job"),
            Right("iam:PassRole", input.DataAccessRoleArn, {"iam:passedtoservice": PRINCIPAL}),
        )

    def prepare(self, call: Call, input: Input) -> Plan:
        """Start, first half: everything that needs no look at what is there."""
        if input.KMSKey is not None:
            raise invalid("KMSKey is not supported: output files are as the bucket keeps them. Leave it out.")
        role = arn.parse(input.DataAccessRoleArn)
        if role is None or role.account != call.account:
            raise invalid("DataAccessRoleArn must be a role of the account {account}.", account=call.account)
        if self._kind.word == SNOMEDCT and vocabularies.chosen("snomed", vocabularies.folder(call.tools.settings.folder))[0] is None:
            raise invalid(MISSING)
        id, output = call.tools.ids.hex(32), input.OutputDataConfig
        prefix = (output.S3Key or "").rstrip("/")
        settings = store.Settings(
            input_bucket=input.InputDataConfig.S3Bucket,
            input_key=input.InputDataConfig.S3Key or "",
            output_bucket=output.S3Bucket,
            output_key=f"{prefix}{'/' if prefix else ''}{call.account}-{self._kind.folder}-{id}/",
            role=input.DataAccessRoleArn,
            language=input.LanguageCode,
            model=MODEL_VERSION,
        )
        made = Job(
            id, call.account, call.region, self._kind.word, input.JobName, store.SUBMITTED, call.now, None, None, None,
            msgspec.json.encode(settings).decode(),
        )  # fmt: skip
        given = {name: value for name, value in msgspec.to_builtins(input).items() if name != "ClientRequestToken"}
        return Plan(made, input.ClientRequestToken, hashlib.sha256(msgspec.json.encode(given, order="deterministic")).hexdigest())

    def start(self, tx: Tx, call: Call, plan: Plan) -> Output:
        """Start: the same token and input give the same job again."""
        if earlier := store.job_by_token(tx, call.account, call.region, self._kind.word, plan.token):
            found, token_input = earlier
            if token_input != plan.token_input:
                raise invalid("ClientRequestToken was used before with other parameters.")
            return {"JobId": found.id}
        store.insert(tx, plan.made, plan.token, plan.token_input)
        jobs.submit(tx, SERVICE, self._kind.word, job_arn(plan.made), call.now)
        return {"JobId": plan.made.id}

    def describe(self, snapshot: Snapshot, call: Call, input: Input) -> Output:
        """Describe."""
        return {"ComprehendMedicalAsyncJobProperties": properties(self._own(snapshot, call, input.JobId))}

    def list_all(self, snapshot: Snapshot, call: Call, input: Input) -> Output:
        """List: newest first; oldest first with SubmitTimeBefore."""
        name, bound = f"List{self._kind.word}Jobs", (call.account, call.region, msgspec.to_builtins(input.Filter))
        filter, size = _filter(input), input.MaxResults or LISTED
        place = (-1.0, "") if filter[0] == store.ASCENDING else (1e12, "")
        if input.NextToken is not None:
            try:
                place = paging.redeem(call.tools.sealer, name, bound, input.NextToken, tuple[float, str])
            except paging.BadToken as error:
                raise invalid("NextToken is not valid for this request.") from error
        found = store.page(snapshot, call.account, call.region, self._kind.word, call.now - store.KEPT, filter, place, size + 1)
        output: dict[str, Any] = {"ComprehendMedicalAsyncJobPropertiesList": [properties(one) for one in found[:size]]}
        if len(found) > size:
            last = found[size - 1]
            output["NextToken"] = paging.issue(call.tools.sealer, name, bound, (last.submitted, last.id))
        return output

    def stop(self, tx: Tx, call: Call, input: Input) -> Output:
        """Stop: asking again is harmless; a job that has ended otherwise cannot be stopped."""
        found = self._own(tx, call, input.JobId)
        if store.move(tx, found.id, store.SUBMITTED, store.STOPPED):
            store.end(tx, found.id, store.STOPPED, call.now)
            jobs.forget(tx, job_arn(found))
        elif not store.move(tx, found.id, store.IN_PROGRESS, store.STOP_REQUESTED) and found.status not in (
            store.STOP_REQUESTED,
            store.STOPPED,
        ):
            raise invalid("The job cannot be stopped: it is {status}.", status=found.status)
        return {"JobId": found.id}

    def _own(self, snapshot: Snapshot, call: Call, id: str) -> Job:
        found = store.job(snapshot, id)
        if found is None or (found.account, found.region, found.kind) != (call.account, call.region, self._kind.word):
            raise ServiceError("ResourceNotFoundException", "There is no job of this kind with the given JobId.")
        if found.submitted < call.now - store.KEPT:
            raise ServiceError("ResourceNotFoundException", "The job has expired.")
        return found


def _filter(input: Input) -> tuple[str, str | float]:
    """The one filter that is set, as (member, value). Raises ServiceError for several."""
    given = [(name, value) for name in store.FILTERS if name and (value := getattr(input.Filter, name, None)) is not None]
    if len(given) > 1:
        raise ServiceError("ValidationException", "Only one member of Filter can be set at a time.")
    return given[0] if given else ("", "")


def properties(job: Job) -> dict[str, Any]:
    """A job as Describe and List show it."""
    places = job.places
    found: dict[str, Any] = {
        "JobId": job.id,
        "JobStatus": job.status,
        "SubmitTime": job.submitted,
        "ExpirationTime": job.submitted + store.KEPT,
        "InputDataConfig": {"S3Bucket": places.input_bucket, "S3Key": places.input_key},
        "OutputDataConfig": {"S3Bucket": places.output_bucket, "S3Key": places.output_key},
        "LanguageCode": places.language,
        "DataAccessRoleArn": places.role,
        "ModelVersion": places.model,
    }
    optional = {"JobName": job.name, "EndTime": job.ended, "Message": job.message, "ManifestFilePath": job.manifest}
    return found | {name: value for name, value in optional.items() if value is not None}


FAMILIES = tuple(Family(kind) for kind in KINDS.values())
