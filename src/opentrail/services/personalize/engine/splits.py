"""How data is held out to measure a model: whole users for recommendations, the newest events of every user for segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opentrail.services.personalize.engine.columns import Codes
from opentrail.services.personalize.engine.interactions import Interactions


@dataclass(frozen=True, slots=True)
class Query:
    """A held-out user: the oldest 90 % of the events as `rows` of the data before the split, the items of the newest 10 %."""

    user: int
    history: Codes
    relevant: frozenset[int]


def hold_out_users(data: Interactions, seed: int, share: float = 0.1) -> tuple[Interactions, list[Query]]:
    """Personalize's split: `share` of the users who have two or more events (at least one user) become queries, the rest trains."""
    counts = np.diff(data.starts)
    able = np.flatnonzero(counts >= 2)
    chosen = np.sort(np.random.default_rng(seed).permutation(able)[: max(1, round(share * len(able)))])
    train = data.keep(~np.isin(data.user, chosen))
    queries = []
    for user in chosen.tolist():
        items = data.history(user)
        known = min(max(1, int(0.9 * len(items))), len(items) - 1)
        queries.append(Query(user, items[:known].copy(), frozenset(items[known:].tolist())))
    return train, queries


def newest_of_each(data: Interactions, share: float = 0.2) -> tuple[Interactions, Interactions]:
    """The split of USER_SEGMENTATION: the oldest 80 % of each user's events train, the newest 20 % test."""
    place = np.arange(len(data)) - data.starts[data.user]
    counts = np.diff(data.starts)[data.user]
    train = place < np.maximum(1, np.floor((1 - share) * counts))
    return data.keep(train), data.keep(~train)


def leave_last_out(data: Interactions, users: int, seed: int) -> tuple[Interactions, list[Query]]:
    """The newest event of up to `users` users (three events or more) becomes the query's answer; all else trains."""
    able = np.flatnonzero(np.diff(data.starts) >= 3)
    chosen = np.sort(np.random.default_rng(seed).permutation(able)[:users])
    last = data.starts[chosen + 1] - 1
    rows = np.ones(len(data), np.bool_)
    rows[last] = False
    queries = [Query(int(u), data.history(int(u))[:-1].copy(), frozenset({int(data.item[at])})) for u, at in zip(chosen, last, strict=True)]
    return data.keep(rows), queries
