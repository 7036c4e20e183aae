"""Training rate and memory against pm-implicit's item neighbours on the same generated data, each in a process of its own, one thread.

Interactions per second from sorted arrays to a model that can answer; peak memory of the process above what it held before training.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from opentrail.services.personalize.engine.aims import Dataset
from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.personal import Choice, fit_personal
from opentrail.services.personalize.engine.recipes import find_recipe
from opentrail.services.personalize.engine.training import train


def generated(users: int = 20_000, items: int = 5_000, length: int = 50) -> Interactions:
    """A million interactions: popular items (Zipf) and steps to a near item id."""
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, items + 1)
    steps = rng.choice(items, (users, length), p=chance / chance.sum())
    follow = rng.random((users, length)) < 0.5
    for step in range(1, length):
        near = (steps[:, step - 1] + rng.integers(1, 5, users)) % items
        steps[follow[:, step], step] = near[follow[:, step]]
    user = np.repeat(np.arange(users, dtype=np.int32), length)
    return from_arrays(user, steps.ravel().astype(np.int32), np.tile(np.arange(length), users), users, items)


def run(name: str) -> dict[str, float]:
    """Train `name` once; seconds and peak megabytes."""
    data = generated()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    if name == "neighbours":
        fit_personal(data, Choice())
    elif name == "popularity":
        train(find_recipe("aws-popularity-count"), Dataset(data), {}, 0)
    else:
        import scipy.sparse
        from implicit.nearest_neighbours import CosineRecommender

        matrix = scipy.sparse.csr_matrix((np.ones(len(data), np.float32), (data.user, data.item)), (len(data.users), len(data.items)))
        CosineRecommender(K=200, num_threads=1).fit(matrix, show_progress=False)
    seconds = time.perf_counter() - started
    return {"rows": len(data), "seconds": seconds, "peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def main() -> None:
    """Print each model's rate and memory, and the ratio to pm-implicit."""
    results = {}
    for name in ("pm-implicit", "neighbours", "popularity"):
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        result = results[name] = json.loads(done.stdout.splitlines()[-1])
        rate = result["rows"] / result["seconds"]
        print(f"{name}: {rate:,.0f} interactions/s, {result['seconds']:.1f} s, peak {result['peak_mb']:.0f} MB more")
    peer, own = results["pm-implicit"], results["neighbours"]
    print(f"neighbours (windowed, ordered) / pm-implicit cosine: time {own['seconds'] / peer['seconds']:.1f} x, ", end="")
    print(f"memory {own['peak_mb'] / max(peer['peak_mb'], 1):.1f} x")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run(sys.argv[1])))
    else:
        main()
