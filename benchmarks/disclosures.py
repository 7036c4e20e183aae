"""What it costs to say who was shown: searches and batches that show 10, 100 and 1,000 patients, against the same calls whose
records name nobody, in turns in one process; and what the lists cost Event history's follower.

    PYTHONPATH=src:. python -m benchmarks.disclosures

CPU of the whole process a call. The last two lines measure the follower alone: the names of one record with 100,000 patients,
against records of an ordinary call.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.pipeline import HOST, Cost, Sent, prepared, serve
from opentrail import app
from opentrail.calls.call import Request
from opentrail.journal.append import Fresh
from opentrail.journal.disclosures import Disclosed, listed
from opentrail.journal.read import Entry
from opentrail.kernel import memory
from opentrail.services.cloudtrail.history import build
from opentrail.services.cloudtrail.history.segments import Stored
from opentrail.services.healthlake import bundle_entries, naming
from opentrail.store.sql import Sql

PATIENTS, ROUNDS, PAGE = 1_000, 5, 100
STORE = "0a" * 16
UNDER = f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{STORE}/Patient"


def request(keys: Credentials, service: str, method: str, path: str, body: bytes, **headers: str) -> Sent:
    """A signed request as the pipeline takes it."""
    made = AWSRequest(method, f"http://{HOST}{path}", data=body, headers={"host": HOST, **headers})
    SigV4Auth(keys, service, "us-east-1").add_auth(made)
    bare, _, query = path.partition("?")
    lower = {name.lower(): value for name, value in made.headers.items()}
    return Request(method, bare, query, lower, b"", "127.0.0.1", time.time()), body


def bundle(kind: str, entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


def crowd(group: int) -> bytes:
    """A transaction that makes 100 patients with ids like those that servers give."""
    ids = [f"{group:08x}-0000-4000-8000-{number:012x}" for number in range(PAGE)]
    resources = [{"resourceType": "Patient", "id": id, "name": [{"family": f"Group{chr(97 + group)}"}]} for id in ids]
    return bundle("transaction", [{"resource": one, "request": {"method": "PUT", "url": f"Patient/{one['id']}"}} for one in resources])


@contextmanager
def unnamed() -> Iterator[None]:
    """Records that name nobody."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(naming, "returned", lambda *any: None))
        patches.enter_context(patch.object(naming, "touch_patients", lambda call, found, patients: list(patients)))
        patches.enter_context(patch.object(bundle_entries, "tell", lambda *any: None))
        yield


async def measure(folder: Path) -> None:
    parts, keys = prepared(folder)
    gateway = app.make_gateway(parts)
    memory.settle()
    target = {"x-amz-target": "HealthLake.CreateFHIRDatastore", "content-type": "application/x-amz-json-1.0"}
    await serve(gateway, [request(keys, "healthlake", "POST", "/", b'{"DatastoreTypeVersion":"R4"}', **target)])
    with parts.main.read() as view:
        row = view.one(Sql("SELECT id FROM healthlake_datastore"))
    assert row is not None
    root = f"/datastore/{row[0]}/r4/"
    sent = {"content-type": "application/fhir+json"}
    for group in range(PATIENTS // PAGE):
        await serve(gateway, [request(keys, "healthlake", "POST", root, crowd(group), **sent)])

    def searches(count: int, calls: int) -> list[Sent]:
        return [request(keys, "healthlake", "GET", f"{root}Patient?_count={count}&_sort=_id", b"") for _ in range(calls)]

    pages = [{"request": {"method": "GET", "url": f"Patient?family=Group{chr(97 + n)}&_count=100"}} for n in range(PATIENTS // PAGE)]
    whole = bundle("batch", pages)

    def batches(calls: int) -> list[Sent]:
        return [request(keys, "healthlake", "POST", root, whole, **sent) for _ in range(calls)]

    kinds: tuple[tuple[str, Callable[[], list[Sent]]], ...] = (
        ("search of 10 patients", lambda: searches(10, 400)),
        ("search of 100 patients", lambda: searches(100, 200)),
        ("batch of 1,000 patients", lambda: batches(30)),
    )
    for name, make in kinds:
        await serve(gateway, make())
        named, bare = [], []
        for _ in range(ROUNDS):
            named.append(await serve(gateway, make()))
            with unnamed():
                bare.append(await serve(gateway, make()))
        report(name, named, bare)
    with parts.main.read() as view:
        sizes = view.one(Sql("SELECT SUM(LENGTH(items)), COUNT(DISTINCT position) FROM disclosure"))
    assert sizes is not None
    print(f"lists beside {sizes[1]} records: {sizes[0] / max(1, sizes[1]) / 1024:.0f} KB a record")
    await asyncio.to_thread(gateway.lane.stop)


def report(name: str, named: Sequence[Cost], bare: Sequence[Cost]) -> None:
    with_names, without = (statistics.median(cost.cpu for cost in costs) * 1e6 for costs in (named, bare))
    print(
        f"{name:26} {with_names:9.0f} us CPU a call, without names {without:9.0f} us: {with_names / without:.2f} x,"
        f" {with_names - without:.0f} us more"
    )


def entry(position: int, patients: Sequence[str]) -> tuple[Entry, Fresh]:
    """A record of a search, in its place."""
    shown, text = listed(patients, UNDER)
    record = {
        "eventID": f"event-{position}", "eventName": "SearchWithGet", "eventSource": "healthlake.amazonaws.com", "readOnly": True,
        "userIdentity": {"type": "IAMUser", "userName": f"user{position % 50}", "accessKeyId": "AKIA"},
        "resources": [{"type": "AWS::HealthLake::FHIRDatastore", "ARN": UNDER.rpartition("/")[0]}],
        "additionalEventData": {"patients": shown},
    }  # fmt: skip
    fresh = Fresh(1_790_000_000 + position, "123456789012", "us-east-1", 0, json.dumps(record).encode(), (Disclosed("patients", text),))
    return Entry(position, fresh.time, fresh.account, fresh.region, fresh.category, fresh.record), fresh


def follower() -> None:
    """CPU of building the index."""
    many = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(100_000)]
    ordinary = [entry(position, ())[0] for position in range(1, 2_001)]
    long, _ = entry(1, many)
    plain = timed(lambda: build.build(ordinary, {})) / len(ordinary)
    listing = timed(lambda: build.build([long], {1: [(UNDER, many)]}))
    segment = build.build([long], {1: [(UNDER, many)]})
    assert isinstance(segment, Stored)
    merged = timed(lambda: build.merge([segment, segment._replace(first=100_000)]))
    size = sum(len(row) for _, row in segment.rows)
    print(f"index of an ordinary record {plain * 1e6:.0f} us CPU; of a record with 100,000 patients {listing:.2f} s: a patient costs")
    print(
        f"  {listing / len(many) * 1e6:.1f} us ({listing / len(many) / plain:.2f} x an ordinary record), {size / len(many):.0f} bytes;",
        end="",
    )
    print(f" merging two such {merged:.2f} s, weight {segment.weight} of 65,536")


def timed(work: Any) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder) / "data"))
    follower()


if __name__ == "__main__":
    main()
