"""Exploration of user-personalization: some places of a list go to young items with few events, drawn by what is known of each.

An item's appeal has a Beta posterior (taken, shown and not taken); each call draws from it (Thompson sampling), so items that were
shown and left alone sink. `weight` is the share of places that explore, `age` the days an item counts as young.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Mask, Table
from opentrail.services.personalize.engine.models import Model
from opentrail.services.personalize.engine.recipes import Settings

FEW_EVENTS = 20
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Exploration:
    """`itemExplorationConfig` of a campaign, and per item index how often it was (taken, shown) since the model was trained."""

    weight: float = 0.3
    age: float = 30.0
    impressions: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @staticmethod
    def read(settings: Settings) -> Exploration:
        """The exploration of campaign settings `exploration_weight` and `exploration_item_age_cut_off`."""
        return Exploration(float(settings.get("exploration_weight", 0.3)), float(settings.get("exploration_item_age_cut_off", 30.0)))


def count_impressions(tables: Sequence[Table], model_items: Mapping[str, int]) -> dict[str, NDArray[np.int32]]:
    """How often each item was shown in the impressions of events, and how often it was the one that was taken then."""
    shown, taken = np.zeros(len(model_items), np.int32), np.zeros(len(model_items), np.int32)
    for table in tables:
        listed, item = table.columns.get("IMPRESSION"), table.columns["ITEM_ID"]
        if listed is None or listed.texts is None or item.codes is None:
            continue
        for row, text in enumerate(listed.texts):
            if text:
                names = text.split("|")
                places = [model_items[name] for name in names if name in model_items]
                shown[places] += 1
                name = item.vocabulary[int(item.codes[row])]
                if name in names and name in model_items:
                    taken[model_items[name]] += 1
    return {"shown": shown, "taken": taken}


def _seen(how: Exploration, arrays: Mapping[str, NDArray[Any]], pool: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """How often each item of the pool was taken when it was shown, and how often it was left alone."""
    seen = [how.impressions.get(at, (0, 0)) for at in pool.tolist()] if how.impressions else [(0, 0)] * len(pool)
    counts = np.array(seen, np.float64).reshape(-1, 2)
    if "shown" in arrays:
        counts += np.stack([arrays["taken"][pool], arrays["shown"][pool]], axis=1)
    return counts[:, 0], np.maximum(counts[:, 1] - counts[:, 0], 0)


def _by_birth(arrays: Mapping[str, NDArray[Any]]) -> tuple[list[int], NDArray[np.int64]]:
    """The items with few events by when they came to be: these times, and the items."""
    few = np.flatnonzero(arrays["events"] < FEW_EVENTS)
    order = np.argsort(arrays["created"][few], kind="stable")
    return arrays["created"][few][order].tolist(), few[order]


def young(how: Exploration, model: Model, now: int) -> NDArray[np.int64]:
    """The items that may be explored, the oldest first."""
    born, few = model.kept("young", lambda: _by_birth(model.arrays))
    return few[bisect_right(born, now - how.age * DAY) : bisect_right(born, now)]


def mix_in(
    best: list[tuple[int, float | None]], how: Exploration, model: Model, mask: Mask | None, now: int, seed: int
) -> tuple[list[tuple[int, float | None]], frozenset[int]]:
    """Replace about `weight` of the places of `best` by young items that pass `mask`: the new list and which items explore."""
    pool = young(how, model, now)
    if not len(pool):
        return best, frozenset()
    pool = np.sort(pool if mask is None else pool[mask[pool]])
    pool = pool[~np.isin(pool, [at for at, _ in best])]
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(rng.random(len(best)) < how.weight)[: len(pool)]
    taken, left = _seen(how, model.arrays, pool)
    draw = rng.beta(1 + taken, 9 + left)
    chosen = pool[np.argsort(-draw, kind="stable")[: len(places)]]
    mixed = list(best)
    for place, at in zip(places.tolist(), chosen.tolist(), strict=True):
        mixed[place] = (at, best[place][1])
    return mixed, frozenset(chosen.tolist())
