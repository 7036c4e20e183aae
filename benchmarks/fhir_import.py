"""An import job on a live server: resources a second with validation and memory, against bare inserts of the same rows; then as many
resources again, under other ids, with calls beside them.

    python -m benchmarks.fhir_import [RESOURCES] [--again TIMES] [--postgres]

Goals: at least 4,000 resources a second on two cores; calls beside an import answered within 50 ms at p99; memory that does not grow
with the input. Wall-clock rates suffer from other work on the machine: the rate by CPU time says what two cores would do.

Memory rises while resource types are met for the first time, whose schemas each worker then compiles; files are by type, as exports
are. `--again` imports the same resources so many times more, under other ids: what grows with the input would grow then.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pg8000.native
from tests import postgres

from benchmarks import fhir_data, load, servers
from opentrail.services.healthlake.engine.search.rows import index_rows
from opentrail.store.postgres import arguments

REGION = "us-east-1"
PER_FILE = 10_000
GOAL, P99 = 4_000, 0.050
ROLE = {
    "trust": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"healthlake.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}',
    "rights": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
}
TICK = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A process of the server: what it is, its CPU seconds and resident MB."""

    role: str
    seconds: float
    resident: float


def family(root: int) -> Iterator[int]:
    """A process and all below it."""
    yield root
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def used(root: int) -> dict[int, Process]:
    """What the processes of a server have used."""
    found = {}
    for pid in family(root):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
            role = "worker" if "--multiprocessing-fork" in command else command[-1] if "opentrail.roles" in command else "others"
            seconds = (int(fields[11]) + int(fields[12])) / TICK
            found[pid] = Process(role, seconds, int(fields[21]) * resource.getpagesize() / 2**20)
    return found


def resident(processes: Mapping[int, Process]) -> dict[str, float]:
    """MB by role."""
    found: dict[str, float] = {}
    for one in processes.values():
        found[one.role] = found.get(one.role, 0.0) + one.resident
    return found


class Beside(threading.Thread):
    """Calls one after another until told to end; `spans` are their seconds. They are signed before: the meter should use little of
    the machine that it measures."""

    def __init__(self, server: servers.Server, store: str) -> None:
        super().__init__(daemon=True)
        body = json.dumps({"DatastoreId": store}).encode()
        target = "HealthLake.DescribeFHIRDatastore"
        (self._request,) = load.signed(server.credentials, REGION, "healthlake", server.url, target, "1.0", [body])
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._end = threading.Event()
        self.spans: list[float] = []

    def run(self) -> None:
        while not self._end.wait(0.005):
            began = time.perf_counter()
            self._socket.sendall(self._request)
            answer = self._socket.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            self.spans.append(time.perf_counter() - began)

    def end(self) -> list[float]:
        """The seconds of every call, sorted."""
        self._end.set()
        self.join()
        self._socket.close()
        return sorted(self.spans)


def bare(bodies: list[bytes], folder: Path) -> float:
    """CPU seconds a resource of inserting the same rows with sqlite3 alone, in transactions of 1,000."""
    some = bodies[:20_000]
    rows = []
    for pk, body in enumerate(some, 1):
        one = msgspec.json.decode(body)
        rows.append((pk, one["resourceType"], one["id"], body, index_rows(one)))
    database = fhir_data.create(str(folder / "bare.db"))
    began = time.process_time()
    for start in range(0, len(rows), 1_000):
        fhir_data.insert(database, rows[start : start + 1_000])
    spent = time.process_time() - began
    database.close()
    return spent / len(rows)


def spread(spans: list[float]) -> str:
    """The percentiles of sorted seconds."""
    p50, p99 = (spans[int(len(spans) * share)] * 1e3 for share in (0.5, 0.99))
    return f"p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  worst {spans[-1] * 1e3:6.1f} ms of {len(spans)}"


class Import(NamedTuple):
    """What an import did: seconds from its submission to its end, the last description, and the MB by role, looked at once a second."""

    wall: float
    properties: dict[str, Any]
    memory: list[tuple[int, dict[str, float]]]

    @property
    def done(self) -> int:
        return int(self.properties["JobProgressReport"]["TotalNumberOfResourcesImported"])


