"""What `recommend_training` measures itself against, alone in a process: needs numpy, and the peer named.

pm-implicit lies in the test extra. RecTools wants another numpy than ours, so that it has an environment of its own:

    python3 -m venv DIR && DIR/bin/pip install torch==2.13.0 'rectools[torch]==0.19.0'
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Walks = tuple[NDArray[np.int32], NDArray[np.int32], int, int]
"""Users and items of interactions, by user and then by time; how many users and items there are."""
FEW, MANY = (3_000, 1_000, 30), (20_000, 5_000, 50)
"""Users, items and length of the walks: for the networks, and for the rest."""
SIZE, LENGTH, BLOCKS, HEADS, NEGATIVES, BATCH, EPOCHS = 64, 50, 2, 2, 256, 128, 2
"""Of the networks: the same for both."""


def walks(users: int, items: int, length: int) -> Walks:
    """Popular items (Zipf) and steps to a near item id, half and half."""
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, items + 1)
    steps = rng.choice(items, (users, length), p=chance / chance.sum())
    follow = rng.random((users, length)) < 0.5
    for step in range(1, length):
        near = (steps[:, step - 1] + rng.integers(1, 5, users)) % items
        steps[follow[:, step], step] = near[follow[:, step]]
    return np.repeat(np.arange(users, dtype=np.int32), length), steps.ravel().astype(np.int32), users, items


def measured(rows: int, fit: Callable[[], object]) -> dict[str, float]:
    """Runs `fit` once: rows, seconds, and megabytes of peak memory above what the process held before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    fit()
    seconds = time.perf_counter() - started
    return {"rows": rows, "seconds": seconds, "peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def implicit() -> dict[str, float]:
    """pm-implicit's cosine neighbours."""
    import scipy.sparse
    from implicit.nearest_neighbours import CosineRecommender

    user, item, users, items = walks(*MANY)

    def fit() -> None:
        matrix = scipy.sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), (users, items))
        CosineRecommender(K=200, num_threads=1).fit(matrix, show_progress=False)

    return measured(len(user), fit)


def rectools(name: str) -> dict[str, float]:
    """A model of RecTools."""
    import pandas as pd
    from rectools.dataset import Dataset
    from rectools.models import EASEModel, ImplicitItemKNNWrapperModel, PopularModel

    user, item, _, _ = walks(*(FEW if name == "sequence" else MANY))
    _, at = np.unique(user, return_index=True)
    order = np.arange(len(user)) - np.repeat(at, np.diff([*at, len(user)]))
    frame = pd.DataFrame(
        {"user_id": user, "item_id": item, "weight": 1.0, "datetime": pd.Timestamp("2026-01-01") + pd.to_timedelta(order, "s")}
    )
    data = Dataset.construct(frame)
    if name == "neighbours":
        from implicit.nearest_neighbours import CosineRecommender

        return measured(len(user), lambda: ImplicitItemKNNWrapperModel(CosineRecommender(K=200, num_threads=1)).fit(data))
    if name == "ease":
        return measured(len(user), lambda: EASEModel().fit(data))
    if name == "popularity":
        return measured(len(user), lambda: PopularModel().fit(data))
    import torch
    from rectools.models import SASRecModel

    torch.set_num_threads(1)
    model = SASRecModel(
        n_blocks=BLOCKS, n_heads=HEADS, n_factors=SIZE, session_max_len=LENGTH, loss="sampled_softmax", n_negatives=NEGATIVES,
        batch_size=BATCH, epochs=EPOCHS,
    )  # fmt: skip
    return measured(len(user) * EPOCHS, lambda: model.fit(data))


if __name__ == "__main__":
    print(json.dumps(implicit() if sys.argv[1] == "pm-implicit" else rectools(sys.argv[1])))
