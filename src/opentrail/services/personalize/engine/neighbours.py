"""Item neighbours: sparse co-occurrence of items in the users' sequences, cut to the nearest K of each item.

Only pairs at most `window` steps apart are counted, each for 1 / distance ** fade; a pair counts once in its order and `back` times against
it. Small catalogues add into a square of items x items; for large ones pairs are sorted integers (first * items + second) merged block by
block, so memory follows distinct pairs, not interactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Codes
from opentrail.services.personalize.engine.counting import Scores
from opentrail.services.personalize.engine.interactions import Interactions

PAIRS_AT_ONCE = 8_000_000
SQUARE = 36_000_000
"""Cells of the largest square that is worth its memory (144 MB): catalogues of up to 6,000 items."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Weighted ordered pairs of items: `key` is first * items + second, ascending and distinct."""

    items: int
    key: NDArray[np.int64]
    weight: NDArray[np.float32]
    count: NDArray[np.int64]
    """Interactions of each item."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest items in compressed rows: those of item i lie at starts[i]:starts[i + 1]."""

    starts: NDArray[np.int64]
    item: Codes
    value: NDArray[np.float32]


def count_pairs(data: Interactions, window: int, fade: float, within: int | None = None) -> Pairs:
    """Count pairs (earlier, later) of one user at most `window` events (and `within` seconds) apart."""
    size = len(data.items)
    count = np.bincount(data.item, minlength=size)
    if size * size <= SQUARE:
        square = np.zeros(size * size, np.float32)
        for key, weight in _pairs_by_distance(data, window, fade, within):
            np.add.at(square, key, weight)
        return _of_square(square, size, count)
    parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
    held, most = 0, PAIRS_AT_ONCE
    for key, weight in _pairs_by_distance(data, window, fade, within):
        parts.append((key, weight))
        held += len(key)
        if held > most:
            parts = [_merge(parts)]
            held = len(parts[0][0])
            # Doubling keeps the number of times a pair is sorted again small.
            most = max(PAIRS_AT_ONCE, 2 * held)
    return Pairs(size, *_merge(parts), count)


