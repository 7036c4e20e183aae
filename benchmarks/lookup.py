"""Event history: the rate of its follower, and LookupEvents at a million records against a bare SQLite point query of the same run.

    python -m benchmarks.lookup [RECORDS]

The first 200,000 records go through the follower and the merging task as in the server, which gives the rates; the rest
is put into the index directly, in full segments. The journal's rows are real, but written past the lane, without its hash.

Users, operations and resources are spread very unevenly. Some pairs are frequent and never meet, which is the worst for an
index of plain rows, and some are of a rare and a frequent value. Beside wall time, which on a shared machine is mostly the
others', stands the CPU time of the asking thread. Goals: 25,000 records/s; any pair under 20 ms (p99) at 10 million.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import combinations, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from opentrail.calls.call import Call, Request, Target
from opentrail.calls.tools import Tools
from opentrail.journal.read import Entry
from opentrail.kernel.ambient import SystemClock, SystemIds
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail.history import index, merging, store
from opentrail.services.cloudtrail.history.build import build
from opentrail.services.cloudtrail.history.segments import FULL
from opentrail.services.cloudtrail.lookup import lookup_events
from opentrail.store.migrate import migrate
from opentrail.store.sql import Sql, Tx
from opentrail.store.sqlite import SqliteDatabase
from opentrail.work.follower import Following
from opentrail.work.lease import Lease

ACCOUNT, REGION = "123456789012", "us-east-1"
FOLLOWED = 200_000
USERS, OPERATIONS, PATIENTS = 2_000, 150, 500_000
TIMES = 100

_RECORD = (
    '{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"AIDA%(user)016d","arn":"arn:aws:iam::123456789012:user/user%(user)d",'
    '"accountId":"123456789012","accessKeyId":"AKIA%(user)016d","userName":"user%(user)d"},"eventTime":"2026-11-21T09:30:00Z",'
    '"eventSource":"service%(source)d.amazonaws.com","eventName":"Operation%(name)d","awsRegion":"us-east-1","sourceIPAddress":"10.0.0.1",'
    '"userAgent":"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11","requestParameters":{"datastoreId":"0a1b2c3d",'
    '"resourceType":"Patient","resourceId":"p%(patient)d"},"responseElements":null,"requestID":"%(id)s","eventID":"%(id)s",'
    '"readOnly":%(read_only)s,"resources":[{"accountId":"123456789012","type":"AWS::HealthLake::FHIRDatastore",'
    '"ARN":"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/0a1b2c3d/r4/Patient/p%(patient)d"}],"eventType":"AwsApiCall",'
    '"managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}'
)


def event_id(number: int) -> str:
    """The id of a record."""
    digits = blake2b(number.to_bytes(8, "little"), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def user_of(drawn: random.Random) -> int:
    return int(drawn.paretovariate(0.7)) % USERS


def name_of(drawn: random.Random) -> int:
    return int(drawn.expovariate(0.08)) % OPERATIONS


def patient_of(drawn: random.Random) -> int:
    return int(drawn.paretovariate(0.4)) % PATIENTS


def journal_entries(count: int, now: int) -> Iterator[Entry]:
    """Uneven, nearly ordered by time, with one resource each. Users of odd numbers never perform the first three operations."""
    drawn = random.Random(1)
    for position in range(1, count + 1):
        user, name = user_of(drawn), name_of(drawn)
        if user % 2 and name < 3:
            name += 3
        read_only = "true" if name % 5 else "false"
        values = {"user": user, "name": name, "source": name % 9, "patient": patient_of(drawn), "id": event_id(position)}
        record = _RECORD % {**values, "read_only": read_only}
        yield Entry(position, now - (count - position) // 50 - position % 3, ACCOUNT, REGION, 0, record.encode())


class Timed(Lease):
    """A lease that remembers its longest transaction."""

    longest = 0.0

    @contextmanager
    def write(self) -> Iterator[Tx]:
        began = time.perf_counter()
        with super().write() as tx:
            yield tx
        self.longest = max(self.longest, time.perf_counter() - began)


class Spent:
    """Wall and CPU seconds of some steps."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def on(self, step: Callable[[], bool]) -> bool:
        wall, cpu = time.perf_counter(), time.process_time()
        more = step()
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return more


