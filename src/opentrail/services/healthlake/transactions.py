"""Asynchronous transactions: `Prefer: respond-async` on ProcessBundle, and polling for what became of it.

    POST /                   202, Content-Location: .../Transaction/{id}      the Bundle is checked in form and kept
    POST Transaction/{id}    HealthLake's own call from the work role: carries it out; a ProcessBundle with a record of its own
    GET Transaction/{id}     202 while it waits, then the transaction-response or the refusal

The Bundle is carried out in the one database transaction that also ends its row: exactly once, whatever crashes. The rights are
those of the caller who sent it, judged then.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.services.healthlake import bundle_plans, bundles, data_queue, jobs, naming, requests, transaction_store
from opentrail.services.healthlake.bundle_entries import Result, taken_apart
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.engine.issues import Issue, content, name, operation_outcome, refuse
from opentrail.services.healthlake.outcomes import refusal
from opentrail.store.sql import Snapshot, Tx

MOST_PENDING = 500
"""Transactions of one data store that wait at once."""
KEPT = 90 * 86_400_000
"""Milliseconds for which a transaction can be asked for after it was sent, at least."""


class Shown(msgspec.Struct):
    """The resources (`Type/id`) and patients that an ended transaction's answer speaks of."""

    resources: list[str]
    patients: list[str]


@dataclass(frozen=True, slots=True)
class Submission:
    """A Bundle to keep: the id of its transaction, and a line for each entry."""

    id: str
    input: FhirInput
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """A kept Bundle to carry out."""

    id: str
    request: str
    plan: bundle_plans.Plan


def prepare(call: Call, input: FhirInput) -> bundle_plans.Plan | Submission | Run:
    """ProcessBundle, first half."""
    if input.resourceId is not None:
        return _prepare_run(call, input, input.resourceId)
    if requests.wants_async(input.prefer):
        return _prepare_submission(call, input)
    return bundle_plans.prepare(call, input)


def _prepare_submission(call: Call, input: FhirInput) -> Submission:
    bundle = taken_apart(input)
    if bundle.type != "transaction":
        raise refuse(400, "not-supported", "Only a transaction can be processed asynchronously.")
    for entry in bundle.entries:
        if entry.action in engine.PATCHES:
            place = f"/Bundle/entry[{entry.place}]"
            raise refuse(400, "not-supported", "A patch cannot be part of an asynchronous transaction.", location=place)
    requests.level(input.validation_level)
    lines = [f"{entry.method} {naming.shown(call, f'{entry.type}/{entry.id}'.rstrip('/'))}" for entry in bundle.entries]
    return Submission(call.tools.ids.hex(32), input, lines)


def _prepare_run(call: Call, input: FhirInput, id: str) -> Run:
    if (call.caller.kind, call.caller.service) != ("AWSService", jobs.SERVICE):
        error = refusal(refuse(405, "not-supported", "A transaction is sent to the data store's own address."))
        error.members = {**error.members, "allow": "GET, HEAD"}
        raise error
    with call.tools.read() as snapshot:
        kept = transaction_store.waiting(snapshot, id)
    if kept is None or kept.datastore != input.datastoreId:
        raise _unknown(id)
    given = replace(
        input,
        resourceId=None,
        body=kept.body,
        base=kept.base,
        prefer=kept.prefer,
        validation_level=kept.level,
        content_type="",
        parsed=None,
    )
    return Run(id, kept.request, bundle_plans.prepare(call, given))


def process(tx: Tx, call: Call, plan: bundle_plans.Plan | Submission | Run) -> Output:
    """ProcessBundle, second half."""
    if isinstance(plan, Submission):
        return _submit(tx, call, plan)
    if isinstance(plan, Run):
        return _run(tx, call, plan)
    return bundles.process(tx, call, plan)[0]


def _submit(tx: Tx, call: Call, plan: Submission) -> Output:
    input = plan.input
    found = requests.active(tx, call, input.datastoreId)
    if transaction_store.pending(tx, found.id) >= MOST_PENDING:
        raise refuse(429, "throttled", "The data store has {} transactions that wait, which is the limit.", name(MOST_PENDING))
    kept = transaction_store.Waiting(
        plan.id, found.id, call.account, call.region, transaction_store.SUBMITTED, call.id, input.base, input.prefer,
        input.validation_level, input.body,
    )  # fmt: skip
    transaction_store.forget(tx, found.id, requests.milliseconds(call) - KEPT)
    transaction_store.insert(tx, kept, requests.milliseconds(call))
    data_queue.transaction(tx, plan.id, call.now)
    call.facts["transaction"] = plan.id
    call.disclose("entries", plan.lines)
    return _told(202, "Submitted Asynchronous Bundle Transaction", {"content-location": f"{input.base}/Transaction/{plan.id}"})


def _run(tx: Tx, call: Call, plan: Run) -> Output:
    if transaction_store.waiting(tx, plan.id) is None:
        raise _unknown(plan.id)
    call.facts["transaction"], call.facts["submittedBy"] = plan.id, plan.request
    answer, results = bundles.process(tx, call, plan.plan)
    transaction_store.end(tx, plan.id, transaction_store.COMPLETED, answer["status"], answer["body"], _shown(results))
    return {"status": 200}


def _shown(results: list[Result]) -> bytes:
    return msgspec.json.encode(
        Shown([one for result in results for one in result.resources], [one for result in results for one in result.patients])
    )


def describe(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """DescribeTransaction: 202 until the transaction ended, then its answer."""
    found = requests.active(snapshot, call, input.datastoreId)
    id = input.resourceId or ""
    state = transaction_store.state(snapshot, found.id, id)
    if state is None:
        raise _unknown(id)
    if state.answer_status is None:
        return _told(202, state.status, {"x-progress": state.status, "retry-after": "1"})
    shown = msgspec.json.decode(state.shown, type=Shown) if state.shown else Shown([], [])
    naming.returned(call, found, shown.resources, shown.patients)
    return {"status": state.answer_status, "body": state.answer}


def _told(status: int, text: str, headers: dict[str, str]) -> Output:
    outcome = operation_outcome([Issue("information", "informational", text)])
    return {"status": status, "body": msgspec.json.encode(outcome), "headers": headers}


def _unknown(id: str) -> Exception:
    return refuse(404, "not-found", "Transaction {} is not known.", content(id))
