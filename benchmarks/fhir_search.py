"""Reads and the seven search shapes inside SQLite, parse to rows, at 100,000 resources: median and worst milliseconds.

    PYTHONPATH=src:. python -m benchmarks.fhir_search [resources]

Beside each stands its ratio to a bare read of one resource by primary key in the same run. Targets: read under 0.3 ms, searches
under 2 ms (median).
"""

import sys
import tempfile
from collections.abc import Callable
from itertools import islice

import msgspec

from benchmarks.fhir_data import create, insert, reader, resources, timed
from opentrail.services.healthlake.engine.search.parse import parse_search
from opentrail.services.healthlake.engine.search.paths import number
from opentrail.services.healthlake.engine.search.rows import index_rows
from opentrail.services.healthlake.engine.search.run import Found, run_search

Pairs = list[tuple[str, str]]
ROUNDS = 60


def fill(path: str, count: int):  # type: ignore[no-untyped-def]
    """A store of `count` resources."""
    database = create(path)
    lines, pk = resources(count), 0
    while batch := list(islice(lines, 5_000)):
        rows = []
        for line in batch:
            resource = msgspec.json.decode(line)
            pk += 1
            rows.append((pk, resource["resourceType"], resource["id"], line, index_rows(resource)))
        insert(database, rows)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


def main(count: int) -> None:
    """Print a line per shape."""
    with tempfile.TemporaryDirectory() as folder:
        database = fill(folder + "/search.db", count)
        read = reader(database)
        patients = [row[0] for row in read("SELECT id FROM fhir_current WHERE type='Patient' ORDER BY pk", {})]
        family = f"SELECT DISTINCT folded FROM fhir_string WHERE store=1 AND path={number('Patient:string:family')} LIMIT 50"
        families = [row[0] for row in read(family, {})]
        path = number("Observation:token:code+combo-code")
        common = f"SELECT code FROM fhir_token WHERE path={path} GROUP BY code ORDER BY count(*) DESC LIMIT 40"
        codes = ["http://loinc.org|" + row[0] for row in read(common, {})]

        def pick(values: list[str], i: int) -> str:
            return values[i % len(values)]

        shapes: list[tuple[str, str, Callable[[int], Pairs]]] = [
            ("name prefix", "Patient", lambda i: [("name", pick(families, i)[:4])]),
            (
                "patient, code, date, sorted",
                "Observation",
                lambda i: [("patient", pick(patients, i)), ("code", pick(codes, i)), ("date", "ge2010"), ("_sort", "-date")],
            ),
            ("code, page of 100", "Observation", lambda i: [("code", pick(codes[:5], i))]),
            ("code with _include", "Observation", lambda i: [("code", pick(codes[:20], i)), ("_include", "Observation:subject")]),
            ("_id with _revinclude", "Patient", lambda i: [("_id", pick(patients, i)), ("_revinclude", "Encounter:patient")]),
            ("chained subject.family", "Observation", lambda i: [("subject:Patient.family", pick(families, i))]),
            ("_has by code", "Patient", lambda i: [("_has:Observation:patient:code", pick(codes, i))]),
            ("value-quantity", "Observation", lambda i: [("value-quantity", "gt150||mm[Hg]")]),
            ("date range", "Encounter", lambda i: [("date", "ge2020"), ("date", "lt2021")]),
            ("_total=accurate", "Observation", lambda i: [("code", pick(codes[:5], i)), ("_total", "accurate"), ("_count", "1")]),
            ("all, newest first", "Observation", lambda i: [("_sort", "-date")]),
        ]
        by_id = "SELECT version, updated, body FROM fhir_current WHERE store=1 AND type='Patient' AND id=:id"
        bare, worst, _ = timed(lambda i: read(by_id, {"id": pick(patients, i)}), 10 * ROUNDS)
        print(f"{'read by id':30} median {bare:7.3f} worst {worst:7.2f} ms")
        for label, kind, pairs in shapes:

            def search(i: int, kind: str = kind, pairs: Callable[[int], Pairs] = pairs) -> Found:
                return run_search(read, parse_search(kind, pairs(i)), 1)

            median, worst, found = timed(search, ROUNDS)
            hits = f"{len(found.matches)}+{len(found.included)}"
            print(f"{label:30} median {median:7.3f} worst {worst:7.2f} ms, {median / bare:6.0f} x a read, {hits} resources")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
