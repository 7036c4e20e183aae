"""Imports: wherever the process dies, every resource is stored once, told once, and every line has its answer."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.services.healthlake import importing, notes, store
from opentrail.services.healthlake.engine import ndjson
from opentrail.services.healthlake.import_lines import Ready
from opentrail.services.healthlake.importing import FEWEST, MOST, Pace, Seen
from opentrail.services.healthlake.job_store import IMPORT
from opentrail.store.sql import Sql
from opentrail.work import jobs
from tests.databases import Database
from tests.unit.services.healthlake.bulk_world import STORE, World


@pytest.fixture
def world(main_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Small parts, slices and tellings, so that a short file has many of each."""
    monkeypatch.setattr(importing, "TOLD", 5)
    monkeypatch.setattr(importing, "FEWEST", 3)
    monkeypatch.setattr(importing, "MOST", 3)
    cut = ndjson.parts
    monkeypatch.setattr(ndjson, "parts", lambda pieces: cut(pieces, part_bytes=200))
    return World(main_database, tmp_path / "jobs")


def patient(n: int, **more: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": f"p{n}", **more}).encode()


BAD = b'{"resourceType":"Patient"}'
FILES = {"in/a.ndjson": [patient(n) for n in range(20)], "in/b.ndjson": [BAD, *(patient(n) for n in range(15, 30)), patient(16)]}
GOOD = Counter({f"Patient/p{n}": 2 if 15 <= n < 20 else 1 for n in range(30)})


def fill(world: World) -> None:
    world.shelf.objects = {name: b"\n".join(lines) for name, lines in FILES.items()}


def check(world: World) -> None:
    """Everything once, however often the process died."""
    job = world.run()
    assert job.status == "COMPLETED_WITH_ERRORS"
    assert Counter(f"{type}/{id}" for type, id, _, _ in world.versions()) == GOOD
    assert {method for *_, method in world.versions()} == {"PUT"}
    assert world.told == GOOD
    written = world.written(IMPORT)
    assert [line["lineId"] for line in written["SUCCESS/a.ndjson"]] == list(range(1, 21))
    assert [line["lineId"] for line in written["SUCCESS/b.ndjson"]] == list(range(2, 17))
    assert [line["lineId"] for line in written["FAILURE/b.ndjson"]] == [1, 17]
    report = json.loads(job.report)
    assert (report["TotalNumberOfResourcesImported"], report["TotalNumberOfResourcesWithCustomerError"]) == (35, 2)
    assert (report["TotalNumberOfScannedFiles"], report["TotalNumberOfFilesReadWithCustomerError"]) == (2, 1)
    assert world.body("Patient", "p15")["meta"]["versionId"] == "2"


def test_an_import_without_a_fault(world: World) -> None:
    fill(world)
    world.submit(IMPORT)
    check(world)


@pytest.mark.parametrize("turn", [1, 2, 5, 11, 14, 20])
def test_it_goes_on_after_a_death_in_any_turn(world: World, turn: int) -> None:
    fill(world)
    world.submit(IMPORT)
    world.crash_at = turn
    check(world)


@pytest.mark.parametrize("call", range(1, 9, 2))
def test_it_goes_on_after_a_death_in_any_call(world: World, call: int) -> None:
    fill(world)
    world.submit(IMPORT)
    world.shelf.die_at = call
    check(world)


def test_files_that_come_later_are_no_part_of_the_job(world: World) -> None:
    fill(world)
    world.submit(IMPORT)
    world.step()
    world.shelf.objects["in/c.ndjson"] = patient(99)
    check(world)


def test_a_file_that_changes_fails_the_job_with_its_reason(world: World) -> None:
    fill(world)
    world.submit(IMPORT)
    world.step()
    world.shelf.objects["in/b.ndjson"] += b"\n" + patient(99)
    job = world.run()
    assert (job.status, job.message) == ("FAILED", "The bucket cannot be used in the data access role "
        "arn:aws:iam::123456789012:role/bulk: Changed.")  # fmt: skip
    assert json.loads(job.report)["TotalNumberOfResourcesImported"] == 20


def test_files_without_lines_and_files_that_are_not_read_stand_between_others(world: World) -> None:
    world.shelf.objects = {
        "in/a.ndjson": b"", "in/b.txt": b"text", "in/c.ndjson": patient(1), "in/d.ndjson": b"\n\n", "in/e.ndjson": patient(2),
        "in/f.txt": b"text", "in/g.ndjson": b"",
    }  # fmt: skip
    world.submit(IMPORT)
    job = world.run()
    assert world.told == {"Patient/p1": 1, "Patient/p2": 1}
    written = {name: [line["lineId"] for line in lines] for name, lines in world.written(IMPORT).items()}
    assert written == {"SUCCESS/c.ndjson": [1], "SUCCESS/e.ndjson": [1]}
    refused = [key for key in world.shelf.objects if "/FAILURE/" in key]
    assert [key.rpartition("/")[2] for key in refused] == ["b.txt", "f.txt"]
    assert json.loads(job.report)["TotalNumberOfScannedFiles"] == 7


def test_a_right_that_is_lost_fails_the_job(world: World) -> None:
    fill(world)
    world.submit(IMPORT)
    world.shelf.refuse = "PutObject"
    job = world.run()
    assert (job.status, (job.message or "").endswith("No.")) == ("FAILED", True)


def test_a_data_store_that_is_deleted_ends_the_job(world: World) -> None:
    fill(world)
    world.submit(IMPORT)
    world.step()
    with world.database.write() as tx:
        store.set_status(tx, STORE, "DELETED")
    assert (world.run().status, world.run().message) == ("FAILED", "The data store was deleted.")


def test_no_file_is_a_failure(world: World) -> None:
    world.shelf.objects = {"in/": b"", "input/a.ndjson": patient(1)}
    world.submit(IMPORT)
    assert (world.run().status, world.run().message) == ("FAILED", "There is no file at s3://bulk/in/.")


@given(st.lists(st.tuples(st.integers(1, 600), st.floats(0, 20)), max_size=30))
def test_slices_stay_within_their_bounds_and_the_turn(took: list[tuple[int, float]]) -> None:
    pace = Pace()
    for count, share in took:
        before = pace.size
        pace.took(count, share)
        assert FEWEST <= pace.size <= min(MOST, max(2 * before, FEWEST))
        if pace.size > FEWEST:
            assert pace.size * share <= count


def ready(line: int, id: str) -> Ready:
    return Ready(line, "Patient", id, b"", b"", (), False, [], 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=5), max_size=5))
