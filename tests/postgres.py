"""A private PostgreSQL from the Debian package (or the PATH), on a Unix socket, gone with the test run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = 12 * 1024**3
"""Bytes that must be free in memory for a server there: a run's two servers take 2 to 4 GB each."""


def binaries() -> Path | None:
    """The folder with initdb and postgres, or None."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    if found:
        candidates.append(Path(found).parent)
    return next((folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _unprivileged() -> dict[str, str]:
    """PostgreSQL refuses to run as root: the user to run it as, in subprocess's terms."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": name}
    raise RuntimeError("no unprivileged user to run PostgreSQL")


def fastest() -> str:
    """The folder for a server whose speed nobody measures: memory, where there is plenty: a run makes hundreds of databases, and making and removing their files takes minutes on disk."""
    memory = Path("/dev/shm")
    unused = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return str(memory) if memory.is_dir() and min(shutil.disk_usage(memory).free, unused) > ROOM else "/tmp"


class Instance:
    """A server of one's own: `address` has {} for the database name: postgresql://postgres@/{}?host=..."""

    def __init__(self, binaries: Path, home: Path, who: dict[str, str]) -> None:
        self._binaries, self._home, self._who = binaries, home, who
        self.address = f"postgresql://postgres@/{{}}?host={home}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it serves."""
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._home / "data", "-k", self._home, "-c", "listen_addresses=", "-c", "max_connections=200"],
            cwd=self._home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, **self._who,
        )  # fmt: skip
        _wait(self._binaries, self._home, self._who)

    def stop(self) -> None:
        """Stops it at once, as a crash would: what was not durable is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def instance(place: str = "/tmp") -> Iterator[Instance]:
    """A running server with its files under `place`."""
    folder = binaries()
    assert folder is not None, "PostgreSQL is not installed"
    home = Path(tempfile.mkdtemp(prefix="ot-pg-", dir=place))
    who = _unprivileged()
    if who:
        shutil.chown(home, who["user"])
    try:
        subprocess.run(
            [folder / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
            check=True, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, **who,
        )  # fmt: skip
        found = Instance(folder, home, who)
        try:
            found.start()
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def server(place: str = "/tmp") -> Iterator[str]:
    """The address of a running server; see Instance."""
    with instance(place) as found:
        yield found.address


def _wait(folder: Path, home: Path, who: dict[str, str]) -> None:
    for _ in range(100):
        ready = subprocess.run([folder / "pg_isready", "-h", home, "-t", "1", "-q"], check=False, **who)
        if ready.returncode == 0:
            return
        subprocess.run(["sleep", "0.2"], check=True)
    raise RuntimeError("PostgreSQL did not start in 20 seconds")
