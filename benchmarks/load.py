"""A load generator for benchmarks: distinct signed requests, made beforehand, over kept-open connections to a local server."""

from __future__ import annotations

import json
import os
import platform
import select
import socket
import time
import timeit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True)
class Outcome:
    """What a run measured. Times in seconds; `statuses` counts answers by HTTP status."""

    calls: int
    wall: float
    server_cpu: float
    latencies: Sequence[float]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return self.calls / self.wall

    @property
    def cpu_per_call(self) -> float:
        return self.server_cpu / self.calls

    def percentile(self, share: float) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * share)]


def signed(
    credentials: Credentials, region: str, service: str, url: str, target: str, version: str, bodies: Sequence[bytes]
) -> list[bytes]:
    """Raw HTTP requests for JSON operations, each with its own signature."""
    host = url.split("//")[1]
    made = []
    for body in bodies:
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target, "user-agent": "bench"}
        request = AWSRequest("POST", url + "/", data=body, headers=headers)
        SigV4Auth(credentials, service, region).add_auth(request)
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        made.append(f"POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body)
    return made


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        found.append(one := todo.pop())
        todo += children.get(one, [])
    return found


def cpu(pid: int) -> float:
    """CPU seconds that a process tree has used."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def interpreter() -> None:
    """Says which Python this is and how fast: one that was built without optimisation by profile takes half as long again."""

    def some_work() -> str:
        found = {}
        for number in range(1_000):
            found[f"key {number % 100}"] = (number, str(number), [one + number for one in (1, 2, 3)])
        return json.dumps(found)

    best = min(timeit.repeat(some_work, number=20, repeat=40)) / 20
    print(f"Python {platform.python_version()}, which makes a dictionary of strings and tuples in {best * 1e6:.0f} us here and now")


@contextmanager
def stolen() -> Iterator[None]:
    """Says at the end what share of the CPU time the host gave to other machines meanwhile: with more than a hundredth, what needs two
    cores at once did not have them."""
    before = _ticks()
    yield
    if spent := [now - then for now, then in zip(_ticks(), before, strict=True)]:
        print(f"stolen by other machines: {spent[7] / max(sum(spent), 1):.1%} of the CPU time")


def _ticks() -> list[int]:
    """The kernel's counts of all CPUs, of which the eighth is `steal`; none where it has no such file."""
    stat = Path("/proc/stat")
    return [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]] if stat.exists() else []


def run(port: int, requests: Sequence[bytes], connections: int, pid: int) -> Outcome:
    """Sends every request once, over that many connections at a time; a closed connection is opened again.

    A plain epoll loop: the less the generator costs, the more of the machine is the server's.
    """
    todo = iter(requests)
    poll = select.epoll()
    open_sockets: dict[int, socket.socket] = {}
    started_at: dict[int, float] = {}
    buffers: dict[int, bytes] = {}
    latencies: list[float] = []
    statuses: dict[int, int] = {}

    def send(sock: socket.socket | None) -> None:
        request = next(todo, None)
        if request is None:
            if sock is not None:
                close(sock)
            return
        if sock is None:
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_sockets[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
        started_at[sock.fileno()] = time.perf_counter()
        buffers[sock.fileno()] = b""
        sock.sendall(request)

    def close(sock: socket.socket) -> None:
        poll.unregister(sock)
        del open_sockets[sock.fileno()]
        sock.close()

    before, started = cpu(pid), time.perf_counter()
    for _ in range(connections):
        send(None)
    while open_sockets:
        for number, _ in poll.poll(30):
            sock = open_sockets[number]
            piece = sock.recv(262_144)
            answer = buffers[number] = buffers[number] + piece
            head, found, body = answer.partition(b"\r\n\r\n")
            lower = head.lower()
            length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0) if found else 1
            if len(body) < length and piece:
                continue
            latencies.append(time.perf_counter() - started_at[number])
            status = int(answer[9:12] or 0)
            statuses[status] = statuses.get(status, 0) + 1
            if b"connection: close" in lower or answer.startswith(b"HTTP/1.0") or not piece:
                close(sock)
                send(None)
            else:
                send(sock)
    wall = time.perf_counter() - started
    return Outcome(len(latencies), wall, cpu(pid) - before, latencies, statuses)
