"""Batch jobs at work, over a bucket in memory: crashes between any two steps, refusals, faults of the engine, limits, stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import Principal
from opentrail.services.comprehendmedical import batch, documents, jobs, outputs, store
from opentrail.services.comprehendmedical.batch import Batch
from opentrail.services.comprehendmedical.documents import Part, Read, read_all
from opentrail.services.comprehendmedical.kinds import KINDS
from opentrail.services.comprehendmedical.store import Job, Settings, Sums
from opentrail.store.sql import Sql
from opentrail.work import jobs as work
from opentrail.work.executor import WorkerDied
from opentrail.work.jobs import Jobs
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import HandClock

ACCOUNT, ID = "123456789012", "a" * 32
PLACE = f"out/{ACCOUNT}-PHIDetection-{ID}/"
SETTINGS = Settings(
    input_bucket="b",
    input_key="in/",
    output_bucket="b",
    output_key=PLACE,
    role="arn:aws:iam::123456789012:role/r",
    language="en",
    model="1",
)
LEFT = Sql("SELECT COUNT(*) FROM comprehendmedical_file")


class Shelf:
    """A bucket in memory; refuses or fails where it is told to."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.changed: dict[str, float] = {}
        self.refused: dict[tuple[str, str], ServiceError] = {}
        self.puts: list[str] = []
        self.outages: list[str] = []

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        assert (principal.service, principal.role, principal.source_account) == ("comprehendmedical.amazonaws.com", SETTINGS.role, ACCOUNT)
        key = input.get("Key", "")
        if self.outages and self.outages[0] == operation:
            self.outages.pop(0)
            raise Unavailable("closed")
        if error := self.refused.get((operation, key)) or self.refused.get((operation, "")):
            raise error
        if operation == "ListObjectsV2":
            first = input.get("ContinuationToken", input.get("StartAfter", ""))
            keys = sorted(one for one in self.objects if one.startswith(input["Prefix"]) and one > first)
            page = [{"Key": one, "Size": len(self.objects[one]), "ETag": "e", "LastModified": self._moment(one)} for one in keys[:3]]
            return {"Contents": page, "IsTruncated": len(keys) > 3, "NextContinuationToken": keys[2] if len(keys) > 3 else ""}
        if operation == "GetObject":
            return {"Body": self.objects[key]}
        assert operation == "PutObject"
        self.objects[key] = body
        self.changed[key] = 1e9
        self.puts.append(key)
        return {}

    def _moment(self, key: str) -> datetime:
        return datetime.fromtimestamp(self.changed.get(key, 0.0), UTC)


class Done:
    """Work that is over, or broken."""

    def __init__(self, value: Any) -> None:
        self.value, self.stopped = value, False

    def result(self, timeout: float | None = None) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def stop(self) -> None:
        self.stopped = True


class Here:
    """An executor in this process; a document with the word `kill` ends its worker, one with `hang` is never read."""

    def start(self, function: Callable[[Part], list[Read]], part: Part) -> Any:
        if any(b"kill" in text for text in part.texts):
            return Done(WorkerDied("the process ended"))
        return Done(TimeoutError() if any(b"hang" in text for text in part.texts) else function(part))


class Clock(HandClock):
    """Every look at the monotonic clock is a minute later."""

    def monotonic(self) -> float:
        self.time = getattr(self, "time", 0.0) + 60.0
        return self.time


class World:
    """A database with one job that waits, and its task."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder, self.shelf = database, folder, Shelf()
        made = Job(ID, ACCOUNT, "us-east-1", "PHIDetection", None, store.SUBMITTED, 100.0, None, None, None, json.dumps(as_dict(SETTINGS)))
        with database.write() as tx:
            store.insert(tx, made, "t", "i")
            work.submit(tx, jobs.SERVICE, "PHIDetection", jobs.job_arn(made), 100.0)
        self.restart()

    def restart(self) -> None:
        """As after a crash of the process."""
        executor: Any = Here()
        kinds = dict.fromkeys(KINDS, Batch(self.folder))
        self.task = Jobs(
            jobs.SERVICE, kinds, self.database.read, self.database.write, self.shelf, executor, Clock(), self.folder / "jobs"
        )  # fmt: skip

    def step(self) -> bool:
        nothing: Any = None
        return self.task.step(nothing)

    def run(self) -> Job:
        """Works until the job has ended."""
        for _ in range(500):
            if not self.step():
                return self.job()
        raise AssertionError("the job does not end")

    def job(self) -> Job:
        with self.database.read() as view:
            found = store.job(view, ID)
        assert found is not None
        return found

    def read(self, name: str) -> Any:
        return json.loads(self.shelf.objects[PLACE + name])


def as_dict(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


@pytest.fixture(autouse=True)
def computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the engine: how long the text is; `fault` is one."""

    def compute(text: str, loaded: Path | None) -> dict[str, Any]:
        if "fault" in text:
            raise KeyError("Canaryberg")
        return {"Entities": [], "ModelVersion": str(len(text))}

    monkeypatch.setitem(KINDS, "PHIDetection", KINDS["PHIDetection"]._replace(compute=compute))
    monkeypatch.setattr(batch, "PART_FILES", 2)


