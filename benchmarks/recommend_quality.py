"""Quality of the fallback on MovieLens latest-small: leave-last-out, full ranking, NDCG@10 against popularity in the same run.

Ratings of one second are put in random order (the file sorts them by movie id, which would leak an order nobody lived).
"""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import numpy as np

from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.models import Model
from opentrail.services.personalize.engine.personal import choose, fit_personal, popular_share, validate
from opentrail.services.personalize.engine.splits import leave_last_out


def ratings(seed: int) -> Interactions:
    """MovieLens latest-small as interactions."""
    shared = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[2] / "shared"))
    with (shared / "data/recommend/ml-latest-small/ratings.csv").open(encoding="utf-8") as file:
        rows = [(int(row["userId"]), int(row["movieId"]), int(row["timestamp"])) for row in csv.DictReader(file)]
    table = np.random.default_rng(seed).permutation(np.array(rows))
    users, user = np.unique(table[:, 0], return_inverse=True)
    items, item = np.unique(table[:, 1], return_inverse=True)
    return from_arrays(user.astype(np.int32), item.astype(np.int32), table[:, 2], len(users), len(items))


def main() -> None:
    """Print NDCG@10 of popularity and of the fallback for five seeds, and their ratio."""
    ratios = []
    for seed in range(5):
        train, queries = leave_last_out(ratings(seed), 1_000_000, seed)
        popular = Model({"kind": "fixed", "repeats": False}, {"popular": popular_share(train)}, train.items)
        for query in queries:
            assert not query.relevant & set(query.history.tolist())
        base = np.mean([_gain(popular, query.history, query.relevant) for query in queries])
        started = time.perf_counter()
        choice = choose(train, 50, True, seed)
        card, arrays = fit_personal(train, choice)
        took = time.perf_counter() - started
        found = validate(Model(card, arrays, train.items), queries)
        ratios.append(found / base)
        print(f"seed {seed}: popularity {base:.4f}, fallback {found:.4f} ({choice.kind}, trained in {took:.1f} s): {found / base:.2f} x")
    print(f"fallback / popularity NDCG@10: mean {np.mean(ratios):.2f} x, least {min(ratios):.2f} x (goal 1.60 x)")


def _gain(model: Model, history: np.ndarray, relevant: frozenset[int]) -> float:
    # The baseline gets the same courtesy as the fallback: items of the history are not ranked.
    scores = np.array(model.arrays["popular"])
    scores[history] = -1
    (wanted,) = relevant
    place = int((scores > scores[wanted]).sum()) + int((scores == scores[wanted]).sum() - 1) // 2
    return float(1 / np.log2(place + 2)) if place < 10 else 0.0


if __name__ == "__main__":
    main()
