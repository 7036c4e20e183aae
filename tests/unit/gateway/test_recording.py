"""The frame: every end of a call leaves exactly one record or one counted reason, and never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from opentrail.calls.call import Call, Request, Target, Touched
from opentrail.calls.operation import Audit, Operation, Service, right
from opentrail.gateway.recording import Outcome, recorded
from opentrail.kernel import telemetry
from opentrail.kernel.errors import Content, ServiceError, Unavailable
from opentrail.kernel.principal import Principal
from opentrail.store.database import Again, Broken, Full, Slow
from opentrail.store.lane import Ticket

ME = Principal("IAMUser", "123456789012", "AIDA", "arn:aws:iam::123456789012:user/nurse", "AKIA", "nurse")
OPERATION = Operation("AddTags", right("cloudtrail:AddTags"), apply=lambda tx, call, plan: {})
SERVICE = Service(
    "cloudtrail",
    {"AddTags": OPERATION},
    {"AddTags": Audit(keep=("ResourceId", "When"), times=("When",), keep_output=("Done",))},
    "cloudtrail.amazonaws.com",
    ("cloudtrail",),
    "cloudtrail",
)


class Tx:
    undone = 0

    def undo(self) -> None:
        self.undone += 1


class Lane:
    """Runs a ticket at once, as the lane thread would, and keeps its records."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.records: list[dict[str, Any]] = []
        self.tx, self.failure = Tx(), failure

    def submit(self, ticket: Ticket) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            done.set_exception(self.failure)
            return done
        records = ticket.perform(self.tx) if ticket.perform is not None else ticket.records  # type: ignore[arg-type]
        self.records += [msgspec.json.decode(fresh.record) for fresh in records]
        done.set_result(None)
        return done


def world(failure: Exception | None = None) -> tuple[Any, Lane]:
    lane = Lane(failure)
    numbers = iter(range(1000))
    clock = SimpleNamespace(now=lambda: 1.79e9, monotonic=lambda: 5.0)
    tools = SimpleNamespace(clock=clock, ids=SimpleNamespace(uuid=lambda: f"event-{next(numbers)}"))
    return SimpleNamespace(lane=lane, tools=tools), lane


def call(gateway: Any) -> Call:
    made = Call(
        Request("POST", "/", "", {"x-amz-target": "a.b", "user-agent": "test"}, b"", "10.0.0.1", 1.79e9), gateway.tools, "request-1"
    )
    made.set_target(Target(SERVICE, "AddTags", "json", OPERATION))
    made.set_caller(ME, "us-east-1")
    return made


def run(gateway: Any, made: Call, walk: Callable[[Outcome], Any]) -> Outcome:
    async def walked(outcome: Outcome) -> None:
        walk(outcome)

    async def main() -> Outcome:
        return await recorded(gateway, made, walked)

    return asyncio.run(main())


def raising(error: Exception) -> Callable[[Outcome], None]:
    def walk(outcome: Outcome) -> None:
        raise error

    return walk


def performing(perform: Callable[[Any], Mapping[str, Any]]) -> Callable[[Outcome], None]:
    def walk(outcome: Outcome) -> None:
        outcome.perform = perform

    return walk


def counted(reason: str) -> float:
    return telemetry.calls_unrecorded.labels(reason)._value.get()


def test_success_leaves_one_record() -> None:
    gateway, lane = world()
    made = call(gateway)
    made.set_input({"ResourceId": "trail", "Secret": "x", "When": 0})
    outcome = run(gateway, made, performing(lambda tx: {"Done": "yes", "Other": "no"}))
    [record] = lane.records
    assert record["requestParameters"] == {"resourceId": "trail", "when": "Jan 1, 1970 12:00:00 AM"}
    assert (record["responseElements"], record["requestID"], record["eventID"]) == ({"done": "yes"}, "request-1", "event-0")
    assert outcome.answer is not None
    assert (outcome.answer.status, outcome.error) == (200, None)


@pytest.mark.parametrize("in_lane", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ServiceError("TrailNotFoundException", "no {name}", name=Content("canary")), "TrailNotFoundException", 400),
        (ValueError("canary"), "InternalFailure", 500),
        (RecursionError("canary"), "InternalFailure", 500),
    ],
)
def test_failures_leave_one_record_each_and_no_content(in_lane: bool, error: Exception, code: str, status: int) -> None:
    gateway, lane = world()
    made = call(gateway)

    def perform(tx: Any) -> Mapping[str, Any]:
        raise error

    outcome = run(gateway, made, performing(perform) if in_lane else raising(error))
    [record] = lane.records
    assert (record["errorCode"], record["responseElements"]) == (code, None)
    assert "canary" not in str(record)
    assert outcome.answer is not None
    assert outcome.answer.status == status
    assert lane.tx.undone == int(in_lane)


