"""What becomes of Personalize's jobs: results, refusals, stops, errors of the moment, updates that fail, imports that wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import Principal
from opentrail.services.personalize import importing, jobs, queue, recommenders, resources, store
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.store import Resource
from opentrail.work.executor import Running, WorkerDied
from opentrail.work.jobs import MOST_CRASHES, Jobs, stop, under_way
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import HandClock

ROWS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n},i{n},{n}\n" for n in range(100))
SCHEMA = "the text of a schema"
PREFIX = "arn:aws:personalize:us-east-1:123456789012:"
JOB = f"{PREFIX}dataset-import-job/first"
ROLE = "arn:aws:iam::123456789012:role/reader"
NOTHING: Any = None


class Bucket:
    """Answers as S3 does, or fails."""

    def __init__(self) -> None:
        self.failure: ServiceError | None = None
        self.asked: list[tuple[str, str, str]] = []

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        self.asked.append((principal.service, principal.role, operation))
        if self.failure is not None:
            raise self.failure
        data = ROWS.encode()
        if operation == "ListObjectsV2":
            return {"Contents": [{"Key": "in/a.csv", "Size": len(data), "ETag": "e"}, {"Key": "inside.csv", "Size": 1, "ETag": "e"}]}
        first, last = input["Range"].removeprefix("bytes=").split("-")
        return {"Body": data[int(first) : int(last) + 1]}


class Elsewhere:
    """An executor whose parts end when they are told to."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.outcome: Any = None
        self.stopped = 0

    def start(self, function: Callable[[Any], Any], part: Any) -> Running[Any]:
        self.parts.append(part)
        return self  # type: ignore[return-value]

    def result(self, timeout: float | None = None) -> Any:
        outcome, self.outcome = self.outcome, None
        if outcome is None:
            raise TimeoutError
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def stop(self) -> None:
        self.stopped += 1


class World:
    """A group with one dataset and one import job that waits."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder, self.bucket, self.elsewhere = database, folder, Bucket(), Elsewhere()
        self.restart()
        with database.write() as tx:
            self.add(tx, "schema/s", SCHEMA)
            self.add(tx, "dataset/g/INTERACTIONS", "{}", uses=f"{PREFIX}schema/s")
        self.ask("first", "FULL")

    def restart(self) -> None:
        executor: Any = self.elsewhere
        self.clock = HandClock()
        self.jobs = Jobs(
            jobs.SERVICE, jobs.kinds(self.folder), self.database.read, self.database.write, self.bucket, executor, self.clock, self.folder
        )

    def ask(self, name: str, mode: str, created: float = 1.0) -> None:
        body = msgspec.json.encode({"dataSource": {"dataLocation": "s3://data/in"}, "roleArn": ROLE, "importMode": mode}).decode()
        with self.database.write() as tx:
            where = f"{PREFIX}dataset/g/INTERACTIONS"
            made = self.add(tx, f"dataset-import-job/{name}", body, parent=where, status=resources.PENDING, created=created)
            queue.submit(tx, made, created)

    def add(self, tx: Any, path: str, body: str, status: str = "ACTIVE", created: float = 1.0, **more: str) -> Resource:
        kind, name = path.partition("/")[0], path.rpartition("/")[2]
        made = Resource(PREFIX + path, kind, "123456789012", "us-east-1", name, None, status, created, created, body, **more)
        store.insert(tx, made)
        return made

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.jobs.step(NOTHING)

    def until_computing(self) -> None:
        before = len(self.elsewhere.parts)
        for _ in range(10):
            self.step()
            if len(self.elsewhere.parts) > before:
                return
        raise AssertionError("nothing was computed")

    def status(self, name: str = "first") -> tuple[str, str, bool]:
        """A job's status and reason, and whether it waits or runs."""
        arn = f"{PREFIX}dataset-import-job/{name}"
        with self.database.read() as snapshot:
            found = store.one(snapshot, arn)
            assert found is not None
            waits = under_way(snapshot, arn) is not None
            return found.status, msgspec.json.decode(found.body).get("failureReason", ""), waits

    def segments(self) -> list[str]:
        with self.database.read() as snapshot:
            found = store.one(snapshot, f"{PREFIX}dataset/g/INTERACTIONS")
            assert found is not None
            names: list[str] = msgspec.json.decode(found.body).get("segments", [])
            return names


@pytest.fixture
def world(main_database: Database, tmp_path: Path) -> World:
    return World(main_database, tmp_path / "data")


