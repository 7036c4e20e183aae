"""The invented patients that PreloadDataConfig SYNTHEA loads; tools/build_synthetic_patients.py makes the file."""

from __future__ import annotations

import gzip
from pathlib import Path

FILE = Path(__file__).parent / "data" / "synthetic.ndjson.gz"


def lines() -> list[bytes]:
    """Every resource as JSON, each behind those that it points to."""
    return gzip.decompress(FILE.read_bytes()).splitlines()
