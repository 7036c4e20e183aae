"""What recording costs a call: a whole server, all its processes, against one with a null journal and no followers, and against one
whose pipeline makes no record either and has no lane, in turns.

Goal: at most 60 us CPU a call, all told. Of its share 25 % are asked against a null journal; of all told it is printed (decision 0030).

    python -m benchmarks.recording
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import load, servers
from benchmarks.calls import CONNECTIONS, requests
from benchmarks.servers import Peer, Server
from opentrail.kernel.memory import ALLOCATOR

ROUNDS = 15
CALLS = 12_000
SETTLE = 1.0
"""Seconds after a round in which followers take what is left; their CPU belongs to the round."""


@contextmanager
def unrecorded(peer: str) -> Iterator[Peer]:
    """A peer, in a process of its own."""
    with tempfile.TemporaryDirectory() as fresh:
        folder, port = Path(fresh) / "data", servers.free_port()
        command = [sys.executable, "-m", "benchmarks.unrecorded", peer, str(folder), str(port)]
        process = subprocess.Popen(command, env={**ALLOCATOR, **os.environ})
        try:
            for _ in range(300):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield Peer(process.pid, port, servers.profiles(folder / "credentials")["default"])
        finally:
            process.terminate()
            process.wait(timeout=60)


def cost(server: Peer | Server) -> float:
    """CPU seconds of all processes a call."""
    sent = requests(server, CALLS)
    before = load.cpu(server.pid)
    load.run(server.port, sent, CONNECTIONS, server.pid)
    time.sleep(SETTLE)
    return (load.cpu(server.pid) - before) / CALLS


def main() -> None:
    with servers.opentrail() as full, unrecorded("null") as null, unrecorded("nothing") as bare:
        for server in (full, null, bare):
            load.run(server.port, requests(server, 500), CONNECTIONS, server.pid)
        rounds = [(cost(null), cost(full), cost(bare)) for _ in range(ROUNDS)]
    # Servers one right after the other share the machine's mood; the median leaves out the rounds in which it changed.
    whole = median(one for _, one, _ in rounds) * 1e6
    journal = median(one - other for other, one, _ in rounds) * 1e6
    recording = median(one - other for _, one, other in rounds) * 1e6
    print(f"a call with all of it  {whole:6.1f} us CPU; rounds:", *(f"{(one - other) * 1e6:.0f}" for _, one, other in rounds))
    print(f"journal and followers  {journal:6.1f} us, {journal / whole:.0%} of the whole (goal 25 %)")
    print(f"record and lane, too   {recording:6.1f} us (goal 60), ratio {recording / 60:.2f}; {recording / whole:.0%} of the whole")


if __name__ == "__main__":
    load.interpreter()
    with load.stolen():
        main()
