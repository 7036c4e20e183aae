"""`make` on a machine that lacks something says what the README says, and `make bench` leaves no benchmark out."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import NEEDS, PEERS, scripts

from tests.architecture.source import ROOT

APT = re.search(r"(?m)^apt-get install .*$", (ROOT / "README.md").read_text("utf-8"))


def made(folder: Path, tools: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make in a folder with nothing but what make needs, with these programs in its PATH."""
    (folder / "requirements").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements/base.txt"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    for name, place in tools.items():
        (folder / "bin" / name).symlink_to(place)
    make = shutil.which("make")
    assert make is not None
    return subprocess.run(
        [make, "-C", str(folder), *arguments],
        env={"PATH": str(folder / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("lacks", ["git", "venv", "python3"])
def test_what_is_missing_is_said_as_in_the_readme(tmp_path: Path, lacks: str) -> None:
    assert APT is not None
    bare = tmp_path / "bare"
    bare.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import nothing_of_that_name'\n")  # a Python without ensurepip
    bare.chmod(0o755)
    tools = {"git": "/bin/true", "python3": str(bare) if lacks == "venv" else sys.executable}
    done = made(tmp_path, {name: place for name, place in tools.items() if name != lacks}, "install")
    assert done.returncode != 0
    assert f"    {APT.group()}\n" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_every_target_of_the_readme_is_there() -> None:
    listed = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert {"serve", "install", "test", "check", "bench", "soak"} <= {
        line.split()[1] for line in listed.splitlines() if line.startswith("  make ")
    }


def test_make_bench_runs_every_benchmark() -> None:
    """What cannot be run by itself is there for one that can."""
    files = {file.stem: file.read_text("utf-8") for file in (ROOT / "benchmarks").glob("*.py") if not file.stem.startswith("__")}
    for name in files.keys() - {*scripts(), *PEERS}:
        used = rf"from benchmarks\.{name} import|from benchmarks import .*\b{name}\b"
        assert any(re.search(used, text) for other, text in files.items() if other != name), f"{name} is never run"
    assert {"calls", "recording", "lookup", "delivery", "start", "beside"} <= set(scripts())
    assert set(NEEDS) <= set(scripts())


@pytest.mark.parametrize("name", scripts())
def test_a_benchmark_can_be_loaded_where_it_can_be_run(name: str) -> None:
    if name not in NEEDS or not NEEDS[name]():
        importlib.import_module(f"benchmarks.{name}")
