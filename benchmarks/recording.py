"""What recording costs a call: the pipeline as it is, against the same without record and journal, in turns in one process.

Goals: at most 60 us CPU a call, at most 25 % of the pipeline. Only this file puts a pipeline without a journal together.

    python -m benchmarks.recording
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.pipeline import Cost, prepared, requests, serve
from opentrail import app
from opentrail.gateway import recording
from opentrail.gateway.protocols import encode, encode_error

ROUNDS = 7
CALLS = 4_000


def unrecorded(gateway: Any, call: Any, outcome: Any) -> list[Any]:
    """Encodes the answer, and that is all."""
    outcome.answer = encode_error(call, outcome.error) if outcome.error is not None else encode(call, outcome.output or {})
    return []


async def measure(folder: Path) -> tuple[list[Cost], list[Cost]]:
    parts, keys = prepared(folder)
    gateway = app.make_gateway(parts)
    app.settle_memory()
    await serve(gateway, requests(keys, 500))
    full, bare = [], []
    for _ in range(ROUNDS):
        full.append(await serve(gateway, requests(keys, CALLS)))
        with patch.object(recording, "conclude", unrecorded):
            bare.append(await serve(gateway, requests(keys, CALLS)))
    await asyncio.to_thread(gateway.lane.stop)
    return full, bare


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        full, bare = asyncio.run(measure(Path(folder) / "data"))
    whole, without = (statistics.median(cost.cpu for cost in costs) * 1e6 for costs in (full, bare))
    print(f"pipeline with the journal {whole:6.1f} us CPU a call, without record and journal {without:6.1f} us")
    print(f"recording {whole - without:.1f} us (goal 60), {(whole - without) / whole:.0%} of the pipeline (goal 25 %)")


if __name__ == "__main__":
    main()
