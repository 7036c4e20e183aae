"""Runs tasks, one thread each: takes leases, repeats failed steps with growing waits, stops cleanly, says what is wrong.

This is one of the two places with a broad `except`: a task that fails in a way nobody thought of waits and tries again,
and is seen in health, instead of ending its thread in silence. Of an unknown error only its kind is logged: its text could
carry content.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from opentrail.kernel.ambient import Clock
from opentrail.kernel.errors import ServiceError
from opentrail.store.database import Again, Broken, Database, Full, Slow
from opentrail.work.backoff import Backoff, Chance
from opentrail.work.lease import LENGTH, Lease, LeaseLost

log = logging.getLogger("opentrail.work")

DATABASE_ERRORS = (Broken, Full, Again, Slow, LeaseLost)
"""What concerns the whole task, not one item of its work."""


class Task(Protocol):
    """Lasting work in small steps."""

    name: str
    every: float
    """Seconds between two steps when the last one left nothing to do."""

    def step(self, lease: Lease) -> bool:
        """Does a bounded piece of work. True when more may wait. Whatever it raises is retried."""


class Health(NamedTuple):
    """How a task is doing. `failures` counts failed steps since the last good one, `reason` says why the last one failed."""

    name: str
    failures: int
    reason: str
    ended: bool


def described(error: Exception) -> str:
    """The error in words that carry no content."""
    if isinstance(error, ServiceError):
        return f"{error.code}: {error.for_record()}"
    if isinstance(error, DATABASE_ERRORS):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def attempt(work: Callable[[], None]) -> Exception | None:
    """Does one item of work among others, which its failure must not stop; returns the failure.

    Errors of the database and a lost lease concern all of them and are raised.
    """
    try:
        work()
    except DATABASE_ERRORS:
        raise
    except Exception as error:
        return error
    return None


class Worker:
    """One task with its lease, driven by `once`; a thread of the runner calls it again and again."""

    def __init__(self, task: Task, database: Database, holder: str, clock: Clock, chance: Chance) -> None:
        self.task = task
        self.lease = Lease(database, task.name, holder, clock)
        self._backoff = Backoff(chance)
        self._durable = database.dialect != "sqlite"
        self.reason = ""
        self.ended = False

    def once(self) -> float:
        """One step. The seconds to wait before the next one; infinite when the task has ended until restart."""
        try:
            if not self.lease.acquire():
                return LENGTH / 3
            more = self.task.step(self.lease)
        except LeaseLost:
            log.warning("%s: another worker has taken over", self.task.name)
            return LENGTH / 3
        except Exception as error:
            return self._failed(error)
        self._backoff.reset()
        self.reason = ""
        return 0.0 if more else self.task.every

    def _failed(self, error: Exception) -> float:
        self.reason = described(error)
        if self.lease.broken and not self._durable:
            # After a failed fsync the file may lack what the next commit would report as written.
            self.ended = True
            log.error("%s: ended until restart: %s", self.task.name, self.reason)
            return float("inf")
        wait = self._backoff.next()
        log.warning("%s: failed %d times, again in %.1f s: %s", self.task.name, self._backoff.failures, wait, self.reason)
        return wait

    @property
    def health(self) -> Health:
        """How the task is doing."""
        return Health(self.task.name, self._backoff.failures, self.reason, self.ended)


class Runner:
    """The threads of a process. `start` once, `stop` once."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._workers = tuple(workers)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(worker,), name=worker.task.name, daemon=True) for worker in self._workers]

    def start(self) -> None:
        """Starts every task."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """Lets every task end its present step, gives the leases back. False when one did not end in time."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def health(self) -> list[Health]:
        """Every task."""
        return [worker.health for worker in self._workers]

    def _run(self, worker: Worker) -> None:
        wait = 0.0
        while not self._stopping.wait(min(wait, threading.TIMEOUT_MAX)):
            wait = worker.once()
        if not worker.ended:
            failure = attempt_release(worker.lease)
            if failure:
                log.warning("%s: the lease could not be given back: %s", worker.task.name, described(failure))


def attempt_release(lease: Lease) -> Exception | None:
    """Gives a lease back; a failure is returned, because the lease expires by itself."""
    try:
        lease.release()
    except DATABASE_ERRORS as error:
        return error
    return None
