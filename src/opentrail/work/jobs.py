"""Jobs: what takes longer than a call, made durable by the call that starts it and done by the work role.

    StartX -> apply: the service's own row and `submit`, in one transaction
    work role -> Jobs.step: the kind's `work`, in bounded pieces -> its last transaction: result, own row, `end`

A job stays until its end is committed with what came of it. When the process dies, the next one begins the job again, at the
checkpoint that its kind wrote. What a job keeps in its scratch folder is removed with it.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from opentrail.calls.tools import Calls, Snapshots
from opentrail.kernel.ambient import Clock
from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.store.database import LaneTx
from opentrail.store.sql import Snapshot, Sql, Tx
from opentrail.work.backoff import Backoff
from opentrail.work.executor import Executor, Running, WorkerDied
from opentrail.work.lease import Lease, LeaseLost
from opentrail.work.runner import attempt, described

log = logging.getLogger("opentrail.work")

MOST_CRASHES = 3
"""How often a job may end without a result (its process was killed, or a fault of ours) before it fails."""

AT_ONCE = 2
"""Jobs of one service that are worked on side by side; the others wait in the order in which they came."""

INTERNAL = "An internal error ended the job. Please try again."

_COLUMNS = "id, service, kind, created, crashes, stopping, checkpoint"
_ADD = Sql(
    "INSERT INTO job (id, service, kind, created, crashes, stopping, checkpoint) VALUES (:id, :service, :kind, :created, 0, 0, :checkpoint)"
)
_ONE = Sql(f"SELECT {_COLUMNS} FROM job WHERE id = :id")
_NEXT = Sql(f"SELECT {_COLUMNS} FROM job WHERE service = :service ORDER BY created, id LIMIT :most")
_COUNT = Sql("SELECT count(*) FROM job WHERE service = :service AND kind = :kind")
_STOP = Sql("UPDATE job SET stopping = 1 WHERE id = :id")
_CRASHED = Sql("UPDATE job SET crashes = crashes + 1 WHERE id = :id")
_CHECKPOINT = Sql("UPDATE job SET checkpoint = :checkpoint WHERE id = :id AND checkpoint = :before")
_END = Sql("DELETE FROM job WHERE id = :id")

_LOOK = 0.25
"""Seconds that a job waits for its computation before others have their turn."""

T = TypeVar("T")


class Write(Protocol):
    """Lends the turn to write the main database; see store.turns.Turns.write."""

    def __call__(self, durable: bool = True) -> AbstractContextManager[LaneTx]: ...


class Job(NamedTuple):
    """A job's row; see tables.job."""

    id: str
    service: str
    kind: str
    created: float
    crashes: int
    stopping: bool
    checkpoint: bytes


def submit(tx: Tx, service: str, kind: str, id: str, created: float, checkpoint: bytes = b"") -> None:
    """Queues a job. `id` is unique in the installation: the ARN of what the job makes, or one made of ARN and job id."""
    tx.run(_ADD, id=id, service=service, kind=kind, created=created, checkpoint=checkpoint)


def stop(tx: Tx, id: str) -> bool:
    """Asks for a job's end. False when it is not under way."""
    return tx.run(_STOP, id=id) == 1


def forget(tx: Tx, id: str) -> None:
    """Ends a job without a trace: its resource is deleted in the same transaction."""
    tx.run(_END, id=id)


def under_way(snapshot: Snapshot, id: str) -> Job | None:
    """A job that has not ended."""
    row = snapshot.one(_ONE, id=id)
    return None if row is None else _job(row)


def waiting(snapshot: Snapshot, service: str, kind: str) -> int:
    """How many jobs of a kind have not ended."""
    row = snapshot.one(_COUNT, service=service, kind=kind)
    return 0 if row is None else int(row[0])


def _job(row: tuple[object, ...]) -> Job:
    id, service, kind, created, crashes, stopping, checkpoint = row
    return Job(str(id), str(service), str(kind), float(str(created)), int(str(crashes)), bool(stopping), bytes(checkpoint))  # type: ignore[call-overload]


class Run:
    """One job at work, and what its kind may use. `write` borrows the turn to write the main database: keep each within
    the seconds of its `lasts`. `keep` and `end` belong inside it, `keep` at most once."""

    def __init__(self, job: Job, read: Snapshots, write: Write, calls: Calls, executor: Executor, clock: Clock, scratch: Path) -> None:
        self.job = job
        self.read, self._write = read, write
        self._kept = job.checkpoint
        self.calls, self.executor, self.clock = calls, executor, clock
        self.scratch = scratch
        """A folder of this job's own, there when the work begins; what is in it survives a crash of the process."""

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[LaneTx]:
        """The turn to write the main database; see store.turns.Turns.write for what need not be `durable` at once."""
        self._kept = self.job.checkpoint
        with self._write(durable) as tx:
            yield tx
        self.job = self.job._replace(checkpoint=self._kept)

    def keep(self, tx: Tx, checkpoint: bytes) -> None:
        """Writes the point from which the work goes on after a crash, in the transaction of what was done up to there. Raises
        LeaseLost when it is no longer where this run left it: another process has taken the job over, or it was forgotten."""
        if tx.run(_CHECKPOINT, id=self.job.id, checkpoint=checkpoint, before=self.job.checkpoint) != 1:
            raise LeaseLost(self.job.id)
        self._kept = checkpoint

    def wait(self, running: Running[T]) -> Generator[None, None, T]:
        """The result of what was started, as `yield from`: other jobs go on meanwhile. Closing the generator stops it."""
        try:
            while True:
                try:
                    return running.result(_LOOK)
                except TimeoutError:
                    yield
        finally:
            running.stop()

    def end(self, tx: Tx) -> None:
        """Ends the job, in the transaction that writes its result. Raises LeaseLost when it has ended before."""
        if tx.run(_END, id=self.job.id) != 1:
            raise LeaseLost(self.job.id)


