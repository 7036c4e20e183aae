"""Exports: the state of one moment, whatever happens meanwhile and wherever the process dies."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from opentrail.services.healthlake import exporting, fhir_store, job_store, kept_files, store
from opentrail.services.healthlake.engine.search.rows import IndexRows, index_rows
from opentrail.services.healthlake.job_store import EXPORT
from tests.databases import Database
from tests.unit.services.healthlake.bulk_world import STORE, HandClock, World


@pytest.fixture
def world(main_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Small pages and files, so that few resources make many of each."""
    monkeypatch.setattr(exporting, "PAGE", 2)
    monkeypatch.setattr(exporting, "PER_FILE", 3)
    return World(main_database, tmp_path / "jobs")


def put(world: World, type: str, id: str, **members: Any) -> None:
    """Creates or updates a resource."""
    with world.database.write() as tx:
        before = fhir_store.current(tx, 1, type, id)
        number = before.version + 1 if before else 1
        resource = {"resourceType": type, "id": id, "meta": {"versionId": str(number)}, **members}
        body, rows = msgspec.json.encode(resource), index_rows(resource)
        if before is None:
            fhir_store.insert(tx, 1, type, id, "PUT", 1000, body, rows)
        else:
            old = index_rows(msgspec.json.decode(before.body)) if before.body else IndexRows()
            fhir_store.replace(tx, 1, type, id, "PUT", before, 1000 + number, body, old, rows)


def remove(world: World, type: str, id: str) -> None:
    """Deletes a resource."""
    with world.database.write() as tx:
        before = fhir_store.current(tx, 1, type, id)
        assert before is not None
        assert before.body is not None
        old = index_rows(msgspec.json.decode(before.body))
        fhir_store.replace(tx, 1, type, id, "DELETE", before, 2000, None, old, IndexRows())


def observation(world: World, id: str, patient: str) -> None:
    put(world, "Observation", id, subject={"reference": f"Patient/{patient}"})


def fill(world: World) -> list[str]:
    """Ten patients, some changed and some deleted, with observations."""
    for n in range(10):
        put(world, "Patient", f"p{n}")
        observation(world, f"o{n}", f"p{n % 3}")
    put(world, "Patient", "p1")
    remove(world, "Patient", "p2")
    remove(world, "Patient", "p3")
    put(world, "Patient", "p3")
    patients = [f"Patient/p{n}/{ {1: 2, 3: 3}.get(n, 1) }" for n in range(10) if n != 2]
    return sorted([*patients, *(f"Observation/o{n}/1" for n in range(10))])


def disturb(world: World) -> None:
    """What happens while an export runs: changes, deletions, returns, new resources."""
    put(world, "Patient", "p0")
    put(world, "Patient", "p2")
    put(world, "Patient", "new")
    remove(world, "Patient", "p9")
    remove(world, "Observation", "o0")
    observation(world, "o1", "p9")
    put(world, "Group", "late")


def test_what_is_there_is_exported_in_files_of_bounded_size(world: World) -> None:
    wanted = fill(world)
    assert world.exports() == wanted
    files = world.written(EXPORT, "e")
    assert max(map(len, files.values())) <= 4
    assert sorted(files) == [f"Observation/Observation-e-{n}.ndjson" for n in (1, 2, 3)] + [
        f"Patient/Patient-e-{n}.ndjson" for n in (1, 2, 3)
    ]  # fmt: skip
    assert world.told == Counter(one.rpartition("/")[0] for one in wanted)


@pytest.mark.parametrize("steps", [0, 3, 9])
def test_later_changes_are_no_part_of_it(world: World, steps: int) -> None:
    wanted = fill(world)
    world.submit(EXPORT, "e")
    for _ in range(steps):
        world.step()
    disturb(world)
    assert world.run("e").status == "COMPLETED"
    assert world.names("e") == wanted
    assert "Patient/new/1" in world.exports("later")


