"""Live servers for benchmarks and tests: OpenTrail in processes of its own, and moto's server as the peer."""

from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.credentials import Credentials

from opentrail.kernel.settings import Settings, load
from opentrail.store.databases import Name, open_database
from opentrail.store.sql import Snapshot

ACCOUNT, OTHER = "123456789012", "210987654321"
REGION = "us-east-1"
PROGRAM = (sys.executable, "-c", "from opentrail.cli import main; main()")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def profiles(file: Path) -> dict[str, Credentials]:
    """The profiles of a credentials file."""
    parser = configparser.ConfigParser()
    parser.read(file)
    return {name: Credentials(parser[name]["aws_access_key_id"], parser[name]["aws_secret_access_key"]) for name in parser.sections()}


def program(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of the program to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **(environment or {})}
    )


class Server:
    """One `opentrail serve` at a time on the same folder and port, which may be killed, frozen and starved. Times in seconds.

    `options` are flags of `serve` and their values; `listens` is False for a role that answers no calls.
    """

    def __init__(
        self, folder: Path, *options: str, port: int = 0, environment: Mapping[str, str] | None = None, listens: bool = True
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.options = ("--account", ACCOUNT, *options)
        self.environment = dict(environment or {})
        self.listens = listens
        self.log = folder.parent / f"{folder.name}-{self.port}.log"
        self.settings = self._settings()
        self.url = self.settings.url
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[tuple[str, str], Any] = {}

    def _settings(self) -> Settings:
        """Its settings, as far as flags and environment give them."""
        pairs = {flag[2:].replace("-", "_"): value for flag, value in pairwise(self.options) if flag.startswith("--")}
        flags = {name: value for name, value in pairs.items() if name in Settings.__struct_fields__}
        return load({**flags, "data_dir": str(self.folder), "listen": f"127.0.0.1:{self.port}"}, self.environment, None)

    @cached_property
    def keys(self) -> dict[str, Credentials]:
        """Of the root users, by account."""
        found = profiles(self.folder / "credentials")
        return {self.settings.account[0]: found["default"], **{name: one for name, one in found.items() if name.isdigit()}}

    @property
    def credentials(self) -> Credentials:
        """Of the root user of the main account."""
        return self.keys[self.settings.account[0]]

    def start(self, patience: float = 60.0) -> None:
        """Starts it and waits until it answers; before that, until no role of one that was killed does, which takes a moment."""
        until = time.monotonic() + patience
        while self._process is not None and self.listens and self.health() is not None:
            assert time.monotonic() < until, f"the server before still answers after {patience} s:\n{self.said()}"
            time.sleep(0.02)
        command = [*PROGRAM, "serve", "--data-dir", str(self.folder), "--listen", f"127.0.0.1:{self.port}", *self.options]
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **self.environment}
            )
        while self.listens and self.health() is None:
            assert self._process.poll() is None, f"the server ended while starting:\n{self.said()}"
            assert time.monotonic() < until, f"the server did not answer in {patience} s:\n{self.said()}"
            time.sleep(0.02)

    def said(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-4000:]

    def get(self, path: str) -> Any:
        """An open answer of one of its own addresses."""
        trust = ssl.create_default_context(cafile=self.settings.tls_certificate) if self.settings.tls_certificate else None
        return urllib.request.urlopen(f"{self.url}/_opentrail/{path}", timeout=5, context=trust)

    def health(self) -> tuple[int, list[str]] | None:
        """Status and reasons of /_opentrail/health; None when nothing answers."""
        try:
            with self.get("health") as answer:
                return answer.status, json.load(answer)["reasons"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["reasons"]
        except (OSError, ValueError):
            return None

    def metric(self, name: str) -> float:
        """One number of /_opentrail/metrics; `name` with its labels."""
        with self.get("metrics") as answer:
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
        assert self._process is not None, "started"
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait(patience)

    def end(self) -> None:
        """Leaves nothing behind."""
        if self._process is None:
            return
        try:
            self.stop(45)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.wait(10)
        try:
            os.killpg(self.pid, signal.SIGKILL)  # a role that outlived its supervisor
        except ProcessLookupError:
            return

    def client(self, service: str, region: str = REGION, **more: Any) -> Any:
        """A stock client of the root user; it tries once more when a kept-open connection has died."""
        if more or (service, region) not in self._clients:
            import boto3  # of the tests' packages; the rest of this file needs none of them

            found = self.credentials
            config = Config(
                retries={"mode": "standard", "total_max_attempts": 2}, s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60
            )  # fmt: skip
            made = boto3.client(
                service, region_name=region, endpoint_url=self.url, aws_access_key_id=found.access_key,
                aws_secret_access_key=found.secret_key, config=config, **{"verify": self.settings.tls_certificate or None, **more},
            )  # fmt: skip
            if more:
                return made
            self._clients[service, region] = made
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

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another command of the program with this server."""
        place = ("--data-dir", str(self.folder), "--listen", f"127.0.0.1:{self.port}")
        environment = {**self.environment, "OPENTRAIL_DATABASE": self.settings.database}
        return program(command, *place, *arguments, environment=environment)

    def verify(self, trail_arn: str) -> tuple[int, str]:
        """What `opentrail verify` answers: exit status and output."""
        done = self.run("verify", "--trail-arn", trail_arn)
        return done.returncode, done.stdout + done.stderr

    def aws(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of the AWS CLI against it as the root user of the main account."""
        found = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_SHARED_CREDENTIALS_FILE": f"{self.folder}/credentials",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **environment,
        }
        command = [sys.executable, "-m", "awscli", *arguments]
        return subprocess.run(command, env=found, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def serving(folder: Path, *options: str, port: int = 0, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A started server, ended at the end."""
    server = Server(folder, *options, port=port, environment=environment)
    try:
        server.start()
        yield server
    finally:
        server.end()


@contextmanager
def opentrail(*options: str, folder: Path | None = None) -> Iterator[Server]:
    """A server in a fresh folder, or in this one."""
    with tempfile.TemporaryDirectory() as fresh, serving(folder or Path(fresh) / "data", *options) as server:
        yield server


@dataclass(frozen=True)
class Peer:
    """Another server that answers."""

    pid: int
    port: int
    credentials: Credentials

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def moto() -> Iterator[Peer]:
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
        yield Peer(process.pid, port, Credentials("testing", "testing"))
    finally:
        process.terminate()
        process.wait(timeout=30)
