"""EASE: a linear item-to-item model in closed form, for the most used items of small catalogues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Codes
from opentrail.services.personalize.engine.interactions import Interactions

MOST_ITEMS = 2_000


def fit_ease(data: Interactions, penalty: float) -> tuple[Codes, NDArray[np.float32]]:
    """(items, B): scores of `items` for a history are the sums of B's rows; B has a zero diagonal (Steck, 2019)."""
    count = np.bincount(data.item, minlength=len(data.items))
    items = np.sort(np.argsort(-count, kind="stable")[: min(MOST_ITEMS, int((count > 0).sum()))]).astype(np.int32)
    place = np.full(len(data.items), -1, np.int32)
    place[items] = np.arange(len(items))
    inside = place[data.item] >= 0
    gram = _gram(data.user[inside], place[data.item[inside]], len(data.users), len(items))
    gram[np.diag_indices(len(items))] += penalty
    inverse = np.linalg.inv(gram)
    weights = (-inverse / np.diag(inverse)).astype(np.float32)
    weights[np.diag_indices(len(items))] = 0
    return items, weights


def _gram(user: Codes, item: Codes, users: int, items: int) -> NDArray[np.float64]:
    gram = np.zeros((items, items), np.float64)
    for first in range(0, users, 2_000):
        rows = slice(*np.searchsorted(user, (first, first + 2_000)))
        block = np.zeros((min(2_000, users - first), items), np.float32)
        block[user[rows] - first, item[rows]] = 1
        gram += block.T @ block
    return gram
