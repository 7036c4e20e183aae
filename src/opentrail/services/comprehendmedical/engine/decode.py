"""Decoding a linear chain for many sentences side by side: the best labels and every label's probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]
Steps = tuple[tuple[int, int], ...]
NORMAL = 6
"""Steps after which running products are made to add up to one again, long before they could vanish."""
PAD = 2
"""Empty rows before, between and after sentences: what a word gives to its neighbours falls there harmlessly."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Where the tokens of a document's sentences stand among padded rows. `starts` and `lengths` are sorted,
    the longest sentence first. `order` are the rows as decoding walks them: the first tokens of all sentences, then the second ones;
    `steps` where each of these runs begins in `order`, and how long it is."""

    size: int
    rows: Numbers
    bounds: tuple[tuple[int, int], ...]
    starts: Numbers
    lengths: Numbers
    order: Numbers
    steps: Steps


def batch_of(bounds: Sequence[tuple[int, int]]) -> Batch:
    """Lay out sentences, given as (first, past last) token numbers that follow each other without gap."""
    lengths = np.array([last - first for first, last in bounds], np.intp)
    starts = np.concatenate([[0], np.cumsum(lengths + PAD)[:-1]]).astype(np.intp) + PAD
    rows = np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    counts: list[int] = np.searchsorted(-lengths, -np.arange(int(lengths[0])), side="left").tolist()
    walked = np.concatenate([starts[:count] + step for step, count in enumerate(counts)])
    steps = tuple(zip([0, *accumulate(counts[:-1])], counts, strict=True))
    return Batch(int(rows[-1]) + 1 + PAD, rows, tuple(bounds), starts, lengths, walked, steps)


def decode(scores: Floats, transitions: Floats, batch: Batch) -> tuple[Numbers, Floats]:
    """The best label of each token (Viterbi) and its probability (forward and backward), in the order of the rows."""
    told = scores[batch.order]
    best, sure = np.zeros(batch.size, np.intp), np.zeros(batch.size, np.float32)
    labels = _viterbi(told, transitions, batch.steps)
    best[batch.order] = labels
    sure[batch.order] = _marginals(told, transitions, batch.steps, labels)
    return best[batch.rows], sure[batch.rows]


def _viterbi(told: Floats, transitions: Floats, steps: Steps) -> Numbers:
    onto = np.ascontiguousarray(transitions.T)
    reached = told[: steps[0][1]].copy()
    came: list[Numbers] = []
    for first, size in steps[1:]:
        sums = reached[:size, None, :] + onto
        came.append(sums.argmax(axis=2))
        np.add(sums.max(axis=2), told[first : first + size], out=reached[:size])
    best, label, places = np.zeros(len(told), np.intp), reached.argmax(axis=1), np.arange(steps[0][1])
    for step in range(len(steps) - 1, -1, -1):
        first, size = steps[step]
        best[first : first + size] = label[:size]
        if step:
            label[:size] = came[step - 1][places[:size], label[:size]]
    return best


def _marginals(told: Floats, transitions: Floats, steps: Steps, best: Numbers) -> Floats:
    emit = np.exp(told - told.max(axis=1, keepdims=True)).astype(np.float64)
    pass_on = np.exp(transitions - transitions.max()).astype(np.float64)
    ahead, behind = emit.copy(), np.ones_like(emit)
    for step in range(1, len(steps)):
        (before, _), (first, size) = steps[step - 1], steps[step]
        rows = ahead[before : before + size] @ pass_on
        rows *= emit[first : first + size]
        ahead[first : first + size] = rows if step % NORMAL else _normal(rows)
    for step in range(len(steps) - 1, 0, -1):
        (before, _), (first, size) = steps[step - 1], steps[step]
        rows = (behind[first : first + size] * emit[first : first + size]) @ pass_on.T
        behind[before : before + size] = rows if step % NORMAL else _normal(rows)
    both = ahead * behind
    chosen = np.take_along_axis(both, best[:, None], axis=1)[:, 0]
    sure: Floats = (chosen / (both.sum(axis=1) + 1e-300)).astype(np.float32)
    return sure


def _normal(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = rows / (rows.sum(axis=1, keepdims=True) + 1e-300)
    return out
