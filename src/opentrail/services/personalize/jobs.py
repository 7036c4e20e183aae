"""The task of the work role that makes what takes time: one job after the other, each in a process of its own.

A job is a row of the main database until its end, which is written in one transaction with what came of it. When this process
dies, the next one begins the job again; the files of a job that is not done are named by no row.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from opentrail.calls.tools import Calls, Snapshots
from opentrail.kernel.ambient import Clock
from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.services.personalize import (
    import_jobs,
    importing,
    recommenders,
    resources,
    schedules,
    solution_versions,
    store,
    training,
)
from opentrail.services.personalize.folders import Folders
from opentrail.services.personalize.store import Job, Resource
from opentrail.store.sql import Tx
from opentrail.work.lease import Lease, LeaseLost

MOST_CRASHES = 3
"""Processes of a job that may end without a result (killed for memory, say) before the job fails."""
ENDED = "An internal error ended the job. Please try again."

_EVERY = 0.25
_PLAN = 5.0
"""Seconds between two looks at what is due by schedule."""
_SWEEP = 60.0

Write = Callable[[], AbstractContextManager[Tx]]


class Work(NamedTuple):
    """How a kind of resource is made: the task for the process, what its result or its failure changes beside the resource itself,
    and what is delivered before that."""

    task: Callable[[Snapshots, Resource, Job, importing.Fetch, Folders, Path], dict[str, Any]]
    done: Callable[[Tx, Resource, Mapping[str, Any], Job, float], dict[str, Any]]
    failed: Callable[[Tx, Resource, Job, str, float], None] = lambda tx, made, job, reason, now: None


TRAINING = Work(training.task, training.done, training.failed)
WORK = {
    import_jobs.KIND: Work(importing.task, importing.done),
    solution_versions.KIND: TRAINING,
    recommenders.VERSION: TRAINING,
}


class Process(Protocol):
    """A running process, as `subprocess.Popen` is one."""

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


def start(folder: Path) -> Process:
    """Starts the process that does the task of a folder. It ends with this one."""
    command = [sys.executable, "-m", "opentrail.services.personalize.child", str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


class Jobs:
    """The task. `write` borrows the turn to write the main database."""

    name = "personalize jobs"
    every = _EVERY

    def __init__(
        self, read: Snapshots, write: Write, calls: Calls, clock: Clock, data: Path, start: Callable[[Path], Process] = start
    ) -> None:
        self._read, self._write, self._calls, self._clock, self._start = read, write, calls, clock, start
        self._folders = Folders(data)
        self._running: tuple[str, Process] | None = None
        self._plan_at = self._sweep_at = 0.0

    def step(self, lease: Lease) -> bool:
        """Begins the next job, or looks how the running one is doing."""
        self._plan()
        if self._running is not None:
            return self._look(*self._running)
        with self._read() as snapshot:
            job = store.next_job(snapshot)
            made = store.one(snapshot, job.arn) if job is not None else None
        if job is None:
            self._sweep()
            return False
        if made is None or job.stopping:
            self._end(job.arn, {}, resources.STOPPED)
        elif job.crashes >= MOST_CRASHES:
            self._end(job.arn, {"failure": ENDED})
        else:
            self._begin(job.arn, lease)
        return True

    def _plan(self) -> None:
        """Asks for the trainings and updates that are due."""
        if self._clock.monotonic() < self._plan_at:
            return
        self._plan_at = self._clock.monotonic() + _PLAN
        with self._read() as snapshot:
            found = schedules.due(snapshot, self._clock.now())
        if found:
            with self._write() as tx:
                schedules.plan(tx, self._clock.now())

    def _begin(self, arn: str, lease: Lease) -> None:
        now = self._clock.now()
        with self._write() as tx:
            made, job = store.one(tx, arn), store.job(tx, arn)
            if made is None or job is None or job.stopping:
                return
            if job.work == store.MAKE:
                store.update(tx, made._replace(status=resources.IN_PROGRESS, updated=now))
        scratch = self._folders.fresh_scratch()

        def beat() -> None:
            if not lease.acquire():
                raise LeaseLost(self.name)

        try:
            fetch = importing.Fetch(self._calls, made, beat)
            task = WORK[made.kind].task(self._read, made, job, fetch, self._folders, scratch)
        except Unavailable:
            raise
        except ServiceError as error:
            if error.status >= 500:
                raise
            self._end(made.arn, {"failure": error.for_caller()})
            return
        (scratch / "task.json").write_bytes(msgspec.json.encode(task))
        self._running = made.arn, self._start(scratch)

    def _look(self, arn: str, process: Process) -> bool:
        ended = process.poll() is not None
        with self._read() as snapshot:
            job = store.job(snapshot, arn)
        if job is None or job.stopping:
            process.kill()
            process.wait()
            self._running = None
            self._end(arn, {}, resources.STOPPED)
            return True
        if not ended:
            return False
        self._running = None
        result = self._folders.scratch / "result.json"
        if result.exists():
            self._end(arn, msgspec.json.decode(result.read_bytes()))
        else:
            with self._write() as tx:
                store.crashed(tx, arn)
        return True

    def _end(self, arn: str, result: Mapping[str, Any], status: str = "") -> None:
        with self._write() as tx:
            made, job = store.one(tx, arn), store.job(tx, arn)
            store.end_job(tx, arn)
            if made is not None and job is not None:
                settle(tx, made, job, result, status, self._clock.now())

    def _sweep(self) -> None:
        if self._clock.monotonic() < self._sweep_at:
            return
        self._sweep_at = self._clock.monotonic() + _SWEEP
        with self._read() as snapshot:
            segments, models = importing.segments(snapshot), training.models(snapshot)
        self._folders.sweep(segments, models)


def settle(tx: Tx, made: Resource, job: Job, result: Mapping[str, Any], status: str, now: float) -> None:
    """Writes what came of a job: a status that is given, or that of the result. An update that fails leaves its resource as it was."""
    body, works = msgspec.json.decode(made.body), WORK[made.kind]
    if "failure" in result:
        works.failed(tx, made, job, result["failure"], now)
        body |= {"failureReason": result["failure"]} if job.work == store.MAKE else {"updateFailure": result["failure"], "modelled": now}
    elif not status:
        body |= works.done(tx, made, result, job, now)
    if job.work == store.UPDATE:
        status = made.status
    status = status or (resources.FAILED if "failure" in result else resources.ACTIVE)
    store.update(tx, made._replace(status=status, updated=now, body=msgspec.json.encode(body).decode()))