def keep(journal: sqlite3.Connection, entries: list[Entry]) -> None:
    """Writes the journal's rows."""
    journal.execute("BEGIN")
    journal.executemany("INSERT INTO journal (position, time, account, region, category, record) VALUES (?, ?, ?, ?, ?, ?)", entries)
    journal.execute("UPDATE journal_head SET position = ?", (entries[-1].position,))
    journal.execute("COMMIT")


def follow(main: SqliteDatabase, history: SqliteDatabase, count: int) -> None:
    """Indexes the journal with the server's own tasks, and prints the rates."""
    clock = SystemClock()
    leases = Timed(history, index.NAME, "bench", clock), Timed(history, merging.NAME, "bench", clock)
    assert all(lease.acquire() for lease in leases)
    following, merges = Following(index.follower(), main), merging.Merging(clock, 90)
    taking, joining = Spent(), Spent()
    more = True
    while more:
        more = taking.on(lambda: following.step(leases[0]))
        while joining.on(lambda: merges.step(leases[1])):
            continue
    wall, cpu = taking.wall + joining.wall, taking.cpu + joining.cpu
    for what, spent, lease in (("follower", taking, leases[0]), ("merging", joining, leases[1])):
        print(
            f"{what:10s} {spent.cpu / count * 1e6:5.1f} us CPU a record, {spent.wall / count * 1e6:5.1f} us wall; "
            f"longest transaction {lease.longest * 1e3:.0f} ms"
        )
    print(f"both       {count / cpu:,.0f} records per CPU second, {count / wall:,.0f} records/s as measured (goal 25,000)")


def fill(main: SqliteDatabase, history: SqliteDatabase, file: Path, count: int, now: int) -> None:
    """Journal and index of `count` records."""
    entries = journal_entries(count, now)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    first = min(count, FOLLOWED)
    for _ in range(0, first, 10_000):
        keep(connection, list(islice(entries, 10_000)))
    follow(main, history, first)
    while batch := list(islice(entries, FULL)):
        keep(connection, batch)
        segment = build(batch, {})
        assert segment is not None
        with history.write() as tx:
            store.add(tx, segment)
            tx.run(Sql("UPDATE follower SET position = :position WHERE name = 'history'"), position=batch[-1].position)
    connection.close()


