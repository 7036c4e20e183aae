"""Being asked to end: SIGTERM and SIGINT, for the main thread of a process without an event loop."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue


class Stopping:
    """Takes both signals from now on. A handler runs while the main thread waits: an event of `threading` could then be waited for by
    the very thread that holds its lock, a simple queue cannot."""

    def __init__(self) -> None:
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: self._signals.put(number))

    def wait(self, seconds: float = 0.0) -> bool:
        """Whether one came; waits that long for it. Belongs to the main thread."""
        if not self._asked:
            try:
                self._signals.get(timeout=seconds)
            except Empty:
                return False
            self._asked = True
        return True