@pytest.fixture
def world(main_database: Database, tmp_path: Path) -> World:
    return World(main_database, tmp_path)


def notes(world: World, *names: str) -> None:
    for name in names:
        world.shelf.objects[f"in/{name}"] = f"note {name}".encode()


def told(world: World) -> tuple[list[str], dict[str, str]]:
    good = [one["Input"] for one in world.read("success")["Files"]]
    return good, {one["Input"]: one["ErrorCode"] for one in world.read("unprocessed")["Files"]}


def test_a_job_is_done_and_leaves_nothing_behind(world: World) -> None:
    notes(world, "a", "b", "c", "d", "e")
    done = world.run()
    assert (done.status, done.manifest, done.message) == ("COMPLETED", f"{PLACE}Manifest", None)
    assert told(world) == ([f"in/{one}" for one in "abcde"], {})
    assert world.read("a.out")["ModelVersion"] == "6"
    with world.database.read() as view:
        assert view.one(LEFT) == (0,)
    assert not list((world.folder / "jobs" / jobs.SERVICE).iterdir())


@pytest.mark.parametrize("steps", range(1, 14))
def test_a_crash_after_any_step_loses_nothing_and_tells_nothing_twice(world: World, steps: int) -> None:
    notes(world, *"abcdefg")
    for _ in range(steps):
        world.step()
    world.restart()
    assert world.run().status == "COMPLETED"
    assert told(world) == ([f"in/{one}" for one in "abcdefg"], {})
    assert world.read("Manifest")["Summary"]["TotalMeteredCharacters"] == 7 * len("note a")


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject", "PutObject"])
def test_an_outage_is_tried_again_where_it_was(world: World, operation: str) -> None:
    notes(world, *"abcde")
    world.shelf.outages = [operation] * 3
    assert (world.run().status, world.shelf.outages) == ("COMPLETED", [])
    assert told(world)[0] == [f"in/{one}" for one in "abcde"]


def test_what_happens_to_one_file_happens_to_no_other(world: World, caplog: pytest.LogCaptureFixture) -> None:
    notes(world, *"abcde")
    world.shelf.objects |= {
        "in/fault": b"a fault", "in/kill": b"kill", "in/hang": b"hang", "in/latin": b"\xff", "in/none": b"", "in/marker/": b"",
        "in/huge": b"a" * (batch.FILE_BYTES + 1), "in/full": b"a" * batch.FILE_BYTES, "in/x//y": b"a", "in/late": b"a", "in/denied": b"a", "in/gone": b"a",
        f"in/{'k' * 990}": b"a",
    }  # fmt: skip
    world.shelf.changed["in/late"] = 101.0
    world.shelf.refused[("GetObject", "in/denied")] = ServiceError("AccessDenied", "No.", status=403)
    world.shelf.refused[("GetObject", "in/gone")] = ServiceError("NoSuchKey", "No.", status=404)
    assert world.run().status == "PARTIAL_SUCCESS"
    good, bad = told(world)
    assert good == ["in/a", "in/b", "in/c", "in/d", "in/e", "in/full"]
    internal, invalid = documents.INTERNAL, "InvalidRequestException"
    assert bad == {
        "in/fault": internal, "in/kill": internal, "in/hang": internal, "in/latin": "InvalidEncodingException", "in/none": invalid,
        "in/huge": "TextSizeLimitExceededException", "in/x//y": invalid, "in/late": invalid, "in/denied": "AccessDenied",
        "in/gone": "NoSuchKey", f"in/{'k' * 990}": invalid,
    }  # fmt: skip
    assert "Canaryberg" not in caplog.text


