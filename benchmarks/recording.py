"""What recording costs a call: a whole server, all its processes, against one whose pipeline has neither record nor journal, in turns.

Goals: at most 60 us CPU a call, at most 25 % of the whole.

    python -m benchmarks.recording
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load, servers
from benchmarks.calls import CONNECTIONS, requests
from benchmarks.servers import Peer, Server

ROUNDS = 5
CALLS = 12_000
SETTLE = 1.0
"""Seconds after a round in which followers take what is left; their CPU belongs to the round."""


@contextmanager
def unrecorded() -> Iterator[Peer]:
    """The peer, in a process of its own."""
    with tempfile.TemporaryDirectory() as fresh:
        folder, port = Path(fresh) / "data", servers.free_port()
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.unrecorded", str(folder), str(port)])
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
    with servers.opentrail() as full, unrecorded() as bare:
        for server in (full, bare):
            load.run(server.port, requests(server, 500), CONNECTIONS, server.pid)
        rounds = [(cost(full), cost(bare)) for _ in range(ROUNDS)]
    # the least disturbed round of each: what else runs on a machine only ever adds
    whole, without = (min(values) * 1e6 for values in zip(*rounds, strict=True))
    print(f"a call with the journal {whole:6.1f} us CPU, without record and journal {without:6.1f} us")
    print(f"recording {whole - without:.1f} us (goal 60), {(whole - without) / whole:.0%} of the whole (goal 25 %)")


if __name__ == "__main__":
    main()
