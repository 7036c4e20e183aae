"""Runs every benchmark, or the named ones, one after another, and says what cannot be run here.

python -m benchmarks [NAME...]
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
SHARED = Path(os.environ.get("OPENTRAIL_SHARED", FOLDER.parents[1] / "shared")) / "data"

PEERS = ("unrecorded", "recommend_peers")
"""What a benchmark starts as its peer."""

Missing = Callable[[], str]
"""Says what a benchmark lacks on this machine, or nothing."""


def data(folder: str) -> Missing:
    """Data sets that are not part of the repository, below OPENTRAIL_SHARED."""
    return lambda: "" if (SHARED / folder).exists() else f"no data in {SHARED / folder} (OPENTRAIL_SHARED)"


def no_postgres() -> str:
    """The Debian package, or a PostgreSQL in the PATH."""
    there = any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb")
    return "" if there else "PostgreSQL is not installed"


def no_torch() -> str:
    """The extra `deep`, and the data."""
    return data("recommend")() or ("" if importlib.util.find_spec("torch") else "the extra opentrail[deep] is not installed")


NEEDS: Mapping[str, Missing] = {
    "lane_postgres": no_postgres,
    "nlp_accuracy": data("nlp"),
    "recommend_quality": data("recommend"),
    "recommend_deep": no_torch,
}


def scripts() -> list[str]:
    """The benchmarks: files here that can be run."""
    files = [file for file in FOLDER.glob("*.py") if file.stem not in ("__main__", *PEERS)]
    return sorted(file.stem for file in files if '__name__ == "__main__"' in file.read_text("utf-8"))


def main(names: list[str]) -> int:
    """Runs them. Returns how many failed."""
    unknown = set(names) - set(scripts())
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(scripts())}")
        return 2
    failed = 0
    for name in names or scripts():
        print(f"== {name}", flush=True)
        lacks = NEEDS[name]() if name in NEEDS else ""
        if lacks:
            print(f"NOT RUN: {lacks}", flush=True)
            continue
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
