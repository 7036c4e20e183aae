"""FHIR over HTTP, signed and recorded: CRUD and bundle transactions as rates, beside what others publish of theirs.

    python -m benchmarks.fhir_rates [RESOURCES] [CONNECTIONS]

The resources are Synthea's where they are at hand ($OPENTRAIL_SHARED), else made ones. Published figures: Health Samurai's open
benchmark, snapshot of 2026-06-29, 8 vCPU and 24 GB each with PostgreSQL 18, 1,000 Synthea patients; Blaze's own of August 2026.
They are divided by their vCPU, ours by the CPU seconds that the server used: per core, either way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from benchmarks import load, servers
from benchmarks.fhir_data import resources
from benchmarks.fhir_http import REGION, only_store, signed

PUBLISHED = {
    "CRUD": (("Aidbox", 5_212, 8), ("HAPI", 3_058, 8), ("Medplum", 1_420, 8), ("Microsoft", 440, 8)),
    "transactions": (("Aidbox", 2_678, 8), ("HAPI", 2_214, 8), ("Medplum", 764, 8), ("Microsoft", 448, 8), ("Blaze", 10_108, 16)),
}
NOT_ALIKE = """
Not like for like: other machines, other resources and mixes of requests; theirs run a database server beside the program, whose
CPU is in their eight; ours signs, authorises and records every call durably, which theirs do not. Blaze's 16 cores are real ones, and its
disk is NVMe. The rate a second of this run depends on what else the machine does; the rate a core less so.
"""


def run(server: servers.Server, name: str, requests: Sequence[bytes], connections: int, each: int = 1) -> tuple[float, float]:
    """(units, CPU seconds) of the requests; a request counts for `each` units."""
    outcome = load.run(server.port, requests, connections, server.pid)
    units = outcome.calls * each
    a_core = units / outcome.server_cpu if outcome.server_cpu else 0.0
    print(f"{name:24} {units / outcome.wall:8.0f}/s  {a_core:8.0f}/s a core  {outcome.statuses}")
    return units, outcome.server_cpu


def beside(kind: str, ours: float) -> None:
    """Our rate a core against the published ones."""
    for name, rate, cores in PUBLISHED[kind]:
        print(f"  {name:12} {rate:7,}/s on {cores:2} vCPU = {rate / cores:5.0f} a core; ours {ours / (rate / cores):5.1f} times that")


def transaction(entries: Sequence[bytes]) -> bytes:
    """A transaction that updates or creates each resource under its id."""
    rows = []
    for line in entries:
        resource = json.loads(line)
        url = f"{resource['resourceType']}/{resource['id']}"
        rows.append({"request": {"method": "PUT", "url": url}, "resource": resource})
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": rows}).encode()


POINTED_AT = ("Organization", "Location", "Practitioner", "PractitionerRole", "Patient", "Medication")
"""Types that others point to, also by condition (`Practitioner?identifier=...`): loaded first."""


def chosen(count: int) -> list[bytes]:
    """Resources of every type, those that others point to first."""
    every = list(resources(92_000 if count < 92_000 else count))
    kinds = [json.loads(line)["resourceType"] for line in every]
    first = [line for kind in POINTED_AT for line, own in zip(every, kinds, strict=True) if own == kind]
    rest = [line for line, own in zip(every, kinds, strict=True) if own not in POINTED_AT]
    return [*first, *rest[:: max(1, len(rest) // max(1, count - len(first)))]][:count]


def main(count: int, connections: int) -> None:
    with servers.opentrail() as server:
        body = b'{"DatastoreTypeVersion":"R4"}'
        (create,) = load.signed(server.credentials, REGION, "healthlake", server.url, "HealthLake.CreateFHIRDatastore", "1.0", [body])
        load.run(server.port, [create], 1, server.pid)
        root = f"/datastore/{only_store(server)}/r4"
        lines = chosen(count)
        bundles = [transaction(lines[n : n + 100]) for n in range(0, count - count % 100, 100)]
        units, cpu = run(server, "transactions of 100", [signed(server, "POST", f"{root}/", one) for one in bundles], 4, each=100)
        beside("transactions", units / cpu)
        some = [(json.loads(line), line) for line in lines[: count - count % 100][:: max(1, count // 1_000)][:1_000]]
        paths = [f"{root}/{one['resourceType']}/{one['id']}" for one, _ in some]
        mix = [
            ("create", [signed(server, "POST", f"{root}/{one['resourceType']}", line) for one, line in some]),
            ("read", [signed(server, "GET", path) for path in paths]),
            ("update", [signed(server, "PUT", path, line) for path, (_, line) in zip(paths, some, strict=True)]),
            ("delete", [signed(server, "DELETE", path) for path in paths]),
        ]
        done = [run(server, name, requests, connections) for name, requests in mix]
        beside("CRUD", sum(one for one, _ in done) / sum(used for _, used in done))
    print(NOT_ALIKE)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 32)
