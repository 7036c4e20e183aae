"""What the FHIR benchmarks share: resources to load, a SQLite store, and timing.

Resources come from $OPENTRAIL_SHARED/data/fhir/synthea_ndjson when it is there, else they are made here; both are topped up
with renamed copies of the patients and everything that points to them.
"""

import gzip
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from opentrail.services.healthlake import tables
from opentrail.services.healthlake.engine import writes
from opentrail.services.healthlake.engine.search.rows import IndexRows

SHARED = Path(os.environ.get("OPENTRAIL_SHARED", "../shared"))


def made(count: int) -> Iterator[bytes]:
    """Patients, each with encounters and observations, from a fixed seed."""
    chance = random.Random(1)
    patients = max(count // 50, 1)
    for p in range(patients):
        name = [{"family": f"Family{chance.randrange(400):03d}", "given": [f"Given{chance.randrange(200)}"]}]
        yield msgspec.json.encode({"resourceType": "Patient", "id": f"p{p}", "name": name, "gender": "female", "birthDate": "1970-01-01"})
    for n in range(count - patients):
        patient = {"reference": f"Patient/p{n % patients}"}
        day = f"20{chance.randrange(10, 24)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}T10:00:00Z"
        if n % 10 == 0:
            kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
            body = {
                "resourceType": "Encounter",
                "id": f"e{n}",
                "status": "finished",
                "class": kind,
                "subject": patient,
                "period": {"start": day},
            }
        else:
            code = {"coding": [{"system": "http://loinc.org", "code": f"{8000 + chance.randrange(40)}-1", "display": "Measure"}]}
            value = {
                "value": chance.randrange(50, 200),
                "unit": "mm[Hg]",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            }
            body = {
                "resourceType": "Observation",
                "id": f"o{n}",
                "status": "final",
                "code": code,
                "subject": patient,
                "effectiveDateTime": day,
                "valueQuantity": value,
            }
        yield msgspec.json.encode(body)


def resources(count: int) -> Iterator[bytes]:
    """`count` resources as JSON bytes."""
    folder = SHARED / "data/fhir/synthea_ndjson"
    if not folder.is_dir():
        yield from made(count)
        return
    given = 0
    for copy in range(100):
        for file in sorted(folder.glob("*.ndjson.gz")):
            with gzip.open(file) as lines:
                for line in lines:
                    yield renamed(line, copy) if copy else line
                    given += 1
                    if given == count:
                        return


def renamed(line: bytes, copy: int) -> bytes:
    """The resource under another id, pointing to the copies of its patient."""
    body = msgspec.json.decode(line.replace(b'"reference":"Patient/', b'"reference":"Patient/g%d-' % copy))
    return msgspec.json.encode({**body, "id": f"g{copy}-{body['id']}"[:64]})


def create(path: str) -> sqlite3.Connection:
    """An empty store in a file, with settings for loading."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-200000", "mmap_size=2000000000"):
        database.execute(f"PRAGMA {pragma}")
    dialect = sqlite.dialect()
    for table in tables.FHIR_TABLES:
        database.execute(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            database.execute(str(CreateIndex(index).compile(dialect=dialect)))
    return database


INSERTS = {
    t: f"INSERT INTO fhir_{t} (store,path,pk,{','.join(c)}) VALUES (1,{','.join('?' * (len(c) + 2))})" for t, c in writes.COLUMNS.items()
}


def insert(database: sqlite3.Connection, batch: list[tuple[int, str, str, bytes, IndexRows]]) -> int:
    """Store (pk, type, id, body, rows) in one transaction; the number of index rows."""
    count = 0
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO fhir_current VALUES (?,1,?,?,1,?,0,?,?)", [(pk, t, i, 1_600_000_000_000 + pk, b, pk) for pk, t, i, b, _ in batch]
    )
    database.executemany(
        "INSERT INTO fhir_history VALUES (1,?,?,1,?,'PUT',NULL,?)", [(t, i, 1_600_000_000_000 + pk, pk) for pk, t, i, _, _ in batch]
    )
    for table, text in INSERTS.items():
        rows = [(row[0], pk, *row[1:]) for pk, _, _, _, found in batch for row in getattr(found, table)]
        rows.sort()
        database.executemany(text, rows)
        count += len(rows)
    database.execute("COMMIT")
    return count


def reader(database: sqlite3.Connection) -> Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]:
    """The read function of the engine over a connection."""
    return lambda text, values: database.execute(text, values).fetchall()


def timed(function: Callable[[int], Any], rounds: int) -> tuple[float, float, Any]:
    """(median, worst) milliseconds of `rounds` calls, and the last result."""
    spans, result = [], None
    for i in range(rounds):
        start = time.perf_counter()
        result = function(i)
        spans.append((time.perf_counter() - start) * 1000)
    spans.sort()
    return spans[len(spans) // 2], spans[-1], result
