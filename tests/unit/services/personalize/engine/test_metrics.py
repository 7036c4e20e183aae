"""Metrics: the guide's worked example, and an independent recomputation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.personalize.engine.metrics import (
    average_rewards,
    discounted_gain,
    hit_row,
    ranking_metrics,
    reciprocal_rank,
    segment_metrics,
    trend_accuracy,
)
from opentrail.services.personalize.engine.splits import hold_out_users, leave_last_out, newest_of_each

from .generated import walks


def test_the_worked_example() -> None:
    hits = hit_row([10, 11, 12, 13, 14], {11, 14})
    assert reciprocal_rank(hits) == pytest.approx(0.5)
    assert discounted_gain(hits, 2, 5) == pytest.approx(0.6241, abs=5e-5)
    assert ranking_metrics([[10, 11, 12, 13, 14]], [{11, 14}], 20)["precision_at_5"] == pytest.approx(0.4)


def recomputed(lists: list[list[int]], relevant: list[set[int]], catalogue: int) -> dict[str, float]:
    total: dict[str, float] = {}

    def add(name: str, value: float) -> None:
        total[name] = total.get(name, 0.0) + value / len(lists)

    for ranked, wanted in zip(lists, relevant, strict=True):
        first = next((place for place, item in enumerate(ranked, 1) if place <= 25 and item in wanted), 0)
        add("mean_reciprocal_rank_at_25", 1 / first if first else 0.0)
        for k in (5, 10, 25):
            gain = sum(1 / math.log(1 + place) for place, item in enumerate(ranked, 1) if place <= k and item in wanted)
            best = sum(1 / math.log(1 + place) for place in range(1, min(k, len(wanted)) + 1))
            add(f"normalized_discounted_cumulative_gain_at_{k}", gain / best if best else 0.0)
            add(f"precision_at_{k}", sum(item in wanted for item in ranked[:k]) / k)
    total["coverage"] = len(set().union(*(ranked[:25] for ranked in lists))) / catalogue
    return total


rankings = st.lists(st.integers(0, 60), unique=True, max_size=30)


@settings(deadline=None)
@given(st.lists(st.tuples(rankings, st.sets(st.integers(0, 60), max_size=30)), min_size=1, max_size=8))
def test_metrics_equal_a_recomputation(queries: list[tuple[list[int], set[int]]]) -> None:
    lists, relevant = [one for one, _ in queries], [one for _, one in queries]
    assert ranking_metrics(lists, relevant, 61) == pytest.approx(recomputed(lists, relevant, 61), abs=1e-9)


def test_no_queries_have_no_metrics() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ranking_metrics([], [], 10)


def test_rewards_trends_and_segments() -> None:
    assert average_rewards([[1, 2, 3]], [{1: 5.0, 9: 5.0}]) == pytest.approx(0.5)
    assert average_rewards([[1], [2]], [{1: 5.0}, {}]) == pytest.approx(1.0)
    assert trend_accuracy([0, 1], np.array([3.0, -1.0, 6.0]), cut=2) == pytest.approx(3 / 9)
    found = segment_metrics([[1, 2, 3], [4, 5, 6]], [{2, 9}, {1}], users=200)
    assert found == pytest.approx({"coverage": 4 / 200, "hit_at_k": 0.5, "recall_at_k": 0.25})


def test_a_tenth_of_the_users_is_held_out_with_their_newest_tenth() -> None:
    data = walks(users=120, length=20)
    train, queries = hold_out_users(data, seed=3)
    assert len(queries) == 12
    assert not set(train.user.tolist()) & {query.user for query in queries}
    for query in queries:
        items = data.history(query.user).tolist()
        assert query.history.tolist() == items[:18]
        assert query.relevant == set(items[18:])
    assert [query.user for query in hold_out_users(data, seed=3)[1]] == [query.user for query in queries]
    assert [query.user for query in hold_out_users(data, seed=4)[1]] != [query.user for query in queries]


@settings(deadline=None)
@given(st.integers(2, 30), st.integers(0, 3))
def test_every_held_out_user_has_a_history_and_an_answer(length: int, seed: int) -> None:
    for query in hold_out_users(walks(users=5, length=length), seed)[1]:
        assert len(query.history) >= 1
        assert query.relevant


def test_splits_in_time() -> None:
    data = walks(users=10, length=10)
    train, test = newest_of_each(data)
    assert (len(train), len(test)) == (80, 20)
    assert all(train.time[train.user == user].max() <= test.time[test.user == user].min() for user in range(10))
    train, queries = leave_last_out(data, 4, 0)
    assert len(train) == 96
    assert all(query.relevant == {int(data.history(query.user)[-1])} for query in queries)
