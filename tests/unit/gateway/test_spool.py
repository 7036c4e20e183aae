"""The folder of bodies coming in: what lives is left alone, what ended goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opentrail.gateway import spool as module
from opentrail.gateway.spool import Spool
from opentrail.kernel.ambient import SystemIds

OTHER = """
import sys, pathlib, time
from opentrail.gateway.spool import Spool
from opentrail.kernel.ambient import SystemIds
spool = Spool(pathlib.Path(sys.argv[1]), SystemIds())
file = spool.file()
file.write_bytes(b"patients' text")
print(file, flush=True)
time.sleep(60)
"""


@contextmanager
def another(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that gathers one body, and the body's file."""
    with subprocess.Popen([sys.executable, "-c", OTHER, str(parent)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_bodies_of_a_live_process_stay_and_those_of_a_killed_one_go(tmp_path: Path) -> None:
    with another(tmp_path) as (process, file):
        spool = Spool(tmp_path, SystemIds())
        assert (spool.clear(), file.read_bytes()) == (0, b"patients' text")
        own = spool.file()
        own.write_bytes(b"own")
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert file.exists()
        assert (spool.clear(), spool.clear()) == (1, 0)
        assert not file.parent.exists()
        assert own.read_bytes() == b"own"


def test_a_start_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    with another(tmp_path) as (process, file):
        process.kill()
        process.wait(30)
        Spool(tmp_path, SystemIds())
        assert not file.exists()


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SystemIds())
    spool.file().write_bytes(b"coming in")
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_files_outside_every_folder_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"of an earlier layout")
    spool = Spool(tmp_path, SystemIds())
    assert [path.name for path in tmp_path.iterdir()] == [spool.file().parent.name]


@pytest.mark.parametrize("moment", ["while it is held by another", "after another removed it"])
def test_a_new_folder_that_is_taken_for_a_leftover_is_made_again(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold, seen = module._hold, []

    def late(folder: Path) -> int | None:
        seen.append(folder)
        if len(seen) > 1:
            return hold(folder)
        if moment == "while it is held by another":
            return None
        held = hold(folder)
        folder.rmdir()
        return held

    monkeypatch.setattr(module, "_hold", late)
    spool = Spool(tmp_path, SystemIds())
    assert spool.file().parent == seen[1] != seen[0]
    assert seen[1].is_dir()
