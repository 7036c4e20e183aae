"""From a model and a history to a score for every item: one function per kind of model, chosen by the card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine import sequence
from opentrail.services.personalize.engine.columns import Mask
from opentrail.services.personalize.engine.counting import Scores
from opentrail.services.personalize.engine.models import Model
from opentrail.services.personalize.engine.neighbours import Neighbours, history_scores, near_scores
from opentrail.services.personalize.engine.topk import top_k

History = NDArray[Any]
RELATED_BOOST = 0.1
"""Scores of related items are cosines: an aim moves them by a tenth of what it moves log scores."""


def score_history(model: Model, history: History) -> Scores:
    """Scores of all items for a user who took `history` (indexes, oldest first). Without known items: popularity."""
    if not len(history) or model.card["kind"] == "fixed":
        return np.array(model.arrays["popular"], np.float32)
    scores = _KINDS[model.card["kind"]](model, history)
    if not model.card.get("repeats", True):
        # Users of this data do not take an item twice, so what they have comes after all else.
        scores[history] = np.minimum(scores[history], 0) - 1e3
    return scores


def score_item(model: Model, item: int) -> Scores:
    """Scores of all items as company of `item`, which itself never counts."""
    if model.card["kind"] == "neighbours":
        scores = np.full(len(model.items), -np.inf, np.float32)
        near, value = score_near(model, item)
        scores[near] = value
    elif model.card["kind"] == "fixed":
        scores = np.array(model.arrays["popular"], np.float32)
    else:
        scores = np.asarray(model.arrays["vectors"] @ model.arrays["vectors"][item], np.float32)
    scores[item] = -np.inf
    return scores


def score_near(model: Model, item: int) -> tuple[NDArray[np.int64], Scores]:
    """The same for a model of neighbours and those items alone (ascending) that have a score."""
    start, end = model.arrays["near_starts"][item : item + 2].tolist()
    near = model.arrays["near_item"][start:end].astype(np.int64)
    order = np.argsort(near)
    order = order[near[order] != item]
    return near[order], model.arrays["near_value"][start:end][order]


def neighbours_of(arrays: Mapping[str, NDArray[Any]]) -> Neighbours:
    """The neighbour lists of a model's arrays."""
    return Neighbours(arrays["near_starts"], arrays["near_item"], arrays["near_value"])


class Sparse(NamedTuple):
    """Scores of a model of neighbours: `items` (ascending) have `scores` of their own, all others that of their popularity. `mass` is
    what the softmax of all others sums up to, before the shift that keeps exponents small."""

    items: NDArray[np.int64]
    scores: Scores
    mass: float


def score_sparsely(model: Model, history: History) -> Sparse:
    """What `score_history` says for a model of neighbours and a user with a history, without touching every item."""
    weight = np.float32(model.card["popular_weight"])
    items, near = near_scores(neighbours_of(model.arrays), history, model.card["decay"], model.card["length"])
    repeats = model.card.get("repeats", True)
    if not repeats:
        taken = np.setdiff1d(history, items)
        items, near = np.concatenate((items, taken)), np.concatenate((near, np.zeros(len(taken), np.float32)))
        order = np.argsort(items)
        items, near = items[order], near[order]
    scores = np.asarray(near + model.arrays["popular"][items] * weight, np.float32)
    if not repeats:
        taken = np.searchsorted(items, history)
        scores[taken] = np.minimum(scores[taken], 0) - 1e3
    raised, total = popular_mass(model)
    return Sparse(items, scores, max(total - float(raised[items].sum()), 0.0))


def popular_mass(model: Model) -> tuple[NDArray[np.float64], float]:
    """What each item of a model of neighbours adds to the softmax by its popularity alone, and the sum."""
    return model.kept("mass", lambda: _mass(model, float(model.card["popular_weight"]) / float(model.card.get("temperature", 1.0))))


