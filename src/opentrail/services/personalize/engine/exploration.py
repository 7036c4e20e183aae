"""Exploration of user-personalization: some places of a list go to young items with few events, drawn by what is known of each.

An item's appeal has a Beta posterior (taken, shown and not taken); each call draws from it (Thompson sampling), so items that were
shown and left alone sink. `weight` is the share of places that explore, `age` the days an item counts as young.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Mask
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


def _by_birth(arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The items with few events by when they came to be: these times, and the items."""
    few = np.flatnonzero(arrays["events"] < FEW_EVENTS)
    order = np.argsort(arrays["created"][few], kind="stable")
    return arrays["created"][few][order], few[order]


def mix_in(
    best: list[tuple[int, float | None]], how: Exploration, model: Model, mask: Mask | None, now: int, seed: int
) -> tuple[list[tuple[int, float | None]], frozenset[int]]:
    """Replace about `weight` of the places of `best` by young items that pass `mask`: the new list and which items explore."""
    born, few = model.kept("young", lambda: _by_birth(model.arrays))
    span = np.array([int(now - how.age * DAY), now], born.dtype)
    pool = few[slice(*np.searchsorted(born, span, side="right").tolist())]
    pool = np.sort(pool if mask is None else pool[mask[pool]])
    if not len(pool):
        return best, frozenset()
    pool = pool[~np.isin(pool, [at for at, _ in best])]
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(rng.random(len(best)) < how.weight)[: len(pool)]
    seen = [how.impressions.get(at, (0, 0)) for at in pool.tolist()]
    taken = np.array([one for one, _ in seen], np.float64)
    left = np.array([max(shown - one, 0) for one, shown in seen], np.float64)
    draw = rng.beta(1 + taken, 9 + left)
    chosen = pool[np.argsort(-draw, kind="stable")[: len(places)]]
    mixed = list(best)
    for place, at in zip(places.tolist(), chosen.tolist(), strict=True):
        mixed[place] = (at, best[place][1])
    return mixed, frozenset(chosen.tolist())
