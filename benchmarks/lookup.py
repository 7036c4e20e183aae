"""Event history at a million records: indexing rate, and LookupEvents against a bare SQLite point query of the same run.

    python -m benchmarks.lookup [RECORDS]

Users, names and keys are spread unevenly; two users who are both frequent never meet one event name, which is the worst
pair for an index of plain rows. Goals: 25,000 records/s indexed; any pair of attributes under 20 ms (p99).
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from opentrail.calls.call import Call, Request, Target
from opentrail.calls.tools import Tools
from opentrail.journal.append import Fresh, append
from opentrail.journal.read import after
from opentrail.kernel.ambient import SystemClock, SystemIds
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail import tables as trail_tables
from opentrail.services.cloudtrail.history import tables
from opentrail.services.cloudtrail.history.index import index
from opentrail.services.cloudtrail.lookup import lookup_events
from opentrail.store.migrate import engine, migrate
from opentrail.store.sqlite import SqliteDatabase
from opentrail.store.tables import HISTORY

ACCOUNT, REGION, BATCH = "123456789012", "us-east-1", 5_000
DECLARED = (tables, trail_tables)


def records(count: int, now: int) -> Iterator[Fresh]:
    """Uneven, ordered by time, with one resource each."""
    drawn = random.Random(1)
    for number in range(count):
        user, name = int(drawn.expovariate(0.01)), int(drawn.expovariate(0.05))
        if user % 2 and name < 3:
            name += 3
        digits = f"{drawn.getrandbits(128):032x}"
        record = {
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "accountId": ACCOUNT, "accessKeyId": f"AKIA{user:012d}", "userName": f"user{user}"},
            "eventTime": "2026-11-21T09:30:00Z",
            "eventSource": f"service{name % 9}.amazonaws.com",
            "eventName": f"Operation{name}",
            "awsRegion": REGION,
            "sourceIPAddress": "10.0.0.1",
            "userAgent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11",
            "requestParameters": {"datastoreId": "0a1b2c3d", "resourceType": "Patient", "resourceId": f"p{number % 50_000}"},
            "responseElements": None,
            "requestID": digits,
            "eventID": f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}",
            "readOnly": name % 5 != 0,
            "resources": [
                {
                    "type": "AWS::HealthLake::FHIRDatastore",
                    "ARN": f"arn:aws:healthlake:{REGION}:{ACCOUNT}:datastore/fhir/0a1b2c3d/r4/Patient/p{number % 50_000}",
                }
            ],
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        }
        yield Fresh(now - (count - number) // 50, ACCOUNT, REGION, 0, msgspec.json.encode(record))


def fill(main: SqliteDatabase, count: int, now: int) -> None:
    """Writes the journal."""
    writer = main.writer()
    batch: list[Fresh] = []
    for record in records(count, now):
        batch.append(record)
        if len(batch) == 10_000:
            write(writer, batch)
            batch = []
    write(writer, batch)


def write(writer: Any, batch: list[Fresh]) -> None:
    writer.begin(writes=False)
    append(writer.tx, [(batch, ())])
    writer.commit()
    writer.idle()


def follow(main: SqliteDatabase, history: SqliteDatabase) -> tuple[float, float]:
    """Indexes the journal as the runner does. Returns seconds in all, and the longest transaction."""
    position, spent, longest = 0, 0.0, 0.0
    while True:
        with main.read() as snapshot:
            entries = after(snapshot, position, BATCH)
        if not entries:
            return spent, longest
        began = time.perf_counter()
        with history.write() as tx:
            index(tx, entries)
        took = time.perf_counter() - began
        spent, longest, position = spent + took, max(longest, took), entries[-1].position


def measured(perform: Callable[[], object], times: int) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        perform()
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.99)]


def main() -> None:
    """Prints one line a question."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        journal, history = SqliteDatabase(Path(folder) / "main.db"), SqliteDatabase(Path(folder) / "history.db")
        journal.writer()
        history.writer()
        migrate(journal, "main")
        with engine(history).begin() as connection:
            HISTORY.create_all(connection)
        now = int(time.time())
        fill(journal, count, now)
        spent, longest = follow(journal, history)
        size = (Path(folder) / "history.db").stat().st_size
        print(f"indexed {count / spent:,.0f} records/s (goal 25,000), longest batch {longest:.2f} s, {size / count:.0f} bytes/record")
        questions(journal, history, count, Path(folder) / "main.db")
        journal.close()
        history.close()


