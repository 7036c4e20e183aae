"""Servers for benchmarks and acceptance tests: OpenTrail in a fresh folder, and moto's server as the peer."""

from __future__ import annotations

import configparser
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.credentials import Credentials

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Running:
    """A server that answers. `credentials` are those of its root user."""

    pid: int
    port: int
    folder: Path
    credentials: Credentials

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def opentrail(*options: str, folder: Path | None = None) -> Iterator[Running]:
    """A server with these options, stopped at the end with SIGTERM."""
    with tempfile.TemporaryDirectory() as fresh:
        home, port = folder or Path(fresh) / "data", free_port()
        command = [sys.executable, "-c", "from opentrail.cli import main; main()", "serve", "--data-dir", str(home), "--account", ACCOUNT]
        process = subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}", *options], stdout=subprocess.PIPE, text=True)
        try:
            for line in process.stdout or ():
                if line.startswith("OpenTrail serves"):
                    break
            else:
                raise RuntimeError("the server did not start")
            yield Running(process.pid, port, home, credentials(home / "credentials"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def credentials(file: Path) -> Credentials:
    """The default profile of a credentials file."""
    parser = configparser.ConfigParser()
    parser.read(file)
    found = parser["default"]
    return Credentials(found["aws_access_key_id"], found["aws_secret_access_key"])


@contextmanager
def moto() -> Iterator[Running]:
    """moto's server, in memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MOTO_PORT": str(port)})
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Running(process.pid, port, Path(), Credentials("testing", "testing"))
    finally:
        process.terminate()
        process.wait(timeout=30)