def test_a_job_is_done_once(world: World) -> None:
    world.until_computing()
    assert world.status() == (resources.IN_PROGRESS, "", True)
    (task,) = world.elsewhere.parts
    assert [(key, Path(file).read_text()) for key, file in task["files"]] == [("in/a.csv", ROWS)]
    principal = ("personalize.amazonaws.com", ROLE)
    assert set(world.bucket.asked) == {(*principal, "ListObjectsV2"), (*principal, "GetObject")}
    world.elsewhere.outcome = {"rows": 1_500}
    world.step()
    assert world.status() == (resources.ACTIVE, "", False)
    assert len(world.segments()) == 1


def test_a_refusal_is_the_reason(world: World) -> None:
    world.until_computing()
    world.elsewhere.outcome = InvalidInput("Input CSV is missing the following columns:[X].")
    world.step()
    assert world.status() == (resources.FAILED, "Input CSV is missing the following columns:[X].", False)
    assert world.segments() == []


def test_crashes_are_tried_again_and_counted(world: World) -> None:
    for _ in range(MOST_CRASHES):
        assert world.status()[2]
        world.until_computing()
        world.elsewhere.outcome = WorkerDied("killed")
        world.step()
        world.clock.time += 60
    world.step()
    status, reason, waits = world.status()
    assert (status, waits) == (resources.FAILED, False)
    assert reason.startswith("An internal error")


def test_a_stop_ends_the_work(world: World) -> None:
    world.until_computing()
    with world.database.write() as tx:
        assert stop(tx, JOB)
    world.step()
    assert world.elsewhere.stopped
    assert world.status() == (resources.STOPPED, "", False)


def test_a_new_process_begins_the_job_again(world: World) -> None:
    world.until_computing()
    world.restart()
    world.until_computing()
    world.elsewhere.outcome = {"rows": 1}
    world.step()
    assert world.status()[0] == resources.ACTIVE
    assert len(world.segments()) == 1


@pytest.mark.parametrize("failure", [ServiceError("AccessDenied", "no", status=403), ServiceError("NoSuchBucket", "no", status=404)])
def test_what_s3_refuses_fails_the_job(world: World, failure: ServiceError) -> None:
    world.bucket.failure = failure
    world.step()
    status, reason, waits = world.status()
    assert (status, waits) == (resources.FAILED, False)
    assert "bucket data" in reason


@pytest.mark.parametrize("failure", [Unavailable("away"), ServiceError("InternalError", "no", status=500)])
def test_errors_of_the_moment_are_tried_again(world: World, failure: ServiceError) -> None:
    world.bucket.failure = failure
    world.step()
    world.clock.time += 60
    assert world.status() == (resources.IN_PROGRESS, "", True)
    world.bucket.failure = None
    world.until_computing()
    world.elsewhere.outcome = {"rows": 1}
    world.step()
    assert world.status()[0] == resources.ACTIVE


def test_imports_count_in_the_order_in_which_they_were_asked_for(world: World) -> None:
    world.ask("second", "INCREMENTAL", 2.0)
    world.until_computing()
    while len(world.elsewhere.parts) < 2:
        world.step()
    later = next(part for part in world.elsewhere.parts if "second" in part["segment"])
    assert later
    # The two share one outcome here: whichever is asked first is done computing first, and only the first may end.
    world.elsewhere.outcome = {"rows": 1}
    for _ in range(4):
        world.step()
        world.elsewhere.outcome = {"rows": 1}
    assert world.status("first")[0] == world.status("second")[0] == resources.ACTIVE
    assert [name.rsplit("-", 2)[1] for name in world.segments()] == ["first", "second"]


def test_segments_have_names_of_their_own(world: World) -> None:
    with world.database.read() as snapshot:
        made = store.one(snapshot, JOB)
    assert made is not None
    assert importing.segment_name(made) != importing.segment_name(made._replace(region="eu-west-1"))