@pytest.mark.parametrize("error", [Broken("a"), Full("a"), Slow("a"), Again("a")])
def test_a_database_that_fails_a_step_is_unavailable_and_counted(error: Exception) -> None:
    gateway, lane = world()
    before = counted("unavailable")
    outcome = run(gateway, call(gateway), raising(error))
    assert lane.records == []
    assert isinstance(outcome.error, Unavailable)
    assert outcome.answer is not None
    assert outcome.answer.status == 503
    assert counted("unavailable") == before + 1


@pytest.mark.parametrize("error", [Broken("a"), Full("a"), Again("a")])
def test_the_lane_itself_handles_what_it_must(error: Exception) -> None:
    """These end the batch, not the call: they pass the frame, with the call as it was before."""
    gateway, _ = world()
    made = call(gateway)

    def perform(tx: Any) -> Mapping[str, Any]:
        made.touch("T", "arn")
        raise error

    with pytest.raises(type(error)):
        run(gateway, made, performing(perform))
    assert made.touched == []


def test_a_slow_statement_is_undone_and_recorded() -> None:
    gateway, lane = world()

    def perform(tx: Any) -> Mapping[str, Any]:
        raise Slow("interrupted")

    outcome = run(gateway, call(gateway), performing(perform))
    assert [record["errorCode"] for record in lane.records] == ["ServiceUnavailable"]
    assert (lane.tx.undone, outcome.answer.status if outcome.answer else 0) == (1, 503)


def test_a_closed_lane_answers_503() -> None:
    gateway, lane = world(Unavailable("closed"))
    outcome = run(gateway, call(gateway), performing(lambda tx: {}))
    assert outcome.answer is not None
    assert (outcome.answer.status, outcome.output, lane.records) == (503, None, [])


def test_what_cannot_be_encoded_is_undone_and_recorded_as_a_fault() -> None:
    """An answer that cannot be built must neither end the lane nor leave its change behind."""
    gateway, lane = world()
    outcome = run(gateway, call(gateway), performing(lambda tx: {"Done": object()}))
    assert [record["errorCode"] for record in lane.records] == ["InternalFailure"]
    assert (lane.tx.undone, outcome.answer.status if outcome.answer else 0) == (1, 500)


@pytest.mark.parametrize("in_lane", [False, True])
def test_parameters_that_cannot_be_rendered_are_left_out(in_lane: bool) -> None:
    gateway, lane = world()
    made = call(gateway)
    made.set_input({"ResourceId": "\ud800"})
    run(gateway, made, performing(lambda tx: {}) if in_lane else raising(ServiceError("Other", "x")))
    [record] = lane.records
    assert (record["errorCode"], record["requestParameters"]) == ("InternalFailure", None)


def test_two_recipients_get_a_record_each_that_share_an_id() -> None:
    gateway, lane = world()
    made = call(gateway)
    made.touched.append(Touched("T", "arn:aws:s3:::box", "999999999999"))
    run(gateway, made, performing(lambda tx: {}))
    mine, theirs = lane.records
    assert (mine["recipientAccountId"], theirs["recipientAccountId"]) == ("123456789012", "999999999999")
    assert mine["sharedEventID"] == theirs["sharedEventID"]
    assert mine["eventID"] != theirs["eventID"]
    assert mine["userIdentity"]["type"] == "IAMUser"
    assert theirs["userIdentity"] == {"type": "AWSAccount", "principalId": "AIDA", "accountId": "123456789012"}


def test_denied_calls_have_no_parameters() -> None:
    gateway, lane = world()
    made = call(gateway)
    made.set_input({"ResourceId": "trail"})
    run(gateway, made, raising(ServiceError("AccessDeniedException", "no", status=403)))
    assert lane.records[0]["requestParameters"] is None


def test_what_cloudtrail_would_not_record_is_counted() -> None:
    gateway, lane = world()
    unresolved = Call(Request("POST", "/", "", {}, b"", "", 0.0), gateway.tools, "r")
    before = counted("UnknownOperationException")
    run(gateway, unresolved, raising(ServiceError("UnknownOperationException", "x")))
    assert (lane.records, counted("UnknownOperationException")) == ([], before + 1)

    def suppressed(outcome: Outcome) -> None:
        outcome.unrecorded = True
        raise ServiceError("SignatureDoesNotMatch", "x", status=403)

    before = counted("SignatureDoesNotMatch")
    run(gateway, call(gateway), suppressed)
    assert (lane.records, counted("SignatureDoesNotMatch")) == ([], before + 1)