class Kind(Protocol):
    """How jobs of one kind are done. Every method gets a Run; `failed` and `stopped` write the end of the service's own row."""

    def work(self, run: Run) -> Iterator[None]:
        """Does the job from its checkpoint on, in pieces of about a second at most, with a `yield` after each; a generator that is
        closed stops what it started. Its last transaction calls `run.end`. A ServiceError below 500 is the job's failure; what is
        above, Unavailable and errors of the database are tried again, from the checkpoint."""

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """The job ends as failed, for a reason that the user may read."""

    def stopped(self, tx: Tx, run: Run) -> None:
        """The job ends because it was asked to."""


class Jobs:
    """The task of the work role that does the jobs of one service."""

    every = 0.5

    def __init__(
        self,
        service: str,
        kinds: Mapping[str, Kind],
        read: Snapshots,
        write: Write,
        calls: Calls,
        executor: Executor,
        clock: Clock,
        scratch: Path,
    ) -> None:
        self.name = f"{service} jobs"
        self._service, self._kinds, self._read, self._write = service, kinds, read, write
        self._calls, self._executor, self._clock = calls, executor, clock
        self._scratch = scratch / service
        self._at_work: dict[str, tuple[Run, Iterator[None]]] = {}
        self._resting: dict[str, tuple[Backoff, float]] = {}
        """Jobs whose last piece failed, with the time at which each is tried again."""
        self._swept = False

    def step(self, lease: Lease) -> bool:
        """One piece of every job at work. A job that rests after a failure lets others have its place."""
        with self._read() as snapshot:
            most = AT_ONCE + len(self._resting) + len(self._at_work)
            there = [_job(row) for row in snapshot.all(_NEXT, service=self._service, most=most)]
        ids = {job.id for job in there}
        for gone in self._at_work.keys() - ids:
            self._drop(gone)
        for gone in self._resting.keys() - ids:
            del self._resting[gone]
        if not self._swept:
            self._sweep(ids)
        ready = sorted((job for job in there if self._may_go_on(job)), key=lambda job: job.id not in self._at_work)[:AT_ONCE]
        for job in ready:
            self._piece(job)
        return bool(ready)

    def _may_go_on(self, job: Job) -> bool:
        _, until = self._resting.get(job.id, (None, 0.0))
        return job.stopping or until <= self._clock.monotonic()

    def _piece(self, job: Job) -> None:
        run, work = self._at_work.get(job.id) or self._begin(job)
        kind = self._kinds[job.kind]
        if job.stopping:
            self._drop(job.id)
            self._end(run, lambda tx: kind.stopped(tx, run))
            return
        if job.crashes >= MOST_CRASHES:
            self._fail(run, kind, ServiceError("InternalServerException", INTERNAL, status=500))
            return
        error = attempt(lambda: self._next(job.id, work))
        if error is None:
            self._resting.pop(job.id, None)
            return
        self._at_work.pop(job.id, None)
        if isinstance(error, ServiceError) and error.status < 500 and not isinstance(error, Unavailable):
            self._fail(run, kind, error)
            return
        if not isinstance(error, ServiceError):
            text = str(error) if isinstance(error, WorkerDied) else type(error).__name__
            log.error("%s: a %s job ended without a result: %s", self.name, job.kind, text)
            with self._write() as tx:
                tx.run(_CRASHED, id=job.id)
        self._rest(job, error)

    def _rest(self, job: Job, error: Exception) -> None:
        """Lets a job wait before it is tried again, longer each time."""
        backoff, _ = self._resting.get(job.id) or (Backoff(lambda: 1.0), 0.0)
        wait = backoff.next()
        self._resting[job.id] = backoff, self._clock.monotonic() + wait
        log.warning("%s: a %s job failed %d times, again in %.1f s: %s", self.name, job.kind, backoff.failures, wait, described(error))

    def _next(self, id: str, work: Iterator[None]) -> None:
        try:
            next(work)
        except StopIteration:
            self._drop(id)

    def _begin(self, job: Job) -> tuple[Run, Iterator[None]]:
        scratch = self._scratch / _folder(job.id)
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        run = Run(job, self._read, self._write, self._calls, self._executor, self._clock, scratch)
        self._at_work[job.id] = begun = run, self._kinds[job.kind].work(run)
        return begun

    def _fail(self, run: Run, kind: Kind, reason: ServiceError) -> None:
        self._end(run, lambda tx: kind.failed(tx, run, reason))
        self._drop(run.job.id)

    def _end(self, run: Run, write: Callable[[Tx], None]) -> None:
        with self._write() as tx:
            write(tx)
            run.end(tx)

    def _drop(self, id: str) -> None:
        """Closes what is at work of a job that is over, and removes its files."""
        held = self._at_work.pop(id, None)
        if held is not None:
            close = getattr(held[1], "close", None)
            if close is not None:
                close()
        shutil.rmtree(self._scratch / _folder(id), ignore_errors=True)

    def _sweep(self, kept: set[str]) -> None:
        """Removes, once, the folders of jobs that ended just before the process before this one did."""
        self._swept = True
        with self._read() as snapshot:
            known = {_folder(id) for id in kept} | {_folder(str(row[0])) for row in snapshot.all(_NEXT, service=self._service, most=10_000)}
        for folder in self._scratch.iterdir() if self._scratch.exists() else ():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _folder(id: str) -> str:
    """A folder name for any id."""
    return hashlib.sha256(id.encode()).hexdigest()[:32]