def measured(perform: Callable[[], object], times: int = TIMES) -> tuple[float, float, float]:
    """Median and 99th percentile of wall milliseconds, and the 99th percentile of CPU milliseconds."""
    wall, cpu = [], []
    for _ in range(times):
        began, busy = time.perf_counter(), time.thread_time()
        perform()
        cpu.append((time.thread_time() - busy) * 1e3)
        wall.append((time.perf_counter() - began) * 1e3)
    wall.sort()
    cpu.sort()
    return wall[times // 2], wall[times * 99 // 100], cpu[times * 99 // 100]


def main() -> None:
    """Prints the rates, then one line a question."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "main.db"
        journal, history = SqliteDatabase(file), SqliteDatabase(Path(folder) / "history.db")
        journal.writer()
        migrate(journal, "main")
        history.writer()
        migrate(history, "history")
        fill(journal, history, file, count, int(time.time()))
        history.writer().idle()
        with history.read() as snapshot:
            segments = len(store.weights(snapshot, FULL))
        size = history.file.stat().st_size
        print(f"{count:,} records in {segments} segments, {size / count:.0f} bytes of index a record")
        ask(journal, history, count, file)
        journal.close()
        history.close()


def ask(journal: SqliteDatabase, history: SqliteDatabase, count: int, file: Path) -> None:
    """Times a bare point query and a page of them, then LookupEvents by each attribute and pair."""
    drawn = random.Random(2)
    bare = sqlite3.connect(file)

    def point() -> None:
        bare.execute("SELECT record FROM journal WHERE position = ?", (drawn.randrange(1, count),)).fetchone()

    def page() -> None:
        for _ in range(51):
            point()

    base = measured(point, 2000)[0]
    show("a bare point query", measured(point, 2000), base)
    show("51 bare point queries", measured(page), base)
    rows = [(what, measured(perform)) for what, perform in questions(asker(journal, history), drawn, count)]
    for what, times in rows:
        show(what, times, base)
    print(f"worst p99 {max(times[1] for _, times in rows):.1f} ms wall, {max(times[2] for _, times in rows):.1f} ms CPU (goal 20)")


def show(what: str, times: tuple[float, float, float], base: float) -> None:
    """One line."""
    print(f"{what:46s} p50 {times[0]:7.3f} ms  p99 {times[1]:7.3f} ms  CPU p99 {times[2]:7.3f} ms {times[0] / base:7.0f} x a point query")


def asker(journal: SqliteDatabase, history: SqliteDatabase) -> Callable[..., Any]:
    """LookupEvents as the gateway performs it, without the gateway."""
    tools = Tools(
        SystemClock(), SystemIds(), Sealer(bytes(32)), Settings(), cast(Any, None), journal.read, history.read, history.read, Path()
    )

    def lookup(*pairs: tuple[str, str], **members: Any) -> Any:
        call = Call(Request("POST", "/", "", {}, b"", "127.0.0.1", time.time()), tools, "request")
        call.set_target(Target(cast(Any, None), "LookupEvents", "json", None))
        call.set_caller(Principal("Root", ACCOUNT), REGION)
        attributes = [SimpleNamespace(AttributeKey=key, AttributeValue=value) for key, value in pairs]
        absent = dict.fromkeys(("StartTime", "EndTime", "EventCategory", "MaxResults", "NextToken"))
        with journal.read() as snapshot:
            return lookup_events(snapshot, call, SimpleNamespace(LookupAttributes=attributes, **(absent | members)))

    return lookup


def questions(lookup: Callable[..., Any], drawn: random.Random, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is asked: values as frequent as in the records, then the hard cases."""
    values: dict[str, Callable[[], str]] = {
        "EventId": lambda: event_id(drawn.randrange(1, count)),
        "EventName": lambda: f"Operation{name_of(drawn)}",
        "Username": lambda: f"user{user_of(drawn)}",
        "AccessKeyId": lambda: f"AKIA{user_of(drawn):016d}",
        "ReadOnly": lambda: drawn.choice(("true", "false")),
        "EventSource": lambda: f"service{drawn.randrange(9)}.amazonaws.com",
        "ResourceType": lambda: "AWS::HealthLake::FHIRDatastore",
        "ResourceName": lambda: f"Patient/p{patient_of(drawn)}",
    }

    def by(*keys: str) -> Callable[[], object]:
        return lambda: lookup(*((key, values[key]()) for key in keys))

    yield "everything", lookup
    for keys in [(key,) for key in values] + list(combinations(values, 2)):
        yield " + ".join(keys), by(*keys)
    yield "frequent user, operation, never meet", lambda: lookup(("Username", "user1"), ("EventName", "Operation0"))
    yield "frequent operation, source, never meet", lambda: lookup(("EventName", "Operation1"), ("EventSource", "service0.amazonaws.com"))
    yield "rare user, frequent operation", lambda: lookup(("Username", f"user{drawn.randrange(500, USERS)}"), ("EventName", "Operation3"))
    middling = drawn.randrange
    yield "two middling", lambda: lookup(("Username", f"user{middling(20, 90)}"), ("EventName", f"Operation{middling(30, 60)}"))
    yield "unknown user", lambda: lookup(("Username", "nobody"), ("ReadOnly", "true"))
    now = time.time()

    def window() -> object:
        end = now - drawn.random() * count / 50
        return lookup(("EventName", f"Operation{name_of(drawn)}"), StartTime=end - 3600, EndTime=end)

    yield "operation within an hour", window


if __name__ == "__main__":
    main()