def questions(journal: SqliteDatabase, history: SqliteDatabase, count: int, file: Path) -> None:
    """Times a bare point query, then LookupEvents by one attribute, by pairs and page by page."""
    drawn = random.Random(2)
    bare = sqlite3.connect(file)
    point = "SELECT record FROM journal WHERE position = ?"
    base, base99 = measured(lambda: bare.execute(point, (drawn.randrange(1, count),)).fetchone(), 2000)
    print(f"{'bare point query':44s} p50 {base:8.3f} ms  p99 {base99:8.3f} ms")
    tools = Tools(
        SystemClock(), SystemIds(), Sealer(bytes(32)), Settings(), cast(Any, None), journal.read, history.read, history.read, Path()
    )

    def ask(*pairs: tuple[str, str], **members: Any) -> Any:
        call = Call(Request("POST", "/", "", {}, b"", "127.0.0.1", time.time()), tools, "request")
        call.set_target(Target(cast(Any, None), "LookupEvents", "json", None))
        call.set_caller(Principal("Root", ACCOUNT), REGION)
        attributes = [SimpleNamespace(AttributeKey=key, AttributeValue=value) for key, value in pairs]
        absent = dict.fromkeys(("StartTime", "EndTime", "EventCategory", "MaxResults", "NextToken"))
        with journal.read() as snapshot:
            return lookup_events(snapshot, call, SimpleNamespace(LookupAttributes=attributes, **(absent | members)))

    def any_value(key: str) -> str:
        user, name = int(drawn.expovariate(0.01)), int(drawn.expovariate(0.05))
        return {
            "EventName": f"Operation{name}",
            "Username": f"user{user}",
            "AccessKeyId": f"AKIA{user:012d}",
            "ReadOnly": drawn.choice(("true", "false")),
            "EventSource": f"service{drawn.randrange(9)}.amazonaws.com",
            "ResourceType": "AWS::HealthLake::FHIRDatastore",
            "ResourceName": f"Patient/p{drawn.randrange(50_000)}",
        }[key]

    keys = ("EventName", "Username", "AccessKeyId", "ReadOnly", "EventSource", "ResourceType", "ResourceName")
    rows: list[tuple[str, Callable[[], object]]] = [("everything", ask)]
    rows += [(f"{key}", lambda key=key: ask((key, any_value(key)))) for key in keys]  # type: ignore[misc]
    rows += [
        (f"{a} + {b}", lambda a=a, b=b: ask((a, any_value(a)), (b, any_value(b))))  # type: ignore[misc]
        for i, a in enumerate(keys)
        for b in keys[i + 1 :]
    ]
    rows.append(("frequent user + frequent name that never meet", lambda: ask(("Username", "user1"), ("EventName", "Operation0"))))
    rows.append(
        ("frequent source + ReadOnly that never meet", lambda: ask(("EventSource", "service0.amazonaws.com"), ("EventName", "Operation1")))
    )
    worst = 0.0
    for what, perform in rows:
        p50, p99 = measured(perform, 100)
        worst = max(worst, p99)
        print(f"{what:44s} p50 {p50:8.3f} ms  p99 {p99:8.3f} ms  {p50 / base:8.0f} x a point query")
    print(f"worst p99 {worst:.1f} ms (goal 20)")


if __name__ == "__main__":
    main()
