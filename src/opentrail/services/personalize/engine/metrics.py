"""Offline metrics by Personalize's definitions ("Evaluating a solution version with metrics" of the developer guide).

A query is one held-out user: a ranked list of recommendations and the items of the user's newest events. Where the guide leaves the ideal
DCG open (its example fits both readings), the usual one is taken: the best list there could be, min(K, relevant items) hits on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np
from numpy.typing import NDArray

CUTS = (5, 10, 25)
LONGEST = 25


def ranking_metrics(lists: Sequence[Sequence[int]], relevant: Sequence[Set[int]], catalogue: int) -> dict[str, float]:
    """The metric map of GetSolutionMetrics: means over queries; coverage over `catalogue` distinct items."""
    if not lists:
        raise ValueError("metrics need at least one query")
    hits = [hit_row(ranked, wanted) for ranked, wanted in zip(lists, relevant, strict=True)]
    recommended = {item for ranked in lists for item in ranked[:LONGEST]}
    result = {
        "coverage": len(recommended) / catalogue if catalogue else 0.0,
        "mean_reciprocal_rank_at_25": _mean([reciprocal_rank(row) for row in hits]),
    }
    for cut in CUTS:
        gains = [discounted_gain(row, len(wanted), cut) for row, wanted in zip(hits, relevant, strict=True)]
        result[f"normalized_discounted_cumulative_gain_at_{cut}"] = _mean(gains)
    for cut in CUTS:
        result[f"precision_at_{cut}"] = _mean([float(row[:cut].sum()) / cut for row in hits])
    return result


def hit_row(ranked: Sequence[int], wanted: Set[int]) -> NDArray[np.bool_]:
    """For each of the first 25 places whether its item is wanted."""
    return np.fromiter((item in wanted for item in ranked[:LONGEST]), np.bool_, min(len(ranked), LONGEST))


def reciprocal_rank(hits: NDArray[np.bool_]) -> float:
    """1 / place of the first hit within 25, 0 without one."""
    places = np.flatnonzero(hits)
    return 1.0 / (int(places[0]) + 1) if len(places) else 0.0


def discounted_gain(hits: NDArray[np.bool_], relevant: int, cut: int) -> float:
    """nDCG: hits weigh 1 / log(1 + place), divided by the same sum for the best possible list."""
    discounts = 1.0 / np.log2(np.arange(2, cut + 2))
    ideal = float(discounts[: min(relevant, cut)].sum())
    return float(discounts[: len(hits[:cut])][hits[:cut]].sum()) / ideal if ideal else 0.0


def average_rewards(lists: Sequence[Sequence[int]], rewards: Sequence[Mapping[int, float]], cut: int = LONGEST) -> float:
    """`average_rewards_at_k` of solutions with an objective: per user, the rewards of the user's items that were recommended,
    divided by those of the user's `cut` most rewarding items; the mean over users who have rewards."""
    shares = []
    for ranked, earned in zip(lists, rewards, strict=True):
        best = sum(sorted((value for value in earned.values() if value > 0), reverse=True)[:cut])
        if best:
            shares.append(sum(max(earned.get(item, 0.0), 0.0) for item in ranked[:cut]) / best)
    return _mean(shares)


def trend_accuracy(ranked: Sequence[int], growth: NDArray[np.float64], cut: int = LONGEST) -> float:
    """`trend_prediction_accuracy`: growth of the recommended items over that of the `cut` items that grew most in the test interval."""
    rising = np.maximum(growth, 0.0)
    best = float(np.sort(rising)[::-1][:cut].sum())
    return float(rising[np.asarray(ranked[:cut], np.int64)].sum()) / best if best else 0.0


def segment_metrics(segments: Sequence[Sequence[int]], relevant: Sequence[Set[int]], users: int) -> dict[str, float]:
    """`hit_at_k` and `recall_at_k` of user segments, K being the top 1 % of users (at least one)."""
    cut = max(1, users // 100)
    found = [len(set(segment[:cut]) & wanted) for segment, wanted in zip(segments, relevant, strict=True)]
    return {
        "coverage": len({user for segment in segments for user in segment[:cut]}) / users if users else 0.0,
        "hit_at_k": _mean([float(n > 0) for n in found]),
        "recall_at_k": _mean([n / len(wanted) for n, wanted in zip(found, relevant, strict=True) if wanted]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
