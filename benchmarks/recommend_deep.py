"""The extra against its fallback: NDCG@10, leave-last-out, full ranking; needs `opentrail[deep]`.

Two sets: MovieLens latest-small (random order inside one second), and generated walks with real sequence structure (second-order chains).
The difference is judged by a paired bootstrap over users, for each seed.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.recommend_quality import ratings
from opentrail.services.personalize.engine.deep import fit_sequence
from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.models import Model
from opentrail.services.personalize.engine.personal import choose, fit_personal, validate
from opentrail.services.personalize.engine.splits import Query, leave_last_out


def generated(seed: int, users: int = 3_000, items: int = 1_000, length: int = 30) -> Interactions:
    """Walks in which the next item follows from the last two together, three times in four; else it is a popular one (Zipf)."""
    rng = np.random.default_rng(seed)
    popular = 1 / np.arange(1, items + 1)
    steps = rng.choice(items, (users, length), p=popular / popular.sum())
    follow = rng.random((users, length)) < 0.75
    for step in range(2, length):
        after = (steps[:, step - 1] * 7 + steps[:, step - 2] % 5 * 131 + 3) % items
        steps[follow[:, step], step] = after[follow[:, step]]
    user = np.repeat(np.arange(users, dtype=np.int32), length)
    return from_arrays(user, steps.ravel().astype(np.int32), np.tile(np.arange(length), users), users, items)


def gains(model: Model, queries: list[Query]) -> NDArray[np.float64]:
    """NDCG@10 of each query."""
    return np.array([validate(model, [query]) for query in queries])


def main(seeds: int) -> None:
    """Print both models' NDCG@10, their ratio and the bootstrap interval of the difference."""
    for name, load in (("ml-latest-small", ratings), ("generated", generated)):
        for seed in range(seeds):
            train, queries = leave_last_out(load(seed), 1_000_000, seed)
            started = time.perf_counter()
            near = Model(*fit_personal(train, choose(train, 50, True, seed)), train.items)
            middle = time.perf_counter()
            deep = Model(*fit_sequence(train, {}, seed), train.items)
            ended = time.perf_counter()
            first, second = gains(near, queries), gains(deep, queries)
            rng = np.random.default_rng(0)
            picks = rng.integers(0, len(queries), (2_000, len(queries)))
            low, high = np.quantile((second - first)[picks].mean(axis=1), [0.025, 0.975])
            print(
                f"{name} seed {seed}: fallback {first.mean():.4f} ({middle - started:.0f} s), "
                f"extra {second.mean():.4f} ({ended - middle:.0f} s, {deep.card['kind']}): "
                f"{second.mean() / first.mean():.2f} x, difference 95 % [{low:+.4f}, {high:+.4f}]",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
