"""The k best: equal to sorting everything; the index finds nearly all of them and scores them exactly."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.personalize.engine.topk import build_index, search, top_k


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, -2.5, 3.0, float("-inf")]), max_size=40), st.integers(1, 10), st.integers(0, 3))
def test_top_k_sorts(values: list[float], k: int, every: int) -> None:
    scores = np.array(values, np.float32)
    allowed = np.arange(len(scores)) % (every + 1) == 0 if every else None
    places = [at for at in range(len(values)) if values[at] > float("-inf") and (allowed is None or allowed[at])]
    assert top_k(scores, k, allowed).tolist() == sorted(places, key=lambda at: (-values[at], at))[:k]


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(1, 60), st.sampled_from(["normal", "coarse", "equal", "rising"]))
def test_top_k_of_many(seed: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    size = 20_000
    shapes = {"normal": rng.standard_normal(size), "coarse": rng.integers(0, 9, size), "equal": np.ones(size), "rising": np.arange(size)}
    scores = shapes[kind].astype(np.float32)
    assert top_k(scores, k).tolist() == np.lexsort((np.arange(size), -scores))[:k].tolist()


def test_the_index_finds_nearly_all_and_scores_exactly() -> None:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((60, 16), dtype=np.float32)
    vectors = centres[rng.integers(0, 60, 6_000)] + np.float32(0.4) * rng.standard_normal((6_000, 16), dtype=np.float32)
    arrays, probes = build_index(vectors, seed=0)
    found = 0
    for _ in range(40):
        query = centres[rng.integers(60)] + np.float32(0.4) * rng.standard_normal(16, dtype=np.float32)
        items, scores = search(arrays, query, 25, probes)
        np.testing.assert_allclose(scores, vectors[items] @ query, rtol=1e-4, atol=1e-4)
        found += len(set(items.tolist()) & set(top_k(vectors @ query, 25).tolist()))
    assert found >= 0.98 * 40 * 25
    allowed = np.arange(6_000) % 2 == 0
    assert (search(arrays, query, 25, probes, allowed)[0] % 2 == 0).all()
