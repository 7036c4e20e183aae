"""What FHIR interactions cost inside the web process: CPU a call without HTTP, against the plainest call of the same run.

    python -m benchmarks.fhir_cost [CALLS] [INTERACTION]

With the name of an interaction it is profiled besides: where the event loop's thread spends its time.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks import pipeline
from benchmarks.fhir_http import REGION, observation, patient
from benchmarks.pipeline import HOST, Cost, Sent
from opentrail import app
from opentrail.calls.call import Request
from opentrail.gateway.pipeline import serve
from opentrail.gateway.state import Gateway
from opentrail.services.healthlake.store import datastores

ENTRIES = 100


def request(keys: Credentials, method: str, path: str, body: bytes = b"", target: str = "") -> Sent:
    """A signed request as the pipeline takes it."""
    headers = {"host": HOST, "content-type": "application/x-amz-json-1.0" if target else "application/fhir+json"}
    signed = AWSRequest(method, f"http://{HOST}{path}", data=body, headers={**headers, **({"x-amz-target": target} if target else {})})
    SigV4Auth(keys, "healthlake", REGION).add_auth(signed)
    lower = {name.lower(): value for name, value in signed.headers.items()}
    place, _, query = path.partition("?")
    return Request(method, place, query, lower, b"", "127.0.0.1", time.time()), body


async def measured(gateway: Gateway, sent: Sequence[Sent]) -> Cost:
    """As `pipeline.serve`, for answers of any success."""
    todo = iter(sent)

    async def connection() -> None:
        for one, body in todo:

            async def receive(body: bytes = body) -> tuple[bytes, bool]:
                return body, False

            answer = await serve(gateway, one, pipeline.Source(receive, one))
            assert answer.status < 300, answer.body

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(pipeline.CONNECTIONS)))
    return Cost((time.process_time() - cpu) / len(sent), (time.perf_counter() - wall) / len(sent))


def transaction(number: int) -> bytes:
    """A transaction that creates observations."""
    entries = [
        {"request": {"method": "POST", "url": "Observation"}, "resource": json.loads(observation(number * ENTRIES + n))}
        for n in range(ENTRIES)
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def interactions(keys: Credentials, root: str, calls: int) -> dict[str, Callable[[], list[Sent]]]:
    """What is measured, in order: later ones find what earlier ones wrote."""

    def many(
        method: str, path: Callable[[int], str], body: Callable[[int], bytes] = lambda n: b"", share: int = 1
    ) -> Callable[[], list[Sent]]:
        return lambda: [request(keys, method, root + path(n), body(n)) for n in range(calls // share)]

    return {
        "update as create": many("PUT", lambda n: f"/Patient/p{n}", patient),
        "update": many("PUT", lambda n: f"/Patient/p{n}", lambda n: patient(n).replace(b'"A"', b'"C"')),
        "create": many("POST", lambda n: "/Observation", observation),
        "read": many("GET", lambda n: f"/Patient/p{n}"),
        "search": many("GET", lambda n: f"/Observation?code=c{n % 50}&patient=p{n // 10}", share=4),
        "transaction": many("POST", lambda n: "/", transaction, share=100),
    }


async def run(folder: Path, calls: int, profiled: str) -> None:
    parts, keys = pipeline.prepared(folder)
    gateway = app.make_gateway(parts)
    app.settle_memory()
    made = request(keys, "POST", "/", b'{"DatastoreTypeVersion":"R4"}', "HealthLake.CreateFHIRDatastore")
    await measured(gateway, [made])
    with parts.main.read() as snapshot:
        (store,) = datastores(snapshot, pipeline.ACCOUNT, REGION, (-1.0, ""))
    asked = interactions(keys, f"/datastore/{store.id}/r4", calls)
    plain = (await measured(gateway, pipeline.requests(keys, calls))).cpu
    print(f"{'the plainest call':20} {plain * 1e6:8.0f} us CPU")
    for name, requests in asked.items():
        profile = cProfile.Profile() if name == profiled else None
        todo = requests()
        if profile:
            profile.enable()
        cost = await measured(gateway, todo)
        if profile:
            profile.disable()
        each = f", {cost.cpu / ENTRIES * 1e6:.0f} us a resource" if name == "transaction" else ""
        print(f"{name:20} {cost.cpu * 1e6:8.0f} us CPU, {cost.cpu / plain:6.2f} of the plainest{each}")
        if profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    await asyncio.to_thread(gateway.lane.stop)
    for pool in (gateway.pool, gateway.inner_pool, gateway.engine_pool):
        pool.shutdown(wait=False)
    parts.engines.stop()


def main(calls: int, profiled: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), calls, profiled))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000, sys.argv[2] if len(sys.argv) > 2 else "")
