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


@contextmanager
def server(place: str = "/tmp") -> Iterator[str]:
    """The address of a running server with its files under `place`, with {} for the database name: postgresql://postgres@/{}?host=..."""
    folder = binaries()
    assert folder is not None, "PostgreSQL is not installed"
    home = Path(tempfile.mkdtemp(prefix="ot-pg-", dir=place))
    who = _unprivileged()
    if who:
        shutil.chown(home, who["user"])
    try:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        subprocess.run(
            [folder / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
            check=True, cwd=home, **quiet, **who,
        )  # fmt: skip
        process = subprocess.Popen(
            [folder / "postgres", "-D", home / "data", "-k", home, "-c", "listen_addresses=", "-c", "max_connections=200"],
            cwd=home, stdin=subprocess.DEVNULL, **quiet, **who,
        )  # fmt: skip
        try:
            _wait(folder, home, who)
            yield f"postgresql://postgres@/{{}}?host={home}"
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: what would be written now is removed below
            process.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(folder: Path, home: Path, who: dict[str, str]) -> None:
    for _ in range(100):
        ready = subprocess.run([folder / "pg_isready", "-h", home, "-t", "1", "-q"], check=False, **who)
        if ready.returncode == 0:
            return
        subprocess.run(["sleep", "0.2"], check=True)
    raise RuntimeError("PostgreSQL did not start in 20 seconds")