class Bench:
    """A live server with a data store and a bucket."""

    def __init__(self, server: servers.Server) -> None:
        self.server = server
        self._s3, self._healthlake, iam = (server.client(name) for name in ("s3", "healthlake", "iam"))
        self._s3.create_bucket(Bucket="bulk")
        self._role = iam.create_role(RoleName="bulk", AssumeRolePolicyDocument=ROLE["trust"])["Role"]["Arn"]
        iam.put_role_policy(RoleName="bulk", PolicyName="s3", PolicyDocument=ROLE["rights"])
        self.store = self._healthlake.create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]

    def put(self, folder: str, bodies: Sequence[bytes]) -> None:
        """Files of PER_FILE resources."""
        for number, start in enumerate(range(0, len(bodies), PER_FILE)):
            text = b"".join(body.rstrip() + b"\n" for body in bodies[start : start + PER_FILE])
            self._s3.put_object(Bucket="bulk", Key=f"{folder}/{number:05d}.ndjson", Body=text)

    def run(self, folder: str) -> Import:
        """Imports a folder."""
        job = self._healthlake.start_fhir_import_job(
            DatastoreId=self.store, InputDataConfig={"S3Uri": f"s3://bulk/{folder}/"}, DataAccessRoleArn=self._role,
            JobOutputDataConfig={"S3Configuration": {"S3Uri": "s3://bulk/out", "KmsKeyId": "alias/none"}},
        )["JobId"]  # fmt: skip
        memory = []
        while True:
            time.sleep(1)
            found = self._healthlake.describe_fhir_import_job(DatastoreId=self.store, JobId=job)["ImportJobProperties"]
            so_far = found.get("JobProgressReport", {}).get("TotalNumberOfResourcesImported", 0)
            memory.append((int(so_far), resident(used(self.server.pid))))
            if found["JobStatus"] not in ("SUBMITTED", "QUEUED", "IN_PROGRESS"):
                return Import((found["EndTime"] - found["SubmitTime"]).total_seconds(), found, memory)


def told(name: str, memory: Mapping[str, float]) -> str:
    parts = ", ".join(f"{role} {mb:.0f}" for role, mb in memory.items())
    return f"resident memory  {sum(memory.values()):4.0f} MB {name} ({parts})"


@contextmanager
def database(on_postgres: bool) -> Iterator[list[str]]:
    """The options of `serve` for the database: SQLite, or a PostgreSQL server of its own."""
    if not on_postgres:
        yield []
        return
    with postgres.server() as address:
        admin = pg8000.native.Connection(**arguments(address.format("postgres")))
        admin.run("CREATE DATABASE bench")
        admin.close()
        yield ["--database", address.format("bench")]


def main(count: int, again: int, on_postgres: bool) -> None:
    bodies = list(fhir_data.resources(count))
    with tempfile.TemporaryDirectory() as folder:
        alone = bare(bodies, Path(folder))
    with database(on_postgres) as options, servers.opentrail(*options) as server:
        bench = Bench(server)
        bench.put("in", bodies)
        before = used(server.pid)
        first = bench.run("in")
        print(f"{first.properties['JobStatus']}: {first.done} imported, load {os.getloadavg()[0]:.1f}")
        report(first, before, used(server.pid), alone)
        print(told("after a quarter", next(mb for n, mb in first.memory if n >= first.done * 0.25)))
        print(told("at the end", first.memory[-1][1]))
        bench.put("beside", [fhir_data.renamed(body, 100) for body in bodies])
        quiet = Beside(server, bench.store)
        quiet.start()
        time.sleep(3)
        idle = quiet.end()
        beside = Beside(server, bench.store)
        beside.start()
        second = bench.run("beside")
        spans = beside.end()
        rate = len(spans) / second.wall
        print(f"as many more beside {rate:.0f} calls/s  {second.done / second.wall:8.0f} resources/s")
        print(f"calls beside it  {spread(spans)} (goal: p99 {P99 * 1e3:.0f} ms)")
        print(f"calls without it {spread(idle)}")
        for number in range(1, again + 1):
            bench.put(f"in{number}", [fhir_data.renamed(body, 100 + number) for body in bodies])
            more = bench.run(f"in{number}")
            print(told(f"after {(number + 2) * count} resources", more.memory[-1][1]), f"{more.done / more.wall:.0f} resources/s")


def report(done: Import, before: Mapping[int, Process], after: Mapping[int, Process], alone: float) -> None:
    """The rates of an import between two measures of the processes; `alone` are the CPU seconds of bare inserts, a resource."""
    spent = 0.0
    for pid, one in after.items():
        own = one.seconds - (before[pid].seconds if pid in before else 0.0)
        spent += own
        print(f"process {one.role:8} {own / done.done * 1e6:6.0f} us each")
    each = spent / done.done
    print(f"wall                          {done.done / done.wall:8.0f} resources/s (goal: {GOAL})")
    print(f"by CPU time, two cores        {2 / each:8.0f} resources/s; {each * 1e6:.0f} us each")
    print(f"bare sqlite3 insert           {1 / alone:8.0f} resources/s on one core; the job costs {each / alone:.2f} x that")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("resources", nargs="?", type=int, default=60_000)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    with load.stolen():
        main(given.resources, given.again, given.postgres)
