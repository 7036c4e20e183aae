"""What an export or import tells the trail: records of its own, each with the resources and patients of one piece of the job.

The call that starts a job is recorded when it is made and shows nothing. What the job then shows or changes is recorded in the
name of who started it, as done by the service, in the transactions in which the job keeps its checkpoints: a job that goes on
after a crash tells every piece once. Event history finds these records by patient like those of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from opentrail.calls.call import Call, Request
from opentrail.calls.tools import Tools
from opentrail.journal.append import Appender, Fresh
from opentrail.journal.read import MANAGEMENT
from opentrail.kernel.principal import Principal
from opentrail.record.build import SERVICE_EVENT, Action, Facts, build
from opentrail.services.healthlake import datastores, naming, store
from opentrail.store.sql import Tx

SERVICE = "healthlake.amazonaws.com"
EXPORT, IMPORT = "export", "import"
"""Kinds of jobs."""

ACTIONS = {
    EXPORT: Action(SERVICE, "ExportFHIRResources", read_only=True, data=False),
    IMPORT: Action(SERVICE, "ImportFHIRResources", read_only=False, data=False),
}
"""What the records are called."""

Tell = Callable[[Tx, Principal, store.Datastore, str, str, Sequence[str], Sequence[str]], None]

MOST = 10_000
"""Resources that one record tells at most: their lists are written in a few milliseconds."""


def telling(tools: Tools) -> Tell:
    """`tell` with its tools, as jobs are given it."""
    return lambda tx, by, found, kind, job, resources, patients: tell(tx, tools, by, found, kind, job, resources, patients)


def tell(
    tx: Tx, tools: Tools, by: Principal, found: store.Datastore, kind: str, job: str, resources: Sequence[str], patients: Sequence[str]
) -> None:
    """Records that the job with the id `job`, which `by` started, showed (EXPORT) or changed (IMPORT) these resources (`Type/id`, at
    most MOST), which concern these patients (ids). MUST be the last statement of the transaction: it locks the journal's head."""
    assert len(resources) <= MOST, "a piece of a job is bounded"
    call = Call(Request("JOB", "/", "", {}, b"", SERVICE, tools.clock.now()), tools, tools.ids.uuid())
    call.touch(datastores.TYPE, datastores.store_arn(found))
    call.facts["jobId"] = job
    naming.returned(call, found, resources, patients)
    facts = Facts(
        action=ACTIONS[kind],
        principal=replace(by, invoked_by=SERVICE),
        time=call.now,
        region=found.region,
        source_ip=SERVICE,
        user_agent=SERVICE,
        request_id=call.id,
        event_id=tools.ids.uuid(),
        recipient=found.account,
        additional=call.facts,
        resources=[(one.arn, one.type, found.account) for one in call.touched],
        event_type=SERVICE_EVENT,
    )
    fresh = Fresh(int(facts.time), found.account, found.region, MANAGEMENT, build(facts), tuple(call.disclosed))
    Appender().append(tx, [([fresh], ())])