@pytest.mark.parametrize(
    ("place", "message"),
    [(("ListObjectsV2", ""), batch.NO_INPUT), (("PutObject", ""), batch.NO_OUTPUT), (("PutObject", f"{PLACE}Manifest"), batch.NO_OUTPUT)],
)
def test_a_job_that_may_not_fails_with_the_reason_in_words_of_its_own(world: World, place: tuple[str, str], message: str) -> None:
    notes(world, "a", "b", "c")
    world.shelf.refused[place] = ServiceError("AccessDenied", "Canaryberg", status=403)
    done = world.run()
    assert (done.status, done.message, done.manifest) == ("FAILED", message, None if place[0] == "PutObject" else done.manifest)


@pytest.mark.parametrize(("limit", "value"), [("MOST_FILES", 2), ("most_bytes", 10)])
def test_a_job_over_the_quota_fails_before_it_reads(world: World, monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    notes(world, "a", "b", "c")
    if limit == "most_bytes":
        monkeypatch.setitem(KINDS, "PHIDetection", KINDS["PHIDetection"]._replace(most_bytes=value))
    else:
        monkeypatch.setattr(batch, limit, value)
    assert world.run().status == "FAILED"
    assert not [key for key in world.shelf.puts if key.endswith(".out")]


def test_a_job_without_one_good_file_fails(world: World) -> None:
    world.shelf.objects["in/a"] = b"\xff"
    done = world.run()
    assert (done.status, world.read("Manifest")["Summary"]["Status"]) == ("FAILED", "FAILED")
    assert told(world) == ([], {"in/a": "InvalidEncodingException"})


def test_a_stop_keeps_what_was_done(world: World) -> None:
    notes(world, *"abcdefghijkl")
    while not world.shelf.puts:
        world.step()
    with world.database.write() as tx:
        assert store.move(tx, ID, store.IN_PROGRESS, store.STOP_REQUESTED)
    assert world.run().status == "STOPPED"
    good, bad = told(world)
    assert 0 < len(good) < 12
    assert bad == {}
    assert sorted(key for key in world.shelf.puts if key.endswith(".out")) == [f"{PLACE}{one.removeprefix('in/')}.out" for one in good]
    assert world.read("Manifest")["Summary"]["Status"] == "STOPPED"


def test_a_job_that_was_stopped_before_it_began_is_left_alone(world: World) -> None:
    with world.database.write() as tx:
        store.move(tx, ID, store.SUBMITTED, store.STOPPED)
    world.step()
    assert (world.shelf.puts, world.job().status) == ([], "STOPPED")


def test_documents_are_read_strictly() -> None:
    found = read_all(Part("PHIDetection", None, (b"abc", b"\xed\xa0\x80", "é".encode())))
    assert [(one.characters, one.code) for one in found] == [(3, ""), (0, "InvalidEncodingException"), (1, "")]


@pytest.mark.parametrize(
    ("input_key", "key", "name"),
    [("", "a.txt", "a.txt"), ("in/", "in/x/a.txt", "x/a.txt"), ("in", "in/a.txt", "in/a.txt"), ("in/a.txt", "in/a.txt", "a.txt"), ("in/20", "in/2024/a", "2024/a")],
)  # fmt: skip
def test_answers_keep_the_names_below_the_input_folder(input_key: str, key: str, name: str) -> None:
    places = Settings(**{**as_dict(SETTINGS), "input_key": input_key})
    assert outputs.output_key(places, key) == f"{PLACE}{name}.out"


def test_the_manifest_says_what_the_guide_lists() -> None:
    job = Job(ID, ACCOUNT, "r", "EntitiesDetectionV2", None, "IN_PROGRESS", 1.0, None, None, None, json.dumps(as_dict(SETTINGS)))
    summary = json.loads(outputs.manifest(job, "PARTIAL_SUCCESS", 3, Sums(2, 10, 1), 1.6, ""))["Summary"]
    assert summary == {
        "Status": "PARTIAL_SUCCESS", "JobType": "EntitiesDetection", "InputDataConfiguration": {"Bucket": "b", "Path": "in/"},
        "OutputDataConfiguration": {"Bucket": "b", "Path": PLACE}, "InputFileCount": 3, "TotalMeteredCharacters": 10,
        "UnprocessedFilesCount": 1, "SuccessFilesCount": 2, "TotalDurationSeconds": 2, "SuccessfulFilesListLocation": f"{PLACE}success",
        "UnprocessedFilesListLocation": f"{PLACE}unprocessed", "FailedJobErrorMessage": outputs.DONE,
    }  # fmt: skip
