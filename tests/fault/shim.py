"""The library of shim.c, compiled for a test run and put before the C library of a server."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests import gaps

SOURCE = Path(__file__).with_name("shim.c")


def compiler() -> str | None:
    """A C compiler, or None, which is then said at the end of the run."""
    found = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if found is None:
        gaps.note("faults of the disk and the order of sync and answer", "no C compiler (Debian: apt-get install gcc libc6-dev)")
    return found


class Event(NamedTuple):
    """One line of the log."""

    what: str
    process: int
    fd: int
    text: str


@dataclass(frozen=True)
class Shim:
    """A compiled shim with its files. `watched` is the end of the name of the file that faults strike."""

    library: Path
    log: Path
    fault: Path
    watched: str = "/main.db-wal"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "FAULT_LOG": str(self.log),
            "FAULT_FILE": str(self.fault),
            "FAULT_ON": self.watched,
        }

    def ask(self, fault: str) -> None:
        """Lets the next such call fail, once."""
        partial = self.fault.with_suffix(".partial")
        partial.write_text(fault)
        partial.rename(self.fault)

    def events(self) -> list[Event]:
        """The log so far."""
        lines = (line.split(" ") for line in self.log.read_text().splitlines())
        return [Event(what, int(process), int(fd), text) for what, process, fd, text in lines]


def compiled(folder: Path) -> Shim:
    """Compiles the shim into the folder."""
    found = compiler()
    assert found is not None, "asked for only where there is a compiler"
    library = folder / "shim.so"
    subprocess.run([found, "-O1", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return Shim(library, folder / "events", folder / "fault")
