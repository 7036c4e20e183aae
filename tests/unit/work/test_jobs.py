"""Jobs: begun in order, resumed at their checkpoint, stopped when asked, failed with a reason, never lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.store.sql import Sql, Tx
from opentrail.work import jobs
from opentrail.work.executor import WorkerDied
from opentrail.work.jobs import Job, Jobs, Run
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import HandClock

NOTE = Sql("INSERT INTO tag (arn, tag_key, tag_value) VALUES (:arn, :key, :value)")
NOTES = Sql("SELECT arn, tag_key, tag_value FROM tag ORDER BY arn, tag_key")


class Counting:
    """Counts from its checkpoint to `last`, notes every number; fails at a number as often as it is told to."""

    def __init__(self, last: int = 3) -> None:
        self.last = last
        self.faults: dict[int, list[Exception]] = {}
        self.closed = 0

    def work(self, run: Run) -> Iterator[None]:
        try:
            start = int(run.job.checkpoint or b"0")
            for number in range(start + 1, self.last + 1):
                (run.scratch / str(number)).touch()
                if self.faults.get(number):
                    raise self.faults[number].pop()
                with run.write() as tx:
                    tx.run(NOTE, arn=run.job.id, key=str(number), value="counted")
                    run.keep(tx, b"%d" % number)
                yield
            with run.write() as tx:
                tx.run(NOTE, arn=run.job.id, key="end", value="done")
                run.end(tx)
        finally:
            self.closed += 1

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        tx.run(NOTE, arn=run.job.id, key="end", value=reason.for_caller())

    def stopped(self, tx: Tx, run: Run) -> None:
        tx.run(NOTE, arn=run.job.id, key="end", value="stopped")


class Place:
    """A main database with a task, which can be made anew as after a crash."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder, self.kind = database, folder, Counting()
        self.restart()

    def restart(self) -> None:
        nothing: Any = None
        self.clock = HandClock()
        self.task = Jobs("s", {"count": self.kind}, self.database.read, self.database.write, nothing, nothing, self.clock, self.folder)

    def submit(self, id: str, created: float = 1.0, kind: str = "count") -> None:
        with self.database.write() as tx:
            jobs.submit(tx, "s", kind, id, created)

    def step(self, times: int = 1) -> None:
        nothing: Any = None
        for _ in range(times):
            self.task.step(nothing)

    def notes(self, id: str) -> list[tuple[str, str]]:
        with self.database.read() as view:
            return [(str(key), str(value)) for arn, key, value in view.all(NOTES) if arn == id]

    def job(self, id: str) -> Job | None:
        with self.database.read() as view:
            return jobs.under_way(view, id)

    def folders(self) -> list[str]:
        return [file.name for file in (self.folder / "s").iterdir()] if (self.folder / "s").exists() else []


@pytest.fixture
def place(main_database: Database, tmp_path: Path) -> Place:
    return Place(main_database, tmp_path / "jobs")


COUNTED = [("1", "counted"), ("2", "counted"), ("3", "counted")]


def test_a_job_is_done_in_pieces_and_leaves_nothing_but_its_result(place: Place) -> None:
    place.submit("a")
    place.step(2)
    assert place.notes("a") == COUNTED[:2]
    place.step(2)
    assert place.notes("a") == [*COUNTED, ("end", "done")]
    place.step()
    assert place.job("a") is None
    assert place.folders() == []


def test_a_new_process_goes_on_at_the_checkpoint(place: Place) -> None:
    place.submit("a")
    place.step(2)
    place.restart()
    place.step(2)
    assert place.notes("a") == [*COUNTED, ("end", "done")]


def test_two_are_worked_on_side_by_side_the_third_waits(place: Place) -> None:
    for number, id in enumerate("abc"):
        place.submit(id, float(number))
    place.step()
    assert [bool(place.notes(id)) for id in "abc"] == [True, True, False]
    place.step(10)
    assert place.notes("c")[-1] == ("end", "done")


def test_a_stop_closes_the_work_and_writes_the_end(place: Place) -> None:
    place.submit("a")
    place.step()
    with place.database.write() as tx:
        assert jobs.stop(tx, "a")
    place.step()
    assert place.kind.closed == 1
    assert place.notes("a") == [*COUNTED[:1], ("end", "stopped")]
    assert place.job("a") is None
    with place.database.write() as tx:
        assert not jobs.stop(tx, "a")


def test_a_forgotten_job_is_dropped_with_its_files(place: Place) -> None:
    place.submit("a")
    place.step()
    assert place.folders()
    with place.database.write() as tx:
        jobs.forget(tx, "a")
    place.step()
    assert (place.kind.closed, place.folders()) == (1, [])


def test_a_refusal_is_the_jobs_failure(place: Place) -> None:
    place.kind.faults[2] = [ServiceError("Bad", "Line 2 is bad.")]
    place.submit("a")
    place.step(2)
    assert place.notes("a") == [*COUNTED[:1], ("end", "Line 2 is bad.")]
    assert place.job("a") is None


@pytest.mark.parametrize("error", [Unavailable("closed"), ServiceError("Internal", "S3 is down.", status=500)])
def test_an_outage_is_tried_again_without_counting(place: Place, error: ServiceError) -> None:
    place.kind.faults[2] = [error] * 5
    place.submit("a")
    place.step()
    for tried in range(5):
        place.step(3)
        assert len(place.kind.faults[2]) == 4 - tried, "once, and then it waits"
        place.clock.time += 60.0
    place.step(3)
    assert place.notes("a") == [*COUNTED, ("end", "done")]


def test_a_job_that_fails_waits_alone(place: Place) -> None:
    for number, id in enumerate("abcd"):
        place.submit(id, float(number))
    place.step()
    place.kind.faults[2] = [Unavailable("closed")]  # of the first that goes on, a
    place.step(20)
    assert [place.notes(id)[-1] for id in "bcd"] == [("end", "done")] * 3
    assert place.notes("a") == COUNTED[:1]
    place.clock.time += 0.5
    place.step(3)
    assert place.notes("a") == [*COUNTED, ("end", "done")]


def test_a_job_that_waits_can_be_stopped(place: Place) -> None:
    place.kind.faults[1] = [Unavailable("closed")]
    place.submit("a")
    place.step()
    with place.database.write() as tx:
        assert jobs.stop(tx, "a")
    place.step()
    assert place.notes("a") == [("end", "stopped")]


@pytest.mark.parametrize("error", [WorkerDied("the process ended"), KeyError("secret")])
def test_a_fault_is_tried_three_times_and_then_the_end(place: Place, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    place.kind.faults[2] = [error] * 9
    place.submit("a")
    place.step()
    for _ in range(jobs.MOST_CRASHES):
        place.step()
        place.clock.time += 60.0
    place.step()
    assert place.notes("a") == [*COUNTED[:1], ("end", jobs.INTERNAL)]
    assert "secret" not in caplog.text


def test_folders_of_jobs_that_are_gone_are_swept_at_the_start(place: Place) -> None:
    (place.folder / "s" / "left").mkdir(parents=True)
    place.submit("a")
    place.step()
    assert "left" not in place.folders()
    assert len(place.folders()) == 1


def test_waiting_jobs_are_counted_by_kind(place: Place) -> None:
    place.submit("a")
    place.submit("b", kind="other")
    with place.database.read() as view:
        assert jobs.waiting(view, "s", "count") == 1