def test_ids_are_seen_once_in_a_file(tmp_path: Path, parts: list[list[str]]) -> None:
    seen, first, line = Seen(tmp_path / "seen.db"), dict[str, int](), 0
    for part in parts:
        some = [ready(line := line + 1, id) for id in part]
        wanted = {}
        for one in some:
            if first.setdefault(one.id, one.line) != one.line:
                wanted[one.line] = first[one.id]
        assert seen.again(some) == wanted
    seen.close()


ENABLED = Sql("UPDATE healthlake_datastore SET configuration = :configuration")


def test_imported_notes_are_read_where_notes_are(world: World) -> None:
    attachment = {"contentType": "text/plain", "data": base64.b64encode(b"Fever.").decode()}
    note = {"resourceType": "DocumentReference", "id": "n", "status": "current", "content": [{"attachment": attachment}]}
    world.shelf.objects = {"in/a.ndjson": json.dumps(note).encode() + b"\n" + patient(1)}
    world.submit(IMPORT)
    world.run()
    with world.database.write() as tx:
        assert jobs.waiting(tx, notes.QUEUE, notes.KIND) == 0
        tx.run(ENABLED, configuration='{"NlpConfiguration":{"Status":"ENABLED"}}')
    world.submit(IMPORT, "again")
    world.run("again")
    with world.database.read() as view:
        assert jobs.under_way(view, f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{STORE}/DocumentReference/n/2")
        assert jobs.waiting(view, notes.QUEUE, notes.KIND) == 1