def popular_shares(model: Model) -> tuple[NDArray[np.float64], float]:
    """What the softmax makes of the popularity of each item, before it is divided by the second value, their sum."""
    return model.kept("popular shares", lambda: _mass(model, 1 / float(model.card.get("temperature", 1.0)), shift=True))


def _mass(model: Model, scale: float, shift: bool = False) -> tuple[NDArray[np.float64], float]:
    popular = model.arrays["popular"].astype(np.float64)
    raised: NDArray[np.float64] = np.exp((popular - popular.max(initial=0.0) if shift else popular) * scale)
    return raised, float(raised.sum())


def shares(chosen: Scores, others: Scores, items: int, temperature: float) -> NDArray[np.float64]:
    """Softmax of `chosen` among `items` items of which `others` stand for all that were not chosen."""
    if not len(chosen):
        return np.zeros(0)
    top = max(float(chosen.max()), float(others.max(initial=-np.inf)))
    rest = np.exp((others - np.float32(top)) * np.float32(1 / temperature))
    counted = np.count_nonzero(others > -np.inf)
    tail = float(rest.sum(dtype=np.float64)) * (items - len(chosen)) / counted if counted else 0.0
    raised: NDArray[np.float64] = np.exp((chosen.astype(np.float64) - top) / temperature)
    raised /= raised.sum() + tail
    return raised


def by_popularity(model: Model, k: int, but: NDArray[np.int64], mask: Mask | None) -> NDArray[np.int64]:
    """The k most popular items that the mask lets through, without those of `but` (ascending); equal ones by index."""
    order = popular_order(model)
    first = order[: 8 * k + len(but)]
    found = _without(first if mask is None else first[mask[first]], but)
    if len(found) >= k or mask is None:
        return found[:k]
    # Few are let through: those are looked at instead of going down the whole order.
    left: NDArray[np.int64] = _without(np.flatnonzero(mask), but)
    return left[top_k(np.asarray(model.arrays["popular"][left], np.float32), k)]


def popular_order(model: Model) -> NDArray[np.int64]:
    """All items, the most popular first, equal ones by index."""
    order: NDArray[np.int64] = model.kept("order", lambda: np.argsort(-model.arrays["popular"], kind="stable"))
    return order


def _without(items: NDArray[np.int64], but: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(but):
        return items
    other: NDArray[np.bool_] = but[np.minimum(np.searchsorted(but, items), len(but) - 1)] != items
    return items[other]


def _by_neighbours(model: Model, history: History) -> Scores:
    scores = history_scores(neighbours_of(model.arrays), history, model.card["decay"], model.card["length"], len(model.items))
    return np.asarray(scores + model.arrays["popular"] * np.float32(model.card["popular_weight"]), np.float32)


def _by_ease(model: Model, history: History) -> Scores:
    scores = model.arrays["popular"] * np.float32(model.card["popular_weight"])
    items, place = model.arrays["ease_items"], model.arrays["ease_place"]
    recent = place[history[-model.card["length"] :]]
    weight = np.float32(model.card["decay"]) ** np.arange(len(recent))[::-1]
    scores[items] += (weight[recent >= 0].astype(np.float32) @ model.arrays["ease"][recent[recent >= 0]]).astype(np.float32)
    return np.asarray(scores, np.float32)


def _by_sequence(model: Model, history: History) -> Scores:
    return np.asarray(model.arrays["vectors"] @ sequence.encode(model.arrays, model.card, history), np.float32)


def _by_blend(model: Model, history: History) -> Scores:
    near = _KINDS[model.card["near_kind"]](model, history)
    return np.asarray(_by_sequence(model, history) + np.float32(model.card["near_weight"]) * near, np.float32)


def _by_vectors(model: Model, history: History) -> Scores:
    return score_item(model, int(history[-1]))


_KINDS: Mapping[str, Callable[[Model, History], Scores]] = {
    "neighbours": _by_neighbours,
    "ease": _by_ease,
    "sequence": _by_sequence,
    "vectors": _by_vectors,
    "blend": _by_blend,
}
