"""Decoding a linear chain for many sentences side by side: the best labels and every label's probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]
NORMAL = 6
"""Steps after which running products are made to add up to one again, long before they could vanish."""
PAD = 2
"""Empty rows before, between and after sentences: what a word gives to its neighbours falls there harmlessly."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Where the tokens of a document's sentences stand among padded rows. `starts` and `lengths` are sorted,
    the longest sentence first."""

    size: int
    rows: Numbers
    bounds: tuple[tuple[int, int], ...]
    starts: Numbers
    lengths: Numbers


def batch_of(bounds: Sequence[tuple[int, int]]) -> Batch:
    """Lay out sentences, given as (first, past last) token numbers that follow each other without gap."""
    lengths = np.array([last - first for first, last in bounds], np.intp)
    starts = np.concatenate([[0], np.cumsum(lengths + PAD)[:-1]]).astype(np.intp) + PAD
    rows = np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])
    order = np.argsort(-lengths, kind="stable")
    return Batch(int(rows[-1]) + 1 + PAD, rows, tuple(bounds), starts[order], lengths[order])


def decode(scores: Floats, transitions: Floats, batch: Batch) -> tuple[Numbers, Floats]:
    """The best label of each token (Viterbi) and its probability (forward and backward), in the order of the rows."""
    best = np.zeros(batch.size, np.intp)
    sure = np.zeros(batch.size, np.float32)
    _viterbi(scores, transitions, batch, best)
    _marginals(scores, transitions, batch, best, sure)
    return best[batch.rows], sure[batch.rows]


def _active(batch: Batch, step: int) -> int:
    """How many sentences are longer than `step`."""
    return int(np.searchsorted(-batch.lengths, -step, side="left"))


def _viterbi(scores: Floats, transitions: Floats, batch: Batch, best: Numbers) -> None:
    longest = int(batch.lengths[0])
    count = [_active(batch, step) for step in range(longest)]
    reached = scores[batch.starts].copy()
    came: list[Numbers] = []
    for step in range(1, longest):
        size = count[step]
        sums = reached[:size, :, None] + transitions[None]
        came.append(sums.argmax(axis=1))
        reached[:size] = sums.max(axis=1) + scores[batch.starts[:size] + step]
    label = reached.argmax(axis=1)
    for step in range(longest - 1, -1, -1):
        size = count[step]
        best[batch.starts[:size] + step] = label[:size]
        if step:
            label[:size] = came[step - 1][np.arange(size), label[:size]]


def _marginals(scores: Floats, transitions: Floats, batch: Batch, best: Numbers, sure: Floats) -> None:
    emit = np.exp(scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
    pass_on = np.exp(transitions - transitions.max()).astype(np.float64)
    longest = int(batch.lengths[0])
    count = [_active(batch, step) for step in range(longest)]
    ahead, behind = np.zeros_like(emit), np.ones_like(emit)
    ahead[batch.starts] = emit[batch.starts]
    for step in range(1, longest):
        at = batch.starts[: count[step]] + step
        rows = (ahead[at - 1] @ pass_on) * emit[at]
        ahead[at] = rows if step % NORMAL else _normal(rows)
    for step in range(longest - 1, 0, -1):
        at = batch.starts[: count[step]] + step
        rows = (behind[at] * emit[at]) @ pass_on.T
        behind[at - 1] = rows if step % NORMAL else _normal(rows)
    both = ahead[batch.rows] * behind[batch.rows]
    chosen = np.take_along_axis(both, best[batch.rows, None], axis=1)[:, 0]
    sure[batch.rows] = chosen / (both.sum(axis=1) + 1e-300)


def _normal(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = rows / (rows.sum(axis=1, keepdims=True) + 1e-300)
    return out
