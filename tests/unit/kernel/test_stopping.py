"""Being asked to end, in a process of its own: before, during and after the wait."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, threading, time
from opentrail.kernel.stopping import Stopping
stopping = Stopping()
print(stopping.wait(), flush=True)
kill = lambda: os.kill(os.getpid(), {number})
if {early}:
    kill()
else:
    threading.Timer(0.2, kill).start()
began = time.monotonic()
print(stopping.wait(60), time.monotonic() - began < 30, stopping.wait(60), stopping.wait())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("early", [True, False])
def test_a_signal_ends_every_wait(number: int, early: bool) -> None:
    program = PROGRAM.format(number=int(number), early=early)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True", "True"]
