"""A live server in a process of its own, on a fresh data folder, with the commands of the installed program."""

from __future__ import annotations

import configparser
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from opentrail.kernel.settings import Settings

MAIN, OTHER = "123456789012", "210987654321"
"""The server's accounts."""

PROGRAM = [sys.executable, "-c", "from opentrail.cli import main; main()"]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. `keys` are the root users' access key and secret by account."""

    process: subprocess.Popen[str]
    settings: Settings
    keys: dict[str, tuple[str, str]] = field(repr=False)

    @property
    def url(self) -> str:
        return self.settings.url

    def stop(self) -> int:
        """Ends it with SIGTERM; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def options(self) -> list[str]:
        """What makes a command of the program work with this server."""
        return ["--data-dir", self.settings.data_dir, "--listen", self.settings.listen]

    def environment(self) -> dict[str, str]:
        """What makes the AWS CLI use this server as the root user of the main account."""
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_SHARED_CREDENTIALS_FILE": f"{self.settings.data_dir}/credentials",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def program(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs a command of the program to its end."""
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=timeout, check=False)


def aws(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the AWS CLI against the server."""
    command = [sys.executable, "-m", "awscli", *arguments]
    return subprocess.run(command, env=server.environment(), capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def serve(folder: Path, database: str = "", flush: float = 2.0, digest: float = 3600.0, *flags: str) -> Iterator[Server]:
    """A server with two accounts on a port of its own, stopped at the end; `flags` are further ones of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = Settings(
        data_dir=str(folder), listen=listen, account=(MAIN, OTHER), database=database, flush_interval=flush, digest_interval=digest
    )
    options = ["--data-dir", str(folder), "--listen", listen, "--account", f"{MAIN},{OTHER}", "--database", database]
    intervals = ["--flush-interval", f"{flush}s", "--digest-interval", f"{digest}s"]
    process = subprocess.Popen([*PROGRAM, "serve", *options, *intervals, *flags], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if line.startswith("OpenTrail serves"):
                break
        else:
            raise RuntimeError("the server did not start; its log says why")
        yield Server(process, settings, _keys(folder / "credentials"))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def _keys(file: Path) -> dict[str, tuple[str, str]]:
    parser = configparser.ConfigParser()
    parser.read(file)
    sections = {MAIN: "default", OTHER: OTHER}
    return {name: (parser[one]["aws_access_key_id"], parser[one]["aws_secret_access_key"]) for name, one in sections.items()}
