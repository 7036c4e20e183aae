"""A real server in processes of its own, to be killed, frozen and starved by tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from benchmarks.servers import credentials, free_port
from botocore.config import Config
from botocore.credentials import Credentials

from opentrail.kernel.settings import Settings, load
from opentrail.store.databases import Name, open_database
from opentrail.store.sql import Snapshot

ACCOUNT = "123456789012"
REGION = "us-east-1"
_ENTRY = "from opentrail.cli import main; main()"


class Server:
    """One `opentrail serve` at a time on the same folder and port. Times in seconds."""

    def __init__(
        self, folder: Path, *options: str, port: int = 0, environment: Mapping[str, str] | None = None, listens: bool = True
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.options = options
        self.environment = dict(environment or {})
        self.listens = listens
        self.log = folder.parent / f"{folder.name}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> Credentials:
        """Of the root user of the main account."""
        return credentials(self.folder / "credentials")

    @property
    def settings(self) -> Settings:
        flags: dict[str, Any] = {"data_dir": str(self.folder), "listen": f"127.0.0.1:{self.port}", "account": ACCOUNT}
        if "--database" in self.options:
            flags["database"] = self.options[self.options.index("--database") + 1]
        return load(flags, {}, None)

    def start(self, patience: float = 60.0) -> None:
        """Starts it and waits until it answers."""
        command = [sys.executable, "-c", _ENTRY, "serve", "--data-dir", str(self.folder), "--account", ACCOUNT]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{self.port}", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **self.environment},
            )  # fmt: skip
        until = time.monotonic() + patience
        while self.listens and self.health() is None:
            assert self._process.poll() is None, f"the server ended while starting:\n{self.said()}"
            assert time.monotonic() < until, f"the server did not answer in {patience} s:\n{self.said()}"
            time.sleep(0.02)

    def said(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-4000:]

    def health(self) -> tuple[int, list[str]] | None:
        """Status and reasons of /_opentrail/health; None when nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/_opentrail/health", timeout=5) as answer:
                return answer.status, json.load(answer)["reasons"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["reasons"]
        except (OSError, ValueError):
            return None

    def metric(self, name: str) -> float:
        """One number of /_opentrail/metrics; `name` with its labels."""
        with urllib.request.urlopen(f"{self.url}/_opentrail/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " ")), 0.0)

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        assert self._process is not None, "started"
        return self._process.pid

    def role(self, name: str) -> int | None:
        """The process of a role, or None while it has none."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == self.pid and b"opentrail.roles" in command and command[-2] == name.encode():
                return int(stat.parent.name)
        return None

    def await_role(self, name: str, other_than: int | None = None) -> int:
        """The process of a role, once it has one (again)."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = self.role(name)
            if found is not None and found != other_than:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{name} was not started:\n{self.said()}")

    def kill(self, victim: str) -> None:
        """Ends `supervisor`, `web`, `work` or `all` of them with SIGKILL."""
        if victim == "all":
            os.killpg(self.pid, signal.SIGKILL)
        elif victim == "supervisor":
            os.kill(self.pid, signal.SIGKILL)
        else:
            found = self.role(victim)
            if found is not None:
                os.kill(found, signal.SIGKILL)

    def wait(self, patience: float = 60.0) -> int:
        """The exit status, once it has ended."""
        assert self._process is not None, "started"
        return self._process.wait(patience)

    def stop(self, patience: float = 60.0) -> int:
        """Asks it to end; the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(patience)

    def end(self) -> None:
        """Leaves nothing behind."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(45)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait(10)
        try:
            os.killpg(self.pid, signal.SIGKILL)  # a role that outlived its supervisor
        except ProcessLookupError:
            return

    def client(self, service: str, region: str = REGION) -> Any:
        """A stock client of the root user; it tries once more when a kept-open connection has died."""
        if (service, region) not in self._clients:
            found = self.credentials
            config = Config(
                retries={"mode": "standard", "total_max_attempts": 2}, s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60
            )  # fmt: skip
            self._clients[service, region] = boto3.client(
                service, region_name=region, endpoint_url=self.url, aws_access_key_id=found.access_key,
                aws_secret_access_key=found.secret_key, config=config,
            )  # fmt: skip
        return self._clients[service, region]

    @contextmanager
    def snapshot(self, name: Name = "main") -> Iterator[Snapshot]:
        """A view of one of its databases."""
        database = open_database(self.settings, name, writable=False)
        try:
            with database.read() as view:
                yield view
        finally:
            database.close()

    def verify(self, trail_arn: str) -> tuple[int, str]:
        """What `opentrail verify` answers: exit status and output."""
        command = [sys.executable, "-c", _ENTRY, "verify", "--data-dir", str(self.folder), "--listen", f"127.0.0.1:{self.port}"]
        environment = {**os.environ, "OPENTRAIL_DATABASE": self.settings.database}
        done = subprocess.run(
            [*command, "--trail-arn", trail_arn], capture_output=True, text=True, timeout=120, check=False, env=environment
        )
        return done.returncode, done.stdout + done.stderr


@contextmanager
def serving(folder: Path, *options: str, port: int = 0, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A started server, ended at the end."""
    server = Server(folder, *options, port=port, environment=environment)
    try:
        server.start()
        yield server
    finally:
        server.end()
