"""Where computing happens that would hold up others: functions of a module's top level, in worker processes.

This is the seam behind which a cluster may stand: a function is named by its module, takes one part and returns one result,
both of which can be pickled, and may run more than once for the same part. Nothing else is known of where it runs.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from opentrail.kernel import memory
from opentrail.kernel.errors import Unavailable

A = TypeVar("A")
B = TypeVar("B")

_BEHIND = 10
"""How much nicer the workers of jobs are than who asks: what they compute fills the time that calls and writing leave."""

_PATIENCE = 60.0
"""Seconds that a call waits for its computation."""


class WorkerDied(Exception):
    """The process ended before the result was there: killed for memory, say, or stopped."""


class Running(Generic[B]):
    """A part that waits for a worker or is worked on."""

    def __init__(self, future: Future[bytes], task: _Task) -> None:
        self._future, self._task = future, task

    def done(self) -> bool:
        """Whether `result` would not wait."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> B:
        """The result. Raises what the function raised, WorkerDied, and TimeoutError after `timeout` seconds."""
        try:
            answer = self._future.result(timeout)
        except CancelledError:
            raise WorkerDied("stopped") from None
        good, value = pickle.loads(answer)  # noqa: S301 - of a process of ours; here, so that a large one keeps nobody else waiting
        if good:
            return value  # type: ignore[no-any-return]
        raise value

    def stop(self) -> None:
        """Ends the work, with its process; harmless when it is done."""
        if not self._future.cancel():
            self._task.stop()


class Executor(Protocol):
    """Runs functions of a module's top level elsewhere. Thread safe."""

    def start(self, function: Callable[[A], B], part: A, /) -> Running[B]:
        """Queues one part."""

    def map(self, function: Callable[[A], B], parts: Iterable[A], /) -> Iterator[B]:
        """The results in the order of the parts, which are drawn as they are needed: few are in memory at once. What the function raises
        is raised in its place, WorkerDied too, and ends the rest, as closing the iterator does."""


class ProcessExecutor:
    """Executor on this machine: at most `workers` processes, each made when it is first needed and kept. `behind`: they work for jobs,
    for which no caller waits."""

    def __init__(self, workers: int, behind: bool = True) -> None:
        self._workers = workers
        self._nicer = _BEHIND if behind else 0
        self._slots = threading.local()
        self._guard = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._processes: set[_Worker] = set()

    def start(self, function: Callable[[A], B], part: A, /) -> Running[B]:
        """See Executor."""
        with self._guard:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, "executor")
            task = _Task()
            return Running(self._threads.submit(self._carry_out, task, function, part), task)

    def map(self, function: Callable[[A], B], parts: Iterable[A], /) -> Iterator[B]:
        """See Executor."""
        under_way: deque[Running[B]] = deque()
        source = iter(parts)
        try:
            for part in source:
                under_way.append(self.start(function, part))
                if len(under_way) > 2 * self._workers:  # one more each waits, so that none does while the results are used
                    yield under_way[0].result()
                    under_way.popleft()
            while under_way:
                yield under_way[0].result()
                under_way.popleft()
        finally:
            for running in under_way:
                running.stop()

    def run(self, function: Callable[..., B], /, *arguments: Any) -> B:
        """One result at once; see calls.tools.Engines."""
        running = self.start(_spread, (function, arguments))
        try:
            return running.result(_PATIENCE)
        except WorkerDied as error:
            raise Unavailable("The computation ended unexpectedly. Try again.") from error
        except TooLong as error:
            running.stop()
            raise Unavailable("The computation took too long.") from error

    def stop(self) -> None:
        """Ends the workers with what they do."""
        with self._guard:
            threads, self._threads = self._threads, None
            processes = list(self._processes)
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        for worker in processes:
            worker.kill()

    def _carry_out(self, task: _Task, function: Callable[[A], B], part: A) -> bytes:
        """In a thread of the pool: the thread's own process does it. Gives the answer as it came; see `_serve`."""
        worker: _Worker | None = getattr(self._slots, "worker", None)
        if worker is None or not worker.alive:
            worker = self._slots.worker = _Worker(self._nicer)
            with self._guard:
                self._processes.add(worker)
        if not task.given_to(worker):
            raise WorkerDied("stopped")
        try:
            return worker.ask(function, part)
        finally:
            task.given_to(None)
            if not worker.alive:
                with self._guard:
                    self._processes.discard(worker)


class _Task:
    """Which worker has a part, so that it can be stopped."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._worker: _Worker | None = None
        self._stopped = False

    def given_to(self, worker: _Worker | None) -> bool:
        """Notes the worker, or that it is done. False when the part was stopped before."""
        with self._guard:
            self._worker = worker
            return not self._stopped

    def stop(self) -> None:
        with self._guard:
            self._stopped = True
            if self._worker is not None:
                self._worker.kill()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, nicer: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, nicer), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive() and not self._pipe.closed

    def ask(self, function: Callable[[A], B], part: A) -> bytes:
        try:
            self._pipe.send((function, part))
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self.kill()
            self._process.join()
            self._pipe.close()
            raise WorkerDied("the process ended") from error

    def kill(self) -> None:
        self._process.kill()


def _spread(call: tuple[Callable[..., B], tuple[Any, ...]]) -> B:
    function, arguments = call
    return function(*arguments)


def _serve(pipe: Connection, nicer: int) -> None:
    """The worker's loop: each answer is whether the function returned, and what it returned or raised. It ends with its parent:
    even one killed in the midst of a long computation leaves none behind."""
    memory.settle()
    os.nice(nicer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, part = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = True, function(part)
        except Exception as error:  # carried to who asked, who raises it
            answer = False, error
        try:
            pipe.send(answer)
        except (TypeError, AttributeError, pickle.PicklingError):
            pipe.send((False, WorkerDied(f"what {function.__name__} gave cannot be sent: {type(answer[1]).__name__}")))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os._exit(1)
