"""A small world around CloudTrail's operations: databases with its tables, a clock to set, calls, and S3 as a list of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from opentrail.calls.call import Call, Request, Target
from opentrail.calls.tools import Tools
from opentrail.journal.append import Appender, Fresh
from opentrail.journal.disclosures import Disclosed, listed
from opentrail.journal.read import Entry, after
from opentrail.kernel.ambient import SystemIds
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail.history import index, merging
from opentrail.work.lease import Lease
from tests.databases import Database

ACCOUNT, REGION = "123456789012", "us-east-1"
NOW = 1_790_000_000.0
PATIENTS = "arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/0a1b/Patient"


class Clock:
    """Stands still until it is set; `monotonic` runs by a quarter second a look."""

    def __init__(self) -> None:
        self.time = NOW
        self.looks = 0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        self.looks += 1
        return self.looks / 4


class S3:
    """The calls CloudTrail makes itself: kept, answered with {} or the error that is set for the operation."""

    def __init__(self) -> None:
        self.made: list[tuple[Principal, str, str, str, Mapping[str, Any]]] = []
        self.errors: dict[str, ServiceError] = {}

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        self.made.append((principal, region, service, operation, input))
        if operation in self.errors:
            raise self.errors[operation]
        return {}


class Input(SimpleNamespace):
    """An input as decoded: members that were not given are None."""

    def __getattr__(self, name: str) -> Any:
        return None


class World:
    """Everything an operation needs."""

    def __init__(self, main: Database, history: Database, delivery: Database, blobs: Path) -> None:
        self.main, self.history = main, history
        self.clock, self.s3 = Clock(), S3()
        self._following = Lease(history, index.NAME, "test", self.clock)
        self._merging = Lease(history, merging.NAME, "test", self.clock)
        self.sealer = Sealer(bytes(32))
        self.tools = Tools(
            clock=self.clock,
            ids=SystemIds(),
            sealer=self.sealer,
            settings=Settings(),
            calls=self.s3,
            read=main.read,
            history=history.read,
            delivery=delivery.read,
            blobs=blobs,
        )

    def call(self, account: str = ACCOUNT, region: str = REGION) -> Call:
        request = Request("POST", "/", "", {}, b"", "127.0.0.1", self.clock.time)
        call = Call(request, self.tools, "request-1")
        service: Any = None
        call.set_target(Target(service, "Any", "json", None))
        call.set_caller(Principal("Root", account, account, f"arn:aws:iam::{account}:root", "AKIAROOT"), region)
        return call

    def read(self, operation: Callable[..., Any], region: str = REGION, account: str = ACCOUNT, **members: Any) -> Any:
        """Performs a read-only operation."""
        with self.main.read() as snapshot:
            return operation(snapshot, self.call(account, region), Input(**members))

    def write(
        self, prepare: Callable[..., Any], apply: Callable[..., Any], region: str = REGION, account: str = ACCOUNT, **members: Any
    ) -> Any:
        """Performs a state-changing operation in a batch of its own, with one record."""
        call = self.call(account, region)
        plan = prepare(call, Input(**members))
        writer = self.main.writer()
        writer.begin(writes=True)
        tx = writer.enter()
        try:
            output = apply(tx, call, plan)
            later = list(tx.later)
            writer.leave()
            Appender().append(writer.tx, [([Fresh(int(call.now), account, region, 0, b"{}")], later)])
        except BaseException:
            writer.rollback()
            raise
        writer.commit()
        return output

    def record(self, *records: Fresh) -> None:
        """Appends records to the journal."""
        writer = self.main.writer()
        writer.begin(writes=False)
        writer.enter()
        writer.leave()
        Appender().append(writer.tx, [([record], ()) for record in records])
        writer.commit()

    def entries(self, position: int = 0, count: int = 10**6) -> list[Entry]:
        with self.main.read() as snapshot:
            return after(snapshot, position, count)

    def follow(self, entries: list[Entry]) -> None:
        """Puts those entries into the index that are not in it yet, as the runner does."""
        origin = self._following.position()
        fresh = [entry for entry in entries if entry.position > origin]
        if fresh and self._following.acquire():
            follower = index.follower()
            with self.main.read() as snapshot:
                taken, gathered = follower.gather(snapshot, fresh)
            prepared = follower.prepare(gathered)
            with self._following.write() as tx:
                follower.take(tx, prepared)
                self._following.move(tx, origin, fresh[taken - 1].position)
            self.follow(fresh[taken:])

    def merge(self) -> bool:
        """One step of the task that merges the index; whether more may wait."""
        assert self._merging.acquire()
        return merging.Merging(self.clock, 90).step(self._merging)


def error_of(perform: Callable[[], Any]) -> tuple[str, str]:
    """Code and text of the error that something raises."""
    try:
        perform()
    except ServiceError as error:
        return error.code, error.for_caller()
    raise AssertionError("no error")


def fresh(
    number: int,
    time: int,
    name: str = "CreateTrail",
    user: str = "alice",
    source: str = "cloudtrail.amazonaws.com",
    read_only: bool = False,
    key: str = "AKIA1",
    resources: tuple[tuple[str, str], ...] = (),
    account: str = ACCOUNT,
    region: str = REGION,
    category: int = 0,
    patients: tuple[str, ...] = (),
) -> Fresh:
    """A record as the journal takes it; `patients` are in a list beside it."""
    shown, text = listed(patients, PATIENTS, beside=True)
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "accountId": account, "accessKeyId": key, "userName": user},
        "eventTime": "2026-09-21T00:00:00Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "eventID": f"event-{number}",
        "readOnly": read_only,
        "resources": [{"type": type, "ARN": arn} for type, arn in resources],
        "eventCategory": "Data" if category else "Management",
        **({"additionalEventData": {"patients": shown}} if patients else {}),
    }
    return Fresh(time, account, region, category, msgspec.json.encode(record), (Disclosed("patients", text),) if patients else ())