def _pairs_by_distance(
    data: Interactions, window: int, fade: float, within: int | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    size = len(data.items)
    for distance in range(1, window + 1):
        rows = np.flatnonzero(data.user[:-distance] == data.user[distance:]) if distance < len(data) else np.zeros(0, np.int64)
        if within is not None:
            rows = rows[data.time[rows + distance] - data.time[rows] <= within]
        if not len(rows):
            break
        first, second = data.item[rows].astype(np.int64), data.item[rows + distance].astype(np.int64)
        weight = data.weight[rows + distance] * np.float32(distance**-fade)
        other = first != second
        yield first[other] * size + second[other], weight[other]


def _of_square(square: NDArray[np.float32], size: int, count: NDArray[np.int64]) -> Pairs:
    key = np.flatnonzero(square)
    return Pairs(size, key, square[key], count)


def _merge(parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    key = np.concatenate([one for one, _ in parts])
    weight = np.concatenate([one for _, one in parts])
    order = np.argsort(key)
    key, weight = key[order], weight[order]
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if len(key) else np.zeros(0, np.int64)
    return key[first], np.add.reduceat(weight, first, dtype=np.float64).astype(np.float32) if len(key) else weight


def both_ways(pairs: Pairs, back: float) -> Pairs:
    """Let each pair also count `back` times in the other direction."""
    if pairs.items**2 <= SQUARE:
        square = np.zeros(pairs.items**2, np.float32)
        square[pairs.key] = pairs.weight
        square += np.float32(back) * square.reshape(pairs.items, pairs.items).T.ravel()
        return _of_square(square, pairs.items, pairs.count)
    turned = pairs.key % pairs.items * pairs.items + pairs.key // pairs.items
    key, weight = _merge([(pairs.key, pairs.weight), (turned, pairs.weight * np.float32(back))])
    return Pairs(pairs.items, key, weight, pairs.count)


def nearest(pairs: Pairs, keep: int, power: float, shrink: float, target_power: float | None = None, least: float = 0.0) -> Neighbours:
    """The `keep` nearest of each item by weight / (count_i ** power * count_j ** target_power + shrink); pairs under `least` drop out."""
    strong = pairs.weight >= least
    row, item = np.divmod(pairs.key[strong], max(pairs.items, 1))
    weight = pairs.weight[strong]
    count = pairs.count.astype(np.float32)
    own, other = count**power, count ** (power if target_power is None else target_power)
    value = np.asarray(weight / (own[row] * other[item] + np.float32(shrink)), np.float32)
    strong = _strongest(row, value, pairs.items, keep)
    row, item, value = row[strong], item[strong], value[strong]
    # One integer per pair, row first, then falling value: the bits of floats that are not negative sort as the floats do.
    falling = (np.int64(1) << 31) - value.view(np.int32).astype(np.int64)
    # Stable, so that equal values are cut alike on every machine.
    order = np.argsort((row << 32) + falling, kind="stable")
    row, item, value = row[order], item[order], value[order]
    starts = np.searchsorted(row, np.arange(pairs.items + 1))
    kept = np.arange(len(row)) - starts[row] < keep
    return Neighbours(
        np.searchsorted(row[kept], np.arange(pairs.items + 1)).astype(np.int64), item[kept].astype(np.int32), value[kept].astype(np.float32)
    )


def _strongest(row: NDArray[np.int64], value: NDArray[np.float32], items: int, keep: int) -> NDArray[np.bool_]:
    """Of pairs sorted by row, those whose value reaches the `keep` best of their row: what is left is cheap to sort."""
    starts = np.searchsorted(row, np.arange(items + 1))
    least = np.full(items, -np.inf, np.float32)
    for at in np.flatnonzero(np.diff(starts) > keep).tolist():
        own = value[starts[at] : starts[at + 1]]
        least[at] = np.partition(own, len(own) - keep)[len(own) - keep]
    return np.asarray(value >= least[row], np.bool_)


def history_scores(near: Neighbours, history: NDArray[Any], decay: float, length: int, items: int) -> Scores:
    """Score all items for a history (oldest first): neighbours of its last `length` items, each step back weighing `decay`."""
    scores = np.zeros(items, np.float32)
    np.add.at(scores, *_weighed(near, history, decay, length))
    return scores


def near_scores(near: Neighbours, history: NDArray[Any], decay: float, length: int) -> tuple[NDArray[np.int64], Scores]:
    """The same for the neighbours alone (ascending): cost follows their number, not that of the catalogue."""
    item, value = _weighed(near, history, decay, length)
    if not len(item):
        return np.zeros(0, np.int64), value
    # One integer holds item and place: sorting those is several times as fast as an argsort, and keeps the order of the places.
    order = np.sort((item.astype(np.int64) << 32) + np.arange(len(item)))
    sorted_: NDArray[np.int64] = order >> 32
    first = np.concatenate(([0], np.flatnonzero(sorted_[1:] != sorted_[:-1]) + 1))
    summed: Scores = np.add.reduceat(value[order & 0xFFFFFFFF], first)
    return sorted_[first], summed


def _weighed(near: Neighbours, history: NDArray[Any], decay: float, length: int) -> tuple[Codes, Scores]:
    """The neighbours of each of the last items one after the other, and how much each weighs."""
    recent = np.asarray(history[-length:][::-1], np.int64)
    start = near.starts[recent]
    count = near.starts[recent + 1] - start
    end = np.cumsum(count)
    places = np.arange(end[-1] if len(end) else 0) + np.repeat(start - end + count, count)
    step = np.repeat(np.power(decay, np.arange(len(recent))).astype(np.float32), count)
    return near.item[places], near.value[places] * step
