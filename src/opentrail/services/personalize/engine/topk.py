"""The k best of many scores, exactly; and an inverted-file index whose candidates are scored exactly for very large catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Mask

FEW = 1_024
SAMPLE = 64
"""One score in SAMPLE is looked at to guess the threshold above which the k best lie."""


def top_k(scores: NDArray[np.float32], k: int, allowed: Mask | None = None) -> NDArray[np.int64]:
    """Indexes of the k highest scores (fewer when fewer are allowed), best first; equal scores by index. -inf never counts."""
    if allowed is not None:
        where = np.flatnonzero(allowed)
        return where[top_k(scores[where], k)]
    if len(scores) <= FEW:
        # One stable sort is cheaper than picking first.
        best = np.argsort(-scores, kind="stable")[:k]
        return np.asarray(best[scores[best] > -np.inf], np.int64)
    k = min(k, len(scores))
    chosen = _above_a_guess(scores, k)
    if chosen is None:
        chosen = np.arange(len(scores)) if len(scores) <= 4 * k else np.argpartition(-scores, k - 1)[:k]
        if len(chosen) == k and k:
            # argpartition picks any of the scores equal to the last one; the lowest indexes are wanted.
            chosen = np.flatnonzero(scores >= scores[chosen].min())
    chosen = chosen[np.lexsort((chosen, -scores[chosen]))][:k]
    return np.asarray(chosen[scores[chosen] > -np.inf], np.int64)


def _above_a_guess(scores: NDArray[np.float32], k: int) -> NDArray[np.int64] | None:
    if len(scores) < 64 * SAMPLE or k * SAMPLE > len(scores) // 2:
        return None
    sample = scores[::SAMPLE]
    place = max(2, 6 * k // SAMPLE) + 2
    guess = np.partition(sample, len(sample) - place)[len(sample) - place]
    chosen = np.flatnonzero(scores >= guess)
    return chosen if k <= len(chosen) <= len(scores) // 4 else None


def build_index(vectors: NDArray[np.float32], seed: int, goal: float = 0.997, k: int = 25) -> tuple[dict[str, NDArray[Any]], int]:
    """Group item vectors around 2 sqrt(n) centres; return the arrays and how many groups to probe for recall `goal` on sampled queries."""
    rng = np.random.default_rng(seed)
    size = max(1, int(2 * np.sqrt(len(vectors))))
    sample = vectors[rng.permutation(len(vectors))[: 30 * size]]
    centres = sample[:size].copy()
    for _ in range(6):
        group = _nearest_centre(sample, centres)
        count = np.bincount(group, minlength=size)
        order = np.argsort(group, kind="stable")
        first = np.flatnonzero(np.concatenate(([True], group[order][1:] != group[order][:-1])))
        means = np.add.reduceat(sample[order], first, axis=0) / count[count > 0][:, None]
        centres[count > 0] = means
    group = _nearest_centre(vectors, centres)
    order = np.argsort(group, kind="stable")
    arrays: dict[str, NDArray[Any]] = {
        "index_centres": centres,
        "index_order": order.astype(np.int32),
        "index_starts": np.searchsorted(group[order], np.arange(size + 1)).astype(np.int64),
        "index_vectors": np.ascontiguousarray(vectors[order]),
    }
    queries = vectors[rng.integers(0, len(vectors), 128)] + rng.standard_normal((128, vectors.shape[1]), np.float32) * vectors.std() * 0.5
    return arrays, _enough_probes(arrays, vectors, queries.astype(np.float32), goal, k)


def _nearest_centre(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    half = 0.5 * (centres**2).sum(1)
    parts = [np.argmax(vectors[at : at + 8_192] @ centres.T - half, axis=1) for at in range(0, len(vectors), 8_192)]
    return np.concatenate(parts)


def _enough_probes(
    arrays: Mapping[str, NDArray[Any]], vectors: NDArray[np.float32], queries: NDArray[np.float32], goal: float, k: int
) -> int:
    exact = [set(top_k(vectors @ query, k).tolist()) for query in queries]
    probes = 4
    while probes < len(arrays["index_centres"]):
        found = [len(set(search(arrays, query, k, probes)[0].tolist()) & best) for query, best in zip(queries, exact, strict=True)]
        if sum(found) >= goal * sum(map(len, exact)):
            break
        probes += max(1, probes // 3)
    return min(probes, len(arrays["index_centres"]))


def search(
    arrays: Mapping[str, NDArray[Any]], query: NDArray[np.float32], k: int, probes: int, allowed: Mask | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(items, exact scores) of the best k in the `probes` groups whose centres score highest; may miss items of other groups."""
    groups = top_k(arrays["index_centres"] @ query, probes)
    starts, order, vectors = arrays["index_starts"], arrays["index_order"], arrays["index_vectors"]
    spans = [(int(starts[group]), int(starts[group + 1])) for group in groups.tolist()]
    item = np.concatenate([order[start:end] for start, end in spans])
    scores = np.concatenate([vectors[start:end] @ query for start, end in spans])
    best = top_k(scores, k, None if allowed is None else allowed[item])
    return item[best].astype(np.int64), scores[best]
