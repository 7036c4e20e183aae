"""Runs the benchmarks of the path of a call, one after another; the engines' have commands of their own.

python -m benchmarks
"""

from __future__ import annotations

import subprocess
import sys

SCRIPTS = ("start", "calls", "recording", "sigv4", "contract_decode", "delivery", "objects", "lookup")


def main() -> int:
    """Runs every script. Returns how many failed."""
    failed = 0
    for script in SCRIPTS:
        print(f"== {script}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{script}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
