"""The import path: worker processes decode, validate and index; one process writes. Against that writer alone in the same run.

    PYTHONPATH=src:. python -m benchmarks.fhir_index [resources] [workers]

Target: 4,000 resources/s on two cores. The store commits with synchronous=FULL every 2,000 resources.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

import msgspec

from benchmarks.fhir_data import create, insert, resources
from opentrail.services.healthlake.engine.search.rows import IndexRows, index_rows
from opentrail.services.healthlake.engine.validation import validate

BATCH = 2_000
Ready = list[tuple[str, str, bytes, IndexRows]]


def packed(lines: list[bytes]) -> bytes:
    """A prepared batch as MessagePack: two thirds of the cost of pickling is saved between processes."""
    return msgspec.msgpack.encode(prepare(lines))


UNPACK = msgspec.msgpack.Decoder(Ready)


def prepare(lines: list[bytes]) -> Ready:
    """Decode, validate strictly and index one batch."""
    found = []
    for line in lines:
        resource = msgspec.json.decode(line)
        if any(issue.is_error for issue in validate(resource)):
            raise SystemExit(f"refused: {resource['resourceType']}/{resource['id']}")
        resource["meta"] = {**resource.get("meta", {}), "versionId": "1", "lastUpdated": "2026-01-01T00:00:00.000Z"}
        found.append((resource["resourceType"], resource["id"], msgspec.json.encode(resource), index_rows(resource)))
    return found


def batches(count: int) -> Iterator[list[bytes]]:
    """The resources in batches."""
    lines = resources(count)
    while batch := list(islice(lines, BATCH)):
        yield batch


def load(folder: str, name: str, ready: Iterator[Ready]) -> tuple[int, float, int]:
    """Write all batches to a new store: (resources, seconds, index rows)."""
    database = create(os.path.join(folder, name))
    pk = rows = 0
    start = time.perf_counter()
    for batch in ready:
        rows += insert(database, [(pk + i + 1, *entry) for i, entry in enumerate(batch)])
        pk += len(batch)
    seconds = time.perf_counter() - start
    database.close()
    return pk, seconds, rows


def ahead(pool: ProcessPoolExecutor, waiting: Iterator[list[bytes]], workers: int) -> Iterator[Ready]:
    """Prepared batches in order, a few in flight."""
    flying: list[Future[bytes]] = [pool.submit(packed, batch) for batch in islice(waiting, workers + 1)]
    while flying:
        done = UNPACK.decode(flying.pop(0).result())
        flying += [pool.submit(packed, batch) for batch in islice(waiting, 1)]
        yield done


def cpu() -> float:
    """CPU seconds of this process and of its ended workers."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main(count: int, workers: int) -> None:
    """Print the rates of the whole path and of the writer alone."""
    waiting = list(batches(count))
    with tempfile.TemporaryDirectory() as folder:
        before = cpu()
        with ProcessPoolExecutor(workers) as pool:
            done, seconds, rows = load(folder, "whole.db", ahead(pool, iter(waiting), workers))
        spent = cpu() - before
        some = [prepare(batch) for batch in waiting[: max(len(waiting) // 4, 1)]]
        alone, alone_seconds, _ = load(folder, "writer.db", iter(some))
        size = os.path.getsize(os.path.join(folder, "whole.db"))
    rate, bound = done / seconds, alone / alone_seconds
    print(f"import: {done} resources, {rows / done:.1f} index rows each, {size / done:.0f} bytes each, {workers} workers: {rate:,.0f}/s")
    print(f"CPU in all: {spent / done * 1e6:.0f} us each = {2 * done / spent:,.0f}/s on two free cores; target 4,000/s")
    print(f"writer alone: {bound:,.0f}/s; ratio {rate / bound:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000, int(sys.argv[2]) if len(sys.argv) > 2 else 2)
