"""Recipes that count: popularity (distinct users per item) and trends (growth of interactions between intervals)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.interactions import Interactions

Scores = NDArray[np.float32]
SHRINK = 10.0
"""Interactions added to both sides of a growth rate, so that a rise from 0 to 2 does not beat one from 100 to 300."""


def popularity(data: Interactions) -> Scores:
    """The number of distinct users of each item (popularity-count); equal counts are ordered by plain interactions."""
    pairs = np.unique(data.user.astype(np.int64) * len(data.items) + data.item)
    users = np.bincount((pairs % max(len(data.items), 1)).astype(np.int64), minlength=len(data.items))
    events = np.bincount(data.item, minlength=len(data.items))
    return np.asarray(users + events / (events.max(initial=0) + 1.0), np.float32)


def growth(data: Interactions, end: int, interval: int) -> NDArray[np.float64]:
    """How much faster each item is taken in the `interval` seconds up to `end` than in the one before: a shrunk difference."""
    size = len(data.items)
    now = np.bincount(data.item[(data.time > end - interval) & (data.time <= end)], minlength=size)
    before = np.bincount(data.item[(data.time > end - 2 * interval) & (data.time <= end - interval)], minlength=size)
    return np.asarray((now - before) * (now + SHRINK) / (before + SHRINK), np.float64)


def trending(data: Interactions, end: int, interval: int) -> Scores:
    """Items by growth; those that do not grow follow by popularity."""
    rising = np.maximum(growth(data, end, interval), 0.0)
    fill = popularity(data)
    return np.asarray(rising + fill / (fill.max(initial=0.0) + 1.0) * 1e-3, np.float32)
