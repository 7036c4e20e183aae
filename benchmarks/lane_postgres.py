"""What the advisory lock of state-changing batches costs on PostgreSQL: 1 and 2 lanes, with and without it.

python -m benchmarks.lane_postgres

Each lane is a process with its own connection; each batch performs 16 small state changes, appends 16 records and commits,
as the lane does; medians of the rounds. The ratio is against two lanes without the lock, where only the journal's head
makes batches wait.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from typing import Any

import pg8000.native
from tests import postgres

from opentrail.journal.append import Appender, Fresh, Later
from opentrail.store.database import Again
from opentrail.store.migrate import migrate
from opentrail.store.postgres import PostgresDatabase, PostgresWriter, arguments
from opentrail.store.sql import Sql

SECONDS, ROUNDS = 2.0, 3
BATCH = 16
RECORD = b"x" * 1200
_TAG = Sql("INSERT INTO tag (arn, tag_key, tag_value) VALUES (:arn, :key, :value)")


def commit(writer: PostgresWriter, name: str, locked: bool) -> None:
    """One batch."""
    writer.begin(writes=locked)
    batch: list[tuple[list[Fresh], Later]] = []
    for i in range(BATCH):
        tx = writer.enter()
        tx.run(_TAG, arn=f"{name}:{i}", key="k", value="v")
        writer.leave()
        batch.append(([Fresh(0, "123456789012", "us-east-1", 0, RECORD)], ()))
    Appender().append(writer.tx, batch)
    writer.commit()


def lane(address: str, number: str, locked: bool, begin: Any, counts: Any) -> None:
    """Commits batches until the time is over; reports the calls."""
    database = PostgresDatabase(address, "opentrail_main")
    writer = database.writer()
    calls = 0
    begin.wait()
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        try:
            commit(writer, f"{number}:{calls}", locked)
        except Again:  # the lock's wait was over: the lane, too, begins anew
            writer.rollback()
            continue
        calls += BATCH
    counts.put(calls)
    database.close()


def rate(address: str, lanes: int, locked: bool) -> float:
    """Calls per second of so many lanes, which begin together."""
    context = multiprocessing.get_context("spawn")
    counts, begin = context.Queue(), context.Barrier(lanes)
    numbers = [f"{time.time()}:{n}" for n in range(lanes)]
    running = [context.Process(target=lane, args=(address, number, locked, begin, counts)) for number in numbers]
    for process in running:
        process.start()
    total = sum(counts.get(timeout=60) for _ in running)
    for process in running:
        process.join()
    return float(total / SECONDS)


def main() -> None:
    """Prints calls per second and ratios."""
    if postgres.binaries() is None:
        sys.exit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgres.server() as address:
        admin = pg8000.native.Connection(**arguments(address.format("postgres")))
        admin.run("CREATE DATABASE bench")
        admin.close()
        database = PostgresDatabase(address.format("bench"), "opentrail_main")
        migrate(database, "main")
        database.close()
        kinds = [(lanes, locked) for lanes in (1, 2) for locked in (False, True)]
        rounds = [{kind: rate(address.format("bench"), *kind) for kind in kinds} for _ in range(ROUNDS)]
    found = {kind: statistics.median(one[kind] for one in rounds) for kind in kinds}
    for (lanes, locked), calls in found.items():
        print(f"{lanes} lane(s), lock {'on ' if locked else 'off'}: {calls:8.0f} calls/s, {calls / found[2, False]:.2f} of two without it")


if __name__ == "__main__":
    main()
