"""Calls beside a writer: 1,000 calls/s, a tenth of them changes, while a job writes the main database in borrowed turns.

The changes are AddTags, after which rights are read anew: the harder case. Every call is due at a time of its own and its latency
counts from then, so that a stall is seen by every call that it delays. Goal: p99 under 50 ms. The ratio is to the same calls in the
same run without the writer; the writer's rate stands beside it.

    python -m benchmarks.beside [CALLS_PER_SECOND]
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Sequence

from benchmarks import load, servers
from opentrail.store.database import SLICE
from opentrail.store.databases import open_database
from opentrail.store.sql import Sql
from opentrail.store.turns import Turns

SECONDS = 10
CONNECTIONS = 64
PREFIX = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
TRAIL = f"arn:aws:cloudtrail:{servers.REGION}:{servers.ACCOUNT}:trail/bench"
_ROW = Sql("INSERT INTO tag (arn, tag_key, tag_value) VALUES (:arn, :key, :value)")
"""Tags of nothing that any call names: unlike those of resources they need not be settled."""


def requests(server: servers.Server, count: int) -> list[bytes]:
    """Signed calls, each different: nine reads, then a change."""
    reads = [f'{{"trailNameList":["trail-{n}"]}}'.encode() for n in range(count)]
    tags = [f'{{"ResourceId":"{TRAIL}","TagsList":[{{"Key":"k{n % 40}","Value":"v{n}"}}]}}'.encode() for n in range(count // 10)]
    made = load.signed(server.credentials, servers.REGION, "cloudtrail", server.url, PREFIX + "DescribeTrails", "1.1", reads)
    made[9::10] = load.signed(server.credentials, servers.REGION, "cloudtrail", server.url, PREFIX + "AddTags", "1.1", tags)
    return made


async def paced(port: int, sent: Sequence[bytes], rate: float) -> list[float]:
    """Sends each request when it is due; the seconds from then to its answer, sorted. Raises when one is not a success."""
    todo = iter(enumerate(sent))
    began, found = time.perf_counter() + 0.5, []

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, request in todo:
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            found.append(time.perf_counter() - due)
            assert head.startswith(b"HTTP/1.1 200"), head
        writer.close()

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return sorted(found)


class Importer:
    """Writes rows in one turn after another, each as long as a turn should last."""

    def __init__(self, server: servers.Server) -> None:
        self.rows = self.turns = 0
        self.longest = 0.0
        self._turns = Turns(open_database(server.settings, "main", writable=True), server.folder / "turns.sock")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Importer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            asked = time.perf_counter()
            with self._turns.write() as tx:
                until = time.perf_counter() + SLICE * 0.8  # the commit takes the rest
                while time.perf_counter() < until:
                    tx.run(_ROW, arn=f"import/{self.rows}", key="k", value="v" * 1_000)
                    self.rows += 1
            self.turns += 1
            self.longest = max(self.longest, time.perf_counter() - asked)


def show(what: str, found: Sequence[float], more: str = "") -> float:
    """One line; the 99th percentile in milliseconds."""
    p50, p99 = (found[int(len(found) * share)] * 1e3 for share in (0.5, 0.99))
    print(f"{what:16} {len(found):6} calls  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  worst {found[-1] * 1e3:6.1f} ms{more}")
    return p99


def main(rate: float) -> None:
    with servers.opentrail() as server:
        s3, count = server.client("s3"), int(rate * SECONDS)
        s3.create_bucket(Bucket="bench")
        s3.put_bucket_policy(Bucket="bench", Policy=POLICY)
        server.client("cloudtrail").create_trail(Name="bench", S3BucketName="bench")
        asyncio.run(paced(server.port, requests(server, 500), rate))
        alone = show("calls alone", asyncio.run(paced(server.port, requests(server, count), rate)))
        with Importer(server) as writer:
            found = asyncio.run(paced(server.port, requests(server, count), rate))
        taken = SECONDS + 0.5
        more = f"  beside {writer.rows / taken:,.0f} rows/s in {writer.turns / taken:.0f} turns/s"
        beside = show("beside a writer", found, f"{more}, the longest with its wait {writer.longest * 1e3:.0f} ms")
    print(f"p99 {beside:.1f} ms (goal 50), {beside / alone:.1f} x that without the writer, at {rate:,.0f} calls/s")


POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},'
    '"Action":["s3:GetBucketAcl","s3:PutObject"],"Resource":["arn:aws:s3:::bench","arn:aws:s3:::bench/*"]}]}'
)

if __name__ == "__main__":
    with load.stolen():
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 1_000.0)
