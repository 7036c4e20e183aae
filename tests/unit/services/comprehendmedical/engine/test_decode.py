"""The batch decoder against every path, one by one."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.comprehendmedical.engine.decode import batch_of, decode


def by_hand(scores: np.ndarray, transitions: np.ndarray) -> tuple[list[int], list[float]]:
    """The best path and the probabilities of its labels, from all paths."""
    paths = list(itertools.product(range(scores.shape[1]), repeat=len(scores)))
    totals = np.array(
        [
            sum(scores[at, label] for at, label in enumerate(path)) + sum(transitions[a, b] for a, b in itertools.pairwise(path))
            for path in paths
        ]
    )
    shares = np.exp(totals - totals.max())
    shares /= shares.sum()
    best = paths[int(totals.argmax())]
    sure = [sum(share for path, share in zip(paths, shares, strict=True) if path[at] == label) for at, label in enumerate(best)]
    return list(best), sure


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_the_batch_gives_what_every_sentence_gives_alone(lengths: list[int], seed: int) -> None:
    chance = np.random.default_rng(seed)
    bounds, at = [], 0
    for length in lengths:
        bounds.append((at, at + length))
        at += length
    batch = batch_of(bounds)
    scores = chance.normal(size=(batch.size, 3)).astype(np.float32)
    transitions = chance.normal(size=(3, 3)).astype(np.float32)
    best, sure = decode(scores, transitions, batch)
    for first, last in bounds:
        path, chances = by_hand(scores[batch.rows[first:last]], transitions)
        assert best[first:last].tolist() == path
        np.testing.assert_allclose(sure[first:last], chances, atol=1e-4)


def in_logs(scores: np.ndarray, transitions: np.ndarray) -> np.ndarray:
    """Every label's probability at every place, by sums of logarithms that cannot vanish."""

    def add_up(rows: np.ndarray) -> np.ndarray:
        top = rows.max(axis=0)
        return top + np.log(np.exp(rows - top).sum(axis=0))

    ahead, behind = [scores[0]], [np.zeros(scores.shape[1])]
    for row in scores[1:]:
        ahead.append(add_up(ahead[-1][:, None] + transitions) + row)
    for row in scores[:0:-1]:
        behind.append(add_up((behind[-1] + row)[:, None] + transitions.T))
    both = np.array(ahead) + np.array(behind[::-1])
    shares = np.exp(both - both.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_probabilities_of_long_and_decided_sentences_do_not_vanish() -> None:
    chance = np.random.default_rng(3)
    batch = batch_of([(0, 120), (120, 123)])
    scores = (chance.normal(size=(batch.size, 9)) * 20).astype(np.float32)
    transitions = (chance.normal(size=(9, 9)) * 5).astype(np.float32)
    best, sure = decode(scores, transitions, batch)
    wanted = in_logs(scores[batch.rows[:120]].astype(float), transitions.astype(float))
    np.testing.assert_allclose(sure[:120], wanted[np.arange(120), best[:120]], atol=1e-4)
