"""What FHIR interactions cost: CPU of the whole server a call, followers included, against the plainest call of the same run.

python -m benchmarks.fhir_cost [CALLS]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import calls, load, servers
from benchmarks.fhir_http import REGION, observation, only_store, patient, signed

ENTRIES = 100
SETTLE = 1.0
"""Seconds after the calls in which followers take what is left; their CPU belongs to the calls."""

Made = Callable[[int], bytes]


def cost(server: servers.Server, requests: Sequence[bytes]) -> float:
    """CPU seconds a call."""
    before = load.cpu(server.pid)
    outcome = load.run(server.port, requests, calls.CONNECTIONS, server.pid)
    assert all(status < 300 for status in outcome.statuses), outcome.statuses
    time.sleep(SETTLE)
    return (load.cpu(server.pid) - before) / len(requests)


def transaction(number: int) -> bytes:
    """A transaction that creates observations."""
    rows = range(number * ENTRIES, (number + 1) * ENTRIES)
    entries = [{"request": {"method": "POST", "url": "Observation"}, "resource": json.loads(observation(n))} for n in rows]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def interactions(server: servers.Server, root: str, number: int) -> dict[str, Callable[[], list[bytes]]]:
    """What is measured, in order: later ones find what earlier ones wrote."""

    def many(method: str, path: Callable[[int], str], body: Made = lambda n: b"", share: int = 1) -> Callable[[], list[bytes]]:
        return lambda: [signed(server, method, root + path(n), body(n)) for n in range(number // share)]

    return {
        "update as create": many("PUT", lambda n: f"/Patient/p{n}", patient),
        "update": many("PUT", lambda n: f"/Patient/p{n}", lambda n: patient(n).replace(b'"A"', b'"C"')),
        "create": many("POST", lambda n: "/Observation", observation),
        "read": many("GET", lambda n: f"/Patient/p{n}"),
        "search": many("GET", lambda n: f"/Observation?code=c{n % 50}&patient=p{n // 10}", share=2),
        "transaction of 100": many("POST", lambda n: "/", transaction, share=50),
    }


def main(number: int) -> None:
    with servers.opentrail() as server:
        body = b'{"DatastoreTypeVersion":"R4"}'
        (create,) = load.signed(server.credentials, REGION, "healthlake", server.url, "HealthLake.CreateFHIRDatastore", "1.0", [body])
        load.run(server.port, [create], 1, server.pid)
        plain = cost(server, calls.requests(server, number))
        print(f"{'the plainest call':20} {plain * 1e6:8.0f} us CPU")
        for name, requests in interactions(server, f"/datastore/{only_store(server)}/r4", number).items():
            found = cost(server, requests())
            each = f", {found / ENTRIES * 1e6:.0f} us a resource" if name.startswith("transaction") else ""
            print(f"{name:20} {found * 1e6:8.0f} us CPU, {found / plain:6.2f} of the plainest{each}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000)
