"""Training rates and memory against pm-implicit and RecTools on the same generated data, each in a process of its own, one thread.

Interactions per second from sorted arrays to a model that can answer; peak memory of the process above what it held before training.
The networks (SASRec there, `sequence` here, with the extra) have the same size, length, blocks, negatives and batch, and make two epochs.

    python -m benchmarks.recommend_training [PYTHON]     PYTHON has RecTools: see recommend_peers
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import recommend_peers as peers
from opentrail.services.personalize.engine.aims import Dataset
from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.personal import Choice, fit_personal, popular_share
from opentrail.services.personalize.engine.recipes import find_recipe
from opentrail.services.personalize.engine.training import train

WHOLE = "popularity, measured on held-out users beside its baselines"
"""What CreateSolutionVersion does, whatever the recipe: has no peer."""
PAIRS = (
    ("neighbours", "pm-implicit"),
    ("neighbours", "RecTools neighbours"),
    ("neighbours", "RecTools ease"),
    ("popularity", "RecTools popularity"),
    ("sequence", "RecTools sequence"),
)


def interactions(size: tuple[int, int, int]) -> Interactions:
    """The walks that the peers have too."""
    user, item, users, items = peers.walks(*size)
    return from_arrays(user, item, np.tile(np.arange(size[2]), users), users, items)


def own(name: str) -> dict[str, float]:
    """Trains one of our models once."""
    data = interactions(peers.FEW if name == "sequence" else peers.MANY)
    if name == "neighbours":
        return peers.measured(len(data), lambda: fit_personal(data, Choice()))
    if name == "popularity":
        return peers.measured(len(data), lambda: popular_share(data))
    if name == WHOLE:
        return peers.measured(len(data), lambda: train(find_recipe("aws-popularity-count"), Dataset(data), {}, 0))
    from opentrail.services.personalize.engine.deep.training import Plan, train_network

    plan = Plan(peers.SIZE, peers.LENGTH, peers.BLOCKS, peers.HEADS, negatives=peers.NEGATIVES, batch=peers.BATCH, most_epochs=peers.EPOCHS)
    return peers.measured(len(data) * peers.EPOCHS, lambda: train_network(data, plan, 0))


def ran(name: str, other: str) -> dict[str, float] | None:
    """The figures of one model, or None where what it needs is not there."""
    if name.startswith("RecTools"):
        if not other:
            return None
        command = [other, str(Path(peers.__file__)), name.removeprefix("RecTools ")]
    elif name == "pm-implicit":
        command = [sys.executable, str(Path(peers.__file__)), name]
    else:
        if name == "sequence" and importlib.util.find_spec("torch") is None:
            return None
        command = [sys.executable, "-m", "benchmarks.recommend_training", "--own", name]
    one = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, env=one, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(other: str) -> None:
    """Prints each model's rate and memory, and our time and memory as ratios to the peers'."""
    results: dict[str, dict[str, float] | None] = {}
    for name in (*dict.fromkeys(name for pair in PAIRS for name in pair), WHOLE):
        result = results[name] = ran(name, other)
        if result is None:
            print(f"{name}: not measured, what it needs is not installed")
        else:
            rate = result["rows"] / result["seconds"]
            print(f"{name}: {rate:,.0f} interactions/s, {result['seconds']:.2f} s, peak {result['peak_mb']:.0f} MB more", flush=True)
    for name, peer in PAIRS:
        ours, theirs = results[name], results[peer]
        if ours and theirs:
            time = ours["seconds"] / theirs["seconds"]
            print(f"{name} / {peer}: time {time:.2f} x, memory {ours['peak_mb'] / max(theirs['peak_mb'], 1):.2f} x")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--own"]:
        print(json.dumps(own(sys.argv[2])))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "")