@pytest.mark.parametrize("turn", [1, 2, 4, 7])
def test_it_goes_on_after_a_death_with_the_same_files(world: World, turn: int) -> None:
    wanted = fill(world)
    world.submit(EXPORT, "e")
    world.crash_at = turn
    for _ in range(turn):
        world.step()
    disturb(world)
    assert world.run("e").status == "COMPLETED"
    assert world.names("e") == wanted
    assert world.told == Counter(one.rpartition("/")[0] for one in wanted)


def test_the_levels(world: World) -> None:
    fill(world)
    put(world, "Organization", "h")
    put(world, "Group", "g", member=[{"entity": {"reference": "Patient/p1"}}])
    everything = world.exports("all")
    patients = world.exports("patients", patients=True)
    assert set(everything) - set(patients) == {"Organization/h/1"}
    assert world.exports("group", patients=True, group="g") == sorted(
        ["Patient/p1/2", "Group/g/1", *(f"Observation/o{n}/1" for n in (1, 4, 7))]
    )
    assert world.exports("since", since=1002) == ["Patient/p1/2", "Patient/p3/3"]
    assert world.exports("types", types=("Group",)) == ["Group/g/1"]


def test_a_changed_resource_belongs_to_whom_it_did_then(world: World) -> None:
    put(world, "Patient", "p")
    observation(world, "o", "p")
    put(world, "Group", "g", member=[{"entity": {"reference": "Patient/p"}}])
    world.submit(EXPORT, "e", asked=exporting.export.Asked(patients=True, group="g"))
    observation(world, "o", "other")
    put(world, "Group", "g", member=[])
    world.run("e")
    assert world.names("e") == ["Group/g/1", "Observation/o/1", "Patient/p/1"]


@pytest.mark.parametrize("crash_at", [0, 2, 4, 6])
def test_files_that_are_kept_are_told_to_nobody_before_they_are_fetched(world: World, crash_at: int) -> None:
    wanted = fill(world)
    world.submit(EXPORT, "e", output="")
    world.crash_at = crash_at
    world.run("e")
    files = sorted(world.folder.glob("exports/e/*/*.ndjson"))
    lines = [[json.loads(line) for line in file.read_bytes().splitlines()] for file in files]
    assert sorted(f"{one['resourceType']}/{one['id']}/{one['meta']['versionId']}" for file in lines for one in file) == wanted
    for file, rows in zip(files, lines, strict=True):
        assert kept_files.shown(file).resources == [f"{one['resourceType']}/{one['id']}" for one in rows]
    observed = {patient for file in files if file.parent.name == "Observation" for patient in kept_files.shown(file).patients}
    assert observed == {"p0", "p1", "p2"}
    assert not world.told
    assert not world.shelf.objects


def test_kept_files_go_when_their_time_is_over(world: World) -> None:
    fill(world)
    clock: Any = HandClock()
    sweep, nothing = kept_files.Sweep(world.database.read, clock, world.folder), cast("Any", None)
    for id in ("young", "old", "gone"):
        world.submit(EXPORT, id, output="")
        ended = world.run(id).ended
    assert ended is not None
    with world.database.write() as tx:
        job_store.end(tx, "old", "COMPLETED", clock.now() - kept_files.KEPT - 61, "{}", None)
        job_store.end(tx, "young", "COMPLETED", clock.now() - kept_files.KEPT + 61, "{}", None)
        job_store.end(tx, "gone", "FAILED", clock.now(), "{}", "why")
    sweep.step(nothing)
    assert [one.name for one in world.folder.glob("exports/*")] == ["young"]
    with world.database.write() as tx:
        store.set_status(tx, STORE, "DELETED")
    sweep.step(nothing)
    assert not list(world.folder.glob("exports/*"))


def test_a_data_store_that_is_deleted_ends_the_job(world: World) -> None:
    fill(world)
    world.submit(EXPORT, "e")
    world.step()
    with world.database.write() as tx:
        store.set_status(tx, STORE, "DELETED")
    assert (world.run("e").status, world.run("e").message) == ("FAILED", "The data store was deleted.")
