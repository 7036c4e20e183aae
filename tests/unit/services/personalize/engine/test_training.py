"""Training: every recipe learns the structure of generated data, the same seed gives the same model, settings keep to their ranges."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize.engine.aims import Aim, Dataset
from opentrail.services.personalize.engine.counting import growth, popularity, trending
from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.linear import fit_ease
from opentrail.services.personalize.engine.models import load_model, save_model
from opentrail.services.personalize.engine.neighbours import both_ways, count_pairs, nearest
from opentrail.services.personalize.engine.personal import Choice, choose, repeat_share
from opentrail.services.personalize.engine.recipes import (
    Ranges,
    check_ranges,
    default_ranges,
    draw_settings,
    find_recipe,
    read_settings,
    recipes,
)
from opentrail.services.personalize.engine.scoring import score_history, score_item
from opentrail.services.personalize.engine.topk import top_k
from opentrail.services.personalize.engine.training import Trained, train, tune, update

from .generated import CHAIN, chain_items, walks, with_kinds

DATA = walks()
ITEMS = chain_items(DATA)
GAIN = "normalized_discounted_cumulative_gain_at_10"


def trained(name: str, data: Interactions = DATA, seed: int = 0, aims: tuple[Aim, ...] = ()) -> Trained:
    recipe = find_recipe(name)
    return train(recipe, Dataset(data, ITEMS), read_settings(recipe, {}), seed, aims=aims)


def test_personal_recipes_beat_popularity_and_follow_the_chain() -> None:
    found = trained("aws-user-personalization-v2")
    assert found.metrics[GAIN] > 2 * found.baselines["popularity"][GAIN]
    assert top_k(score_history(found.model, np.array([41, 42, 43])), 1).tolist() == [44]


def test_metrics_follow_from_the_exported_evaluation() -> None:
    found = trained("aws-user-personalization-v2")
    assert len(found.evaluation) == 12
    total = {"precision_at_5": 0.0, "mean_reciprocal_rank_at_25": 0.0, GAIN: 0.0}
    for one in found.evaluation:
        wanted = set(one.relevant)
        places = [place for place, item in enumerate(one.recommended, 1) if item in wanted]
        total["precision_at_5"] += sum(place <= 5 for place in places) / 5 / 12
        total["mean_reciprocal_rank_at_25"] += (1 / places[0] if places else 0) / 12
        ideal = sum(1 / math.log(1 + place) for place in range(1, min(10, len(wanted)) + 1))
        total[GAIN] += sum(1 / math.log(1 + place) for place in places if place <= 10) / ideal / 12
    for name, value in total.items():
        assert found.metrics[name] == pytest.approx(value, abs=1e-6)
    assert found.metrics["coverage"] == len({item for one in found.evaluation for item in one.recommended}) / len(DATA.items)


def test_popularity_counts_users_not_events() -> None:
    data = from_arrays([0, 0, 0, 1, 2], [0, 0, 0, 1, 1], [1, 2, 3, 4, 5], 3, 3)
    assert np.floor(popularity(data)).tolist() == [1, 2, 0]
    assert trained("aws-popularity-count").metrics == trained("aws-popularity-count").baselines["popularity"]


def test_trends_are_rises_between_intervals() -> None:
    item = [0] * 40 + [1] * 10 + [0] * 40 + [1] * 30
    time = [50] * 50 + [150] * 70
    data = from_arrays([0] * 120, item, time, 1, 3)
    assert growth(data, 200, 100).tolist() == [0.0, 20 * 40 / 20, 0.0]
    assert top_k(trending(data, 200, 100), 3).tolist() == [1, 0, 2]


def test_related_items_come_from_the_same_chain() -> None:
    for name, k in (("aws-sims", 3), ("aws-similar-items", 3), ("aws-semantic-similarity", 1)):
        model = trained(name).model
        near = top_k(score_item(model, 45), k)
        assert 45 not in near
        assert {int(at) // CHAIN for at in near} == {2}, name


def test_a_model_is_named_by_its_content_and_comes_back(tmp_path: Path) -> None:
    first = trained("aws-user-personalization")
    folder = save_model(first.model, tmp_path)
    assert save_model(trained("aws-user-personalization").model, tmp_path) == folder
    assert save_model(trained("aws-user-personalization", seed=1).model, tmp_path) != folder
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    model = load_model(folder, verify=True)
    assert list(model.items) == list(DATA.items)
    assert model.index("7") == 7
    assert model.index("nothing") == -1
    history = np.array([1, 2, 3])
    np.testing.assert_array_equal(score_history(model, history), score_history(first.model, history))
    (folder / "popular.npy").write_bytes((folder / "popular.npy").read_bytes()[:-1] + b"?")
    with pytest.raises(ServiceError):
        load_model(folder, verify=True)


def test_pairs_are_counted_within_the_window() -> None:
    data = from_arrays([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [0, 10, 500, 0, 10], 2, 3)

    def found(window: int, fade: float, within: int | None = None) -> dict[tuple[int, int], float]:
        pairs = count_pairs(data, window, fade, within)
        return {(int(key) // 3, int(key) % 3): float(weight) for key, weight in zip(pairs.key, pairs.weight, strict=True)}

    assert found(1, 0.0) == {(0, 1): 2.0, (1, 2): 1.0}
    assert found(2, 1.0) == {(0, 1): 2.0, (0, 2): 0.5, (1, 2): 1.0}
    assert found(2, 0.0, within=60) == {(0, 1): 2.0}
    turned = both_ways(count_pairs(data, 1, 0.0), 0.5)
    assert dict(zip(turned.key.tolist(), turned.weight.tolist(), strict=True)) == {1: 2.0, 3: 1.0, 5: 1.0, 7: 0.5}
    near = nearest(turned, 1, 0.0, 0.0)
    assert near.item.tolist() == [1, 0, 1]
    assert nearest(turned, 9, 0.0, 0.0, least=1.5).item.tolist() == [1]


def test_the_square_and_sorted_blocks_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    square = both_ways(count_pairs(DATA, 8, 0.5), 0.5)
    monkeypatch.setattr("opentrail.services.personalize.engine.neighbours.SQUARE", 0)
    monkeypatch.setattr("opentrail.services.personalize.engine.neighbours.PAIRS_AT_ONCE", 100)
    blocks = both_ways(count_pairs(DATA, 8, 0.5), 0.5)
    np.testing.assert_array_equal(square.key, blocks.key)
    np.testing.assert_allclose(square.weight, blocks.weight, rtol=1e-5)
    near = nearest(square, 7, 0.5, 1.0)
    for item in range(len(DATA.items)):
        row = square.key // len(DATA.items) == item
        other = square.key[row] % len(DATA.items)
        value = square.weight[row] / (np.sqrt(square.count[item] * square.count[other]) + 1)
        np.testing.assert_allclose(near.value[near.starts[item] : near.starts[item + 1]], np.sort(value)[::-1][:7], rtol=1e-5)


def test_ease_solves_its_equation() -> None:
    items, weights = fit_ease(DATA, 50.0)
    dense = np.zeros((len(DATA.users), len(DATA.items)))
    dense[DATA.user, DATA.item] = 1
    dense = dense[:, items]
    assert np.abs(np.diag(weights)).max() == 0
    # At the optimum the gradient of |X - XB|^2 + 50 |B|^2 vanishes off the diagonal.
    gradient = dense.T @ (dense @ weights - dense) + 50 * weights
    np.fill_diagonal(gradient, 0)
    assert np.abs(gradient).max() < 1e-2


def test_validation_chooses_without_recency_when_told() -> None:
    assert choose(DATA, 50, recency=False, seed=0).decay == 1.0
    assert choose(from_arrays([0], [0], [0], 1, 1), 50, recency=True, seed=0) == Choice(length=50, decay=0.8)


def test_items_seen_before_come_back_only_where_users_repeat() -> None:
    assert repeat_share(from_arrays([0, 0, 0, 0], [1, 1, 1, 2], [1, 2, 3, 4], 1, 3)) == 0.5
    once = from_arrays(
        np.repeat(np.arange(100, dtype=np.int32), 10), np.tile(np.arange(10, dtype=np.int32), 100), list(range(1000)), 100, 12
    )
    model = train(find_recipe("aws-user-personalization-v2"), Dataset(once), {}, 0).model
    assert model.card["repeats"] is False
    assert not set(top_k(score_history(model, np.arange(8)), 4).tolist()) & set(range(8))


def test_domain_recipes_train_on_their_events() -> None:
    data = with_kinds(walks(users=300), ["view", "Purchase"])
    views = trained("aws-ecomm-popular-items-by-views", data).model
    only = data.keep(data.kind == 0)
    assert top_k(views.arrays["popular"], 3).tolist() == top_k(popularity(only), 3).tolist()
    with pytest.raises(ServiceError) as caught:
        trained("aws-vod-most-popular", data)
    assert caught.value.for_caller() == "Dataset has fewer than 1000 interactions after filtering by event type: Watch"


def test_all_offered_recipes_train() -> None:
    data = with_kinds(walks(users=500), ["View", "Purchase", "Watch"])
    for name, recipe in recipes().items():
        if not recipe.withdrawn and recipe.engine not in ("actions", "personal"):
            assert trained(name, data).model.card["recipe"] == name


def test_refused_recipes_and_data() -> None:
    for name in ("aws-hrnn", "aws-nothing"):
        with pytest.raises(ServiceError):
            find_recipe(name)
    semantic = find_recipe("aws-semantic-similarity")
    with pytest.raises(ServiceError) as caught:
        train(semantic, Dataset(DATA), {}, 0)
    assert "needs an Items dataset" in caught.value.for_caller()


def test_settings_keep_to_their_ranges() -> None:
    sims = find_recipe("aws-sims")
    assert read_settings(sims, {"min_cointeraction_count": "7"})["min_cointeraction_count"] == 7
    bad = [("min_cointeraction_count", "11"), ("min_cointeraction_count", "x"), ("colour", "1"), ("popularity_discount_factor", "nan")]
    for name, value in bad:
        with pytest.raises(ServiceError):
            read_settings(sims, {name: value})
    with pytest.raises(ServiceError):
        read_settings(find_recipe("aws-user-personalization"), {"recency_mask": "maybe"})


def test_hyperparameter_search_draws_within_ranges_and_keeps_the_best() -> None:
    sims = find_recipe("aws-sims")
    ranges = check_ranges(sims, default_ranges(sims))
    assert set(ranges.continuous) == {"popularity_discount_factor"}
    settings = read_settings(sims, {})
    for trial in range(1, 20):
        drawn = draw_settings(sims, settings, ranges, trial, seed=0)
        assert drawn == draw_settings(sims, settings, ranges, trial, seed=0)
        assert 0 <= float(drawn["min_cointeraction_count"]) <= 10
    for wrong in (
        Ranges(integer={"min_cointeraction_count": (0, 11)}),
        Ranges(integer={"min_cointeraction_count": (5, 3)}),
        Ranges(continuous={"max_user_history_length_percentile": (0.0, 0.5)}),
    ):
        with pytest.raises(ServiceError):
            check_ranges(sims, wrong)
    best, trials = tune(sims, Dataset(DATA), settings, ranges, 3, 0)
    assert len(trials) == 3
    assert best.settings == max(trials, key=lambda trial: trial[1])[0]
    assert best.metrics == train(sims, Dataset(DATA), best.settings, 0).metrics
    affinity = find_recipe("aws-item-affinity")
    _, trials = tune(affinity, Dataset(DATA), read_settings(affinity, {}), default_ranges(affinity), 2, 0)
    assert [value > 0 for _, value in trials] == [True, True]


def test_aims_move_items_up() -> None:
    plain = trained("aws-user-personalization-v2").model
    aimed = trained("aws-user-personalization-v2", aims=(Aim("PLACE", "HIGH"), Aim("FRESHNESS", "OFF"))).model
    assert "boost" not in plain.arrays
    rewarded = trained("aws-user-personalization-v2", aims=(Aim("PLACE", "HIGH"),)).metrics
    assert 0 < rewarded["average_rewards_at_k"] <= 1
    assert rewarded[GAIN] != trained("aws-user-personalization-v2").metrics[GAIN]
    assert aimed.arrays["boost"][19] > 1 > aimed.arrays["boost"][0]
    for aim in (Aim("GENRES", "HIGH"), Aim("PLACE", "EXTREME")):
        with pytest.raises(ServiceError):
            trained("aws-user-personalization-v2", aims=(aim,))


def test_context_lifts_what_is_taken_under_it() -> None:
    device = np.where(DATA.item // CHAIN == 0, 0, 1).astype(np.int32)
    model = trained("aws-user-personalization-v2", replace(DATA, context={"DEVICE": (device, ["phone", "desk"])})).model
    phone = model.arrays["context_DEVICE"][model.card["context"]["DEVICE"].index("phone")]
    assert phone[:CHAIN].min() > phone[CHAIN:].max()


def test_an_update_takes_in_new_events_and_items() -> None:
    recipe = find_recipe("aws-user-personalization")
    model = trained("aws-user-personalization").model
    names = [*DATA.items, "new"]
    rows = [(user, item, 9_000_000 + step) for user in range(100) for step, item in enumerate((41, 42, 100))]
    user = np.concatenate([DATA.user, [one for one, _, _ in rows]]).astype(np.int32)
    item = np.concatenate([DATA.item, [one for _, one, _ in rows]]).astype(np.int32)
    time = np.concatenate([DATA.time, [one for _, _, one in rows]])
    grown = replace(from_arrays(user, item, time, len(DATA.users), 101), items=names, users=DATA.users)
    fresh = update(recipe, model, Dataset(grown))
    assert fresh.index("new") == 100
    assert 100 in top_k(score_history(fresh, np.array([41, 42])), 2).tolist()
    assert fresh.card["metrics"] == model.card["metrics"]
    assert fresh.arrays["created"][100] == 9_000_002
    with pytest.raises(ServiceError):
        update(find_recipe("aws-sims"), model, Dataset(grown))
    with pytest.raises(ServiceError):
        update(recipe, model, Dataset(replace(grown, items=names[::-1])))
