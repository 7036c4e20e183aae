"""The process pool in which engines compute: pure functions of a module, called by reference, away from the event loop and the
threads that serve."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from opentrail.kernel.errors import Unavailable

T = TypeVar("T")


class ProcessEngines:
    """See calls.tools.Engines. Processes start with the first use; one that dies is replaced. Thread safe."""

    def __init__(self, workers: int, patience: float = 60.0) -> None:
        self._workers = workers
        self._patience = patience
        self._guard = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Runs `function` (of a module's top level) in a worker and waits for its result."""
        pool = self._running()
        try:
            return pool.submit(function, *arguments).result(timeout=self._patience)
        except BrokenProcessPool as error:
            self._forget(pool)
            raise Unavailable("The computation ended unexpectedly. Try again.") from error
        except TooLong as error:
            raise Unavailable("The computation took too long.") from error

    def stop(self) -> None:
        """Ends the workers."""
        with self._guard:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _running(self) -> ProcessPoolExecutor:
        with self._guard:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(self._workers, multiprocessing.get_context("spawn"))
            return self._pool

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        with self._guard:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False, cancel_futures=True)
