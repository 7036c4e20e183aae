"""From `opentrail serve` to the first answer, on a new folder and on one that is there, and the idle memory of the web process.

Goals: 3 s, 150 MB. The ratio is to a bare Python start in the same run.

    python -m benchmarks.start
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import load, servers


def resident(pid: int) -> float:
    """Megabytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def web(pid: int) -> int:
    """The web process below a server."""
    return next(one for one in load.tree(pid) if b"\0web\0" in Path(f"/proc/{one}/cmdline").read_bytes())


def main() -> None:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import json"], check=True)
    bare = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        for name in ("new folder", "known folder"):
            started = time.perf_counter()
            with servers.opentrail(folder=Path(folder) / "data") as server:
                taken = time.perf_counter() - started
                time.sleep(1)
                memory = resident(web(server.pid))
                print(f"{name:13} {taken:5.2f} s (goal 3), {taken / bare:4.1f} x a bare Python; web process {memory:.0f} MB (goal 150)")


if __name__ == "__main__":
    main()
