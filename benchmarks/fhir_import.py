"""An import job on a live server: resources a second with validation, calls beside it, memory, against bare inserts of the same rows.

    python -m benchmarks.fhir_import [RESOURCES] [--postgres ADDRESS]

Goals: at least 4,000 resources a second on two cores; calls beside it answered within 50 ms at p99; memory that does not grow with
the input. Wall-clock rates suffer from other work on the machine: the rate by CPU time says what two cores would do.
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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.config import Config

from benchmarks import fhir_data, load, servers
from opentrail.services.healthlake.engine.search.rows import index_rows

REGION = "us-east-1"
PER_FILE = 10_000
GOAL, P99 = 4_000, 0.050
ROLE = {
    "trust": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"healthlake.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}',
    "rights": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
}
TICK = os.sysconf("SC_CLK_TCK")


def family(root: int) -> Iterator[int]:
    """A process and all below it."""
    yield root
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def used(root: int) -> tuple[dict[int, float], float]:
    """CPU seconds by process, and the resident MB of all."""
    seconds, resident = {}, 0
    for pid in family(root):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds[pid] = (int(fields[11]) + int(fields[12])) / TICK
            resident += int(fields[21]) * resource.getpagesize()
    return seconds, resident / 2**20


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


def main(count: int, postgres: str) -> None:
    bodies = list(fhir_data.resources(count))
    with tempfile.TemporaryDirectory() as folder:
        alone = bare(bodies, Path(folder))
    with servers.opentrail(*(["--database", postgres] if postgres else [])) as server:

        def client(service: str) -> Any:
            config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
            return boto3.client(
                service, region_name=REGION, endpoint_url=server.url, aws_access_key_id=server.credentials.access_key,
                aws_secret_access_key=server.credentials.secret_key, config=config,
            )  # fmt: skip

        s3, iam, healthlake = client("s3"), client("iam"), client("healthlake")
        s3.create_bucket(Bucket="bulk")
        role = iam.create_role(RoleName="bulk", AssumeRolePolicyDocument=ROLE["trust"])["Role"]["Arn"]
        iam.put_role_policy(RoleName="bulk", PolicyName="s3", PolicyDocument=ROLE["rights"])
        for number, start in enumerate(range(0, count, PER_FILE)):
            text = b"".join(body.rstrip() + b"\n" for body in bodies[start : start + PER_FILE])
            s3.put_object(Bucket="bulk", Key=f"in/{number:05d}.ndjson", Body=text)
        store = healthlake.create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]
        quiet = Beside(server, store)
        quiet.start()
        time.sleep(3)
        idle = quiet.end()
        before, _ = used(server.pid)
        beside = Beside(server, store)
        beside.start()
        began = time.perf_counter()
        job = healthlake.start_fhir_import_job(
            DatastoreId=store, InputDataConfig={"S3Uri": "s3://bulk/in/"}, DataAccessRoleArn=role,
            JobOutputDataConfig={"S3Configuration": {"S3Uri": "s3://bulk/out", "KmsKeyId": "alias/none"}},
        )["JobId"]  # fmt: skip
        resident: list[tuple[int, float]] = []
        while True:
            time.sleep(0.2)
            found = healthlake.describe_fhir_import_job(DatastoreId=store, JobId=job)["ImportJobProperties"]
            resident.append((found.get("JobProgressReport", {}).get("TotalNumberOfResourcesImported", 0), used(server.pid)[1]))
            if found["JobStatus"] not in ("SUBMITTED", "QUEUED", "IN_PROGRESS"):
                break
        wall = time.perf_counter() - began
        spans = beside.end()
        after, _ = used(server.pid)
        names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[-40:] for pid in after}
    report = found["JobProgressReport"]
    done = int(report["TotalNumberOfResourcesImported"])
    spent = sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
    for pid in sorted(after):
        print(f"process {pid} {names.get(pid, '')[:40]:40} {(after[pid] - before.get(pid, 0.0)) / done * 1e6:6.0f} us each")
    half = [mb for n, mb in resident if n >= done * 0.25]
    refused = int(report["TotalNumberOfResourcesWithCustomerError"])
    each, alone_rate = spent / done * 1e6, 1 / alone
    print(f"{found['JobStatus']}: {done} imported, {refused} refused, load {os.getloadavg()[0]:.1f}")
    print(f"wall                          {done / wall:8.0f} resources/s")
    print(f"by CPU time, two cores        {2 * done / spent:8.0f} resources/s (goal: {GOAL}); {each:.0f} us each")
    print(f"bare sqlite3 insert           {alone_rate:8.0f} resources/s on one core; the job costs {each / alone / 1e6:.2f} x that")
    print(f"calls beside it  {spread(spans)} (goal: p99 {P99 * 1e3:.0f} ms)")
    print(f"calls without it {spread(idle)}")
    print(f"resident memory  {half[0]:.0f} MB after a quarter, at most {max(half):.0f} MB, {half[-1]:.0f} MB at the end")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("resources", nargs="?", type=int, default=60_000)
    parser.add_argument("--postgres", default="")
    given = parser.parse_args()
    main(given.resources, given.postgres)
