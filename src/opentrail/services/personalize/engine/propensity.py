"""Next best action: how likely a user takes each action, by logistic regression on what the user and others did with it.

Source: the Next-Best-Action recipe: an action gets a score when it has at least 50 taken and 50 other (not taken, viewed) interactions
in the newest six weeks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Codes
from opentrail.services.personalize.engine.counting import Scores
from opentrail.services.personalize.engine.interactions import Interactions

LEAST_OF_EACH = 50
SIX_WEEKS = 6 * 7 * 86_400
PRIOR = 5.0
"""Pseudo-observations at the overall rate behind each action's and user's own rate."""
TAKEN = "taken"


def taken_rows(data: Interactions) -> NDArray[np.float64]:
    """1 for each interaction in which the action was taken, else 0 (not taken, viewed)."""
    codes = [code for code, name in enumerate(data.kinds) if name.lower() == TAKEN]
    return np.isin(data.kind, codes).astype(np.float64)


def fit_propensity(data: Interactions) -> dict[str, NDArray[np.float64]]:
    """Arrays: `rate` of each action, `scored` actions, `weight` of the features (see `_features`), `overall` rate."""
    taken = taken_rows(data)
    size = len(data.items)
    overall = float((taken.sum() + 1) / (len(taken) + 2))
    count = np.bincount(data.item, minlength=size)
    rate = (np.bincount(data.item, taken, minlength=size) + PRIOR * overall) / (count + PRIOR)
    recent = data.time > int(data.time.max(initial=0)) - SIX_WEEKS
    yes = np.bincount(data.item[recent], taken[recent], minlength=size)
    no = np.bincount(data.item[recent], minlength=size) - yes
    weight = _logistic(_earlier_features(data, taken, rate, overall), taken)
    return {
        "rate": rate,
        "scored": ((yes >= LEAST_OF_EACH) & (no >= LEAST_OF_EACH)).astype(np.float64),
        "weight": weight,
        "overall": np.array([overall]),
    }


def action_scores(
    rate: NDArray[np.float64], weight: NDArray[np.float64], overall: float, items: Codes, taken: NDArray[np.float64]
) -> Scores:
    """The propensity of each action for a user whose interactions were `items`, `taken` 1 or 0 each."""
    own = (taken.sum() + PRIOR * overall) / (len(taken) + PRIOR)
    yes = np.bincount(items, taken, minlength=len(rate)).astype(np.float64)
    count = np.bincount(items, minlength=len(rate)).astype(np.float64)
    return _probability(_features(rate, np.full(len(rate), own), yes, count - yes) @ weight).astype(np.float32)


def _earlier_features(data: Interactions, taken: NDArray[np.float64], rate: NDArray[np.float64], overall: float) -> NDArray[np.float64]:
    """Features of each interaction from what the same user did before it."""
    before = np.concatenate(([0.0], np.cumsum(taken)))[:-1]
    own_yes = before - before[data.starts[data.user]]
    own_count = np.arange(len(taken)) - data.starts[data.user]
    order = np.lexsort((np.arange(len(taken)), data.item, data.user))
    user, item, label = data.user[order], data.item[order], taken[order]
    fresh = np.concatenate(([True], (user[1:] != user[:-1]) | (item[1:] != item[:-1])))
    start = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    running = np.concatenate(([0.0], np.cumsum(label)))[:-1]
    yes, count = np.empty(len(order)), np.empty(len(order))
    yes[order] = running - running[start]
    count[order] = np.arange(len(order)) - start
    return _features(rate[data.item], (own_yes + PRIOR * overall) / (own_count + PRIOR), yes, count - yes)


def _features(
    rate: NDArray[np.float64], own: NDArray[np.float64], yes: NDArray[np.float64], no: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.stack([np.ones(len(rate)), _logit(rate), _logit(own), np.log1p(yes), np.log1p(no)], axis=1)


def _logit(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(rate / (1 - rate))


def _probability(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(value, -30, 30)))


def _logistic(features: NDArray[np.float64], label: NDArray[np.float64], penalty: float = 1.0) -> NDArray[np.float64]:
    weight = np.zeros(features.shape[1])
    for _ in range(20):
        chance = _probability(features @ weight)
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + penalty * np.eye(len(weight))
        step = np.linalg.solve(curve, features.T @ (label - chance) - penalty * weight)
        weight += step
        if np.abs(step).max() < 1e-8:
            break
    return weight
