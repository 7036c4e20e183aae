"""The task that makes what takes time: what becomes of crashes, refusals, stops and errors of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import Principal
from opentrail.services.personalize import jobs, resources, store
from opentrail.services.personalize.jobs import Jobs
from opentrail.services.personalize.store import Resource
from opentrail.work.lease import Lease
from tests.conftest import Database, MakeDatabase
from tests.unit.services.cloudtrail.deliveries import HandClock

ROWS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n},i{n},{n}\n" for n in range(100))
SCHEMA = "the text of a schema"
PREFIX = "arn:aws:personalize:us-east-1:123456789012:"
JOB = f"{PREFIX}dataset-import-job/first"


class Bucket:
    """Answers as S3 does, or fails."""

    def __init__(self, failure: ServiceError | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, str]] = []

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        self.asked.append((principal.service, operation))
        if self.failure is not None:
            raise self.failure
        data = ROWS.encode()
        if operation == "ListObjectsV2":
            return {"Contents": [{"Key": "in/a.csv", "Size": len(data)}, {"Key": "inside.csv", "Size": 1}]}
        first, last = input["Range"].removeprefix("bytes=").split("-")
        return {"Body": data[int(first) : int(last) + 1]}


class Process:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.status: int | None = None

    def poll(self) -> int | None:
        return self.status

    def kill(self) -> None:
        self.status = -9

    def wait(self) -> int:
        return self.status or 0


class World:
    """A group with one dataset and one import job that waits."""

    def __init__(self, database: Database, lease: Lease, folder: Path, bucket: Bucket) -> None:
        self.database, self.lease, self.folder, self.bucket = database, lease, folder, bucket
        self.process = Process()
        self.jobs = Jobs(database.read, database.write, bucket, HandClock(), folder, self.start)
        self.scratch = folder / "personalize" / "scratch"
        body = msgspec.json.encode({"dataSource": {"dataLocation": "s3://data/in"}, "roleArn": "r", "importMode": "FULL"}).decode()
        with database.write() as tx:
            self.add(tx, "schema/s", SCHEMA)
            self.add(tx, "dataset/g/INTERACTIONS", "{}", uses=f"{PREFIX}schema/s")
            self.add(tx, "dataset-import-job/first", body, parent=f"{PREFIX}dataset/g/INTERACTIONS", status=resources.PENDING)
            store.add_job(tx, JOB, 1.0)

    def add(self, tx: Any, path: str, body: str, status: str = "ACTIVE", **more: str) -> None:
        kind = path.partition("/")[0]
        store.insert(
            tx, Resource(PREFIX + path, kind, "123456789012", "us-east-1", path.rpartition("/")[2], None, status, 1.0, 1.0, body, **more)
        )

    def start(self, scratch: Path) -> Process:
        self.process = Process()
        return self.process

    def step(self) -> bool:
        return self.jobs.step(self.lease)

    def end(self, result: dict[str, Any] | None) -> None:
        """The process ends, with a result or without one."""
        if result is not None:
            (self.scratch / "result.json").write_bytes(msgspec.json.encode(result))
        self.process.status = 0
        assert self.step()

    def status(self) -> tuple[str, str, bool]:
        """The job's status and reason, and whether it waits or runs."""
        with self.database.read() as snapshot:
            found = store.one(snapshot, JOB)
            assert found is not None
            return found.status, msgspec.json.decode(found.body).get("failureReason", ""), store.job(snapshot, JOB) is not None

    def segments(self) -> list[str]:
        with self.database.read() as snapshot:
            found = store.one(snapshot, f"{PREFIX}dataset/g/INTERACTIONS")
            assert found is not None
            names: list[str] = msgspec.json.decode(found.body).get("segments", [])
            return names


@pytest.fixture
def failure() -> ServiceError | None:
    return None


@pytest.fixture
def bucket(failure: ServiceError | None) -> Bucket:
    return Bucket(failure)


@pytest.fixture
def world(main_database: Database, make_database: MakeDatabase, tmp_path: Path, bucket: Bucket) -> World:
    lease = Lease(make_database("history"), "personalize jobs", "work", HandClock())
    assert lease.acquire()
    return World(main_database, lease, tmp_path / "data", bucket)


def test_a_job_is_done_once(world: World) -> None:
    assert world.step()
    assert world.status() == (resources.IN_PROGRESS, "", True)
    task = msgspec.json.decode((world.scratch / "task.json").read_bytes())
    assert [(key, Path(file).read_text()) for key, file in task["files"]] == [("in/a.csv", ROWS)]
    assert set(world.bucket.asked) == {("personalize.amazonaws.com", "ListObjectsV2"), ("personalize.amazonaws.com", "GetObject")}
    assert not world.step()
    world.end({"rows": 1_500})
    assert world.status() == (resources.ACTIVE, "", False)
    assert len(world.segments()) == 1
    assert not world.step()


def test_a_refusal_is_the_reason(world: World) -> None:
    world.step()
    world.end({"failure": "Input CSV is missing the following columns:[X]."})
    assert world.status() == (resources.FAILED, "Input CSV is missing the following columns:[X].", False)
    assert world.segments() == []


def test_crashes_are_tried_again_and_counted(world: World) -> None:
    for _ in range(jobs.MOST_CRASHES):
        assert world.status()[2]
        world.step()
        world.end(None)
    world.step()
    status, reason, waits = world.status()
    assert (status, waits) == (resources.FAILED, False)
    assert reason.startswith("An internal error")


def test_a_stop_ends_the_process(world: World) -> None:
    world.step()
    with world.database.write() as tx:
        store.stop_job(tx, JOB)
    assert world.step()
    assert world.process.status == -9
    assert world.status() == (resources.STOPPED, "", False)


@pytest.mark.parametrize("failure", [ServiceError("AccessDenied", "no", status=403), ServiceError("NoSuchBucket", "no", status=404)])
def test_what_s3_refuses_fails_the_job(world: World) -> None:
    world.step()
    status, reason, waits = world.status()
    assert (status, waits) == (resources.FAILED, False)
    assert "bucket data" in reason


@pytest.mark.parametrize("failure", [Unavailable("away"), ServiceError("InternalError", "no", status=500)])
def test_errors_of_the_moment_are_tried_again(world: World) -> None:
    with pytest.raises(ServiceError):
        world.step()
    assert world.status() == (resources.IN_PROGRESS, "", True)
    world.bucket.failure = None
    world.step()
    world.end({"rows": 1})
    assert world.status()[0] == resources.ACTIVE
