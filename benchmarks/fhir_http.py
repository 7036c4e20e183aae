"""FHIR over HTTP, signed and recorded: reads, searches and updates against a bare durable commit of the same run.

    python -m benchmarks.fhir_http [RESOURCES]

Goal: at the median, a read takes at most one bare commit and 0.6 ms more. The commit is one row in SQLite with WAL and
synchronous=FULL on the disk of the server's folder; what a call waits for is the same, with its record in it.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from benchmarks import load, servers

REGION = "us-east-1"
ASKED = 2_000
MARGIN = 0.0006


def signed(server: servers.Server, method: str, path: str, body: bytes = b"") -> bytes:
    """A raw signed FHIR request."""
    headers = {"content-type": "application/fhir+json"} if body else {}
    request = AWSRequest(method, server.url + path, data=body, headers=headers)
    SigV4Auth(server.credentials, "healthlake", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    host = server.url.split("//")[1]
    return f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body


def commits(folder: Path) -> list[float]:
    """Seconds of durable commits of one row, sorted."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("CREATE TABLE IF NOT EXISTS bare (a BLOB)")
    found = []
    for _ in range(ASKED):
        began = time.perf_counter()
        database.execute("INSERT INTO bare VALUES (?)", (bytes(900),))
        found.append(time.perf_counter() - began)
    database.close()
    return sorted(found)


def patient(number: int) -> bytes:
    name = {"family": f"Family{number}", "given": ["A", "B"]}
    return json.dumps({"resourceType": "Patient", "id": f"p{number}", "name": [name], "birthDate": "1970-01-01"}).encode()


def observation(number: int) -> bytes:
    code = {"coding": [{"system": "http://loinc.org", "code": f"c{number % 50}"}]}
    subject, value = {"reference": f"Patient/p{number // 10}"}, {"value": number % 300, "unit": "mg"}
    found = {"resourceType": "Observation", "id": f"o{number}", "status": "final", "code": code, "subject": subject, "valueQuantity": value}
    return json.dumps(found).encode()


def report(name: str, outcome: load.Outcome) -> float:
    median = outcome.percentile(0.5)
    print(f"{name:28} {outcome.rate:7.0f}/s  p50 {median * 1e3:6.2f} ms  p99 {outcome.percentile(0.99) * 1e3:6.2f} ms  {outcome.statuses}")
    return median


def main(resources: int) -> None:
    with servers.opentrail() as server:
        body = b'{"DatastoreTypeVersion":"R4"}'
        (create,) = load.signed(server.credentials, REGION, "healthlake", server.url, "HealthLake.CreateFHIRDatastore", "1.0", [body])
        load.run(server.port, [create], 1, server.pid)
        root = f"/datastore/{only_store(server)}/r4"
        patients = max(1, resources // 10)

        def run(name: str, requests: Sequence[bytes], connections: int = 1) -> float:
            return report(name, load.run(server.port, requests, connections, server.pid))

        run("create by PUT, 32 at once", [signed(server, "PUT", f"{root}/Patient/p{n}", patient(n)) for n in range(patients)], 32)
        run("  observations", [signed(server, "PUT", f"{root}/Observation/o{n}", observation(n)) for n in range(resources)], 32)
        some = [n * 7919 % patients for n in range(ASKED)]
        bare = commits(server.folder)[ASKED // 2]
        read = run("read, one at a time", [signed(server, "GET", f"{root}/Patient/p{n}") for n in some])
        run("read, 32 at once", [signed(server, "GET", f"{root}/Patient/p{n}") for n in some], 32)
        run("search patient and code", [signed(server, "GET", f"{root}/Observation?code=c{n % 50}&patient=p{n}") for n in some])
        run("update, one at a time", [signed(server, "PUT", f"{root}/Patient/p{n}", patient(n)) for n in some])
        bare = (bare + commits(server.folder)[ASKED // 2]) / 2
        print(f"bare durable commit          p50 {bare * 1e3:6.2f} ms")
        print(f"read against a commit and 0.6 ms: {read / (bare + MARGIN):.2f} (goal: at most 1)")


def only_store(server: servers.Server) -> str:
    """The id of the data store that was made."""
    with sqlite3.connect(f"file:{server.folder / 'main.db'}?mode=ro", uri=True) as database:
        return str(database.execute("SELECT id FROM healthlake_datastore").fetchone()[0])


if __name__ == "__main__":
    with load.stolen():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