class Trainings(World):
    """The same world with data, a solution with a version that serves, and a recommender whose first training waits."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        recipe = "arn:aws:personalize:::recipe/"
        with database.write() as tx:
            queue.forget(tx, JOB)
            self.add(tx, "dataset-group/g", "{}")
            body = msgspec.json.encode(
                {"recipeArn": f"{recipe}aws-user-personalization", "performHPO": False, "performAutoTraining": False}
            ).decode()
            self.add(tx, "solution/s", body, parent=f"{PREFIX}dataset-group/g")
            version = msgspec.json.encode({"model": "m", "folder": "old", "metrics": {"coverage": 0.5}}).decode()
            self.version = self.add_as(tx, "solution/s/1", "solution-version", version, f"{PREFIX}solution/s", "ACTIVE")
            body = msgspec.json.encode({"recipeArn": f"{recipe}aws-ecomm-recommended-for-you", "recommenderConfig": {}}).decode()
            self.recommender = self.add(tx, "recommender/r", body, parent=f"{PREFIX}dataset-group/g", status=resources.PENDING)

    def add_as(self, tx: Any, path: str, kind: str, body: str, parent: str, status: str) -> Resource:
        made = self.add(tx, path, body, status=status, parent=parent)._replace(kind=kind)
        store.delete(tx, made.arn)
        store.insert(tx, made)
        return made

    def found(self, made: Resource) -> tuple[Resource, dict[str, Any]]:
        with self.database.read() as snapshot:
            found = store.one(snapshot, made.arn)
            assert found is not None
            return found, msgspec.json.decode(found.body)

    def train(self) -> Resource:
        with self.database.write() as tx:
            recommenders.train(tx, self.recommender, f"{len(self.elsewhere.parts)}", 5.0)
            return store.children(tx, self.recommender.arn, "recommender-version")[-1]

    def end(self, outcome: Any) -> None:
        self.until_computing()
        self.elsewhere.outcome = outcome
        self.step()


@pytest.fixture
def trainings(main_database: Database, tmp_path: Path) -> Trainings:
    return Trainings(main_database, tmp_path / "data")


def test_an_update_changes_the_model_and_nothing_else(trainings: Trainings) -> None:
    with trainings.database.write() as tx:
        queue.submit(tx, trainings.version, 7.0, update=True)
    trainings.until_computing()
    (task,) = trainings.elsewhere.parts
    assert task["base"].endswith("models/old/m")
    assert not task["folder"].endswith("/old")
    assert trainings.found(trainings.version)[0].status == resources.ACTIVE
    trainings.elsewhere.outcome = {"model": "n", "folder": "new"}
    trainings.step()
    found, body = trainings.found(trainings.version)
    assert (found.status, body["model"], body["folder"], body["metrics"]) == (resources.ACTIVE, "n", "new", {"coverage": 0.5})


def test_an_update_that_fails_leaves_what_serves(trainings: Trainings) -> None:
    with trainings.database.write() as tx:
        queue.submit(tx, trainings.version, 7.0, update=True)
    trainings.end(InvalidInput("Not now."))
    found, body = trainings.found(trainings.version)
    assert (found.status, body["model"], body["updateFailure"]) == (resources.ACTIVE, "m", "Not now.")
    assert "failureReason" not in body
    with trainings.database.read() as snapshot:
        assert queue.updating(snapshot, found.arn) is None


def test_a_recommender_serves_what_was_trained_last(trainings: Trainings) -> None:
    first = trainings.train()
    trainings.end({"model": "m", "folder": "one", "metrics": {}})
    found, _ = trainings.found(trainings.recommender)
    assert (found.status, found.uses) == (resources.ACTIVE, first.arn)
    # A training that fails changes nothing; the next good one takes the place of all before it.
    trainings.train()
    trainings.end(InvalidInput("Too few."))
    found, body = trainings.found(trainings.recommender)
    assert (found.status, found.uses, "failureReason" in body) == (resources.ACTIVE, first.arn, False)
    third = trainings.train()
    trainings.end({"model": "m", "folder": "three", "metrics": {}})
    found, _ = trainings.found(trainings.recommender)
    assert found.uses == third.arn
    with trainings.database.read() as snapshot:
        assert [one.arn for one in store.children(snapshot, found.arn, "recommender-version")] == [third.arn]


def test_a_recommender_fails_with_its_first_training(trainings: Trainings) -> None:
    trainings.train()
    trainings.end(InvalidInput("Too few."))
    found, body = trainings.found(trainings.recommender)
    assert (found.status, found.uses, body["failureReason"]) == (resources.FAILED, None, "Too few.")


def test_the_upkeep_asks_for_what_is_due_and_sweeps_only_what_no_row_names(trainings: Trainings) -> None:
    clock = HandClock()
    upkeep = jobs.Upkeep(trainings.database.read, trainings.database.write, clock, trainings.folder)
    models = trainings.folder / "personalize" / "models"
    for name in ("old", "nobody"):
        (models / name).mkdir(parents=True)
    upkeep.step(NOTHING)
    assert sorted(one.name for one in models.iterdir()) == ["nobody", "old"]
    clock.time += 61.0
    upkeep.step(NOTHING)
    assert [one.name for one in models.iterdir()] == ["old"]
