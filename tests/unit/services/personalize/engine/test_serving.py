"""Serving: scores, filters, promotions, exploration, context, actions and batch lines, over models trained on generated data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize.engine import serving
from opentrail.services.personalize.engine.aims import Dataset
from opentrail.services.personalize.engine.batch import Person, infer, segment
from opentrail.services.personalize.engine.columns import NULL_LONG, Column
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.exploration import Exploration
from opentrail.services.personalize.engine.filter_language import Filter, parse_filter
from opentrail.services.personalize.engine.filter_plan import Event, FilterTable
from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.models import Model
from opentrail.services.personalize.engine.neighbours import Neighbours, history_scores, near_scores
from opentrail.services.personalize.engine.recipes import find_recipe, read_settings
from opentrail.services.personalize.engine.schemas import Field, Schema
from opentrail.services.personalize.engine.scoring import by_popularity, score_history
from opentrail.services.personalize.engine.serving import Ask, Campaign, Promotion, Recommended, rank, recommend, recommend_actions
from opentrail.services.personalize.engine.topk import build_index
from opentrail.services.personalize.engine.training import train

from .generated import CHAIN, chain_items, walks, with_kinds

DATA = with_kinds(walks(users=500), ["View", "Purchase", "Watch"])
ITEMS = chain_items(DATA)


@cache
def campaign(name: str, explore: float | None = None) -> Campaign:
    recipe = find_recipe(name)
    context = {"DEVICE": (np.where(DATA.item // CHAIN == 3, 0, 1).astype(np.int32), ["phone", "desk"])}
    model = train(recipe, Dataset(replace(DATA, context=context), ITEMS), read_settings(recipe, {}), 0).model
    return Campaign(model, recipe, ITEMS, None if explore is None else Exploration(explore, age=1e6))


UP = "aws-user-personalization-v2"


def events(*items: int, kind: str = "View") -> list[Event]:
    return [Event(item, time, {"EVENT_TYPE": kind}) for time, item in enumerate(items)]


def ids(found: Sequence[Recommended]) -> list[str]:
    return [one.item for one in found]


def rules(text: str) -> Filter:
    return parse_filter(text)


def test_an_event_counts_in_the_very_next_call() -> None:
    before = ids(recommend(campaign(UP), Ask(events(1, 2, 3), k=100)))
    after = ids(recommend(campaign(UP), Ask([*events(1, 2, 3), Event(63, 99)], k=100)))
    assert before[0] == "4"
    assert after.index("64") < 10 < before.index("64")


def test_scores_are_a_softmax_over_the_catalogue() -> None:
    found = recommend(campaign(UP), Ask(events(1, 2, 3), k=len(DATA.items)))
    scores = [one.score or 0.0 for one in found]
    assert len(found) == len(DATA.items)
    assert sum(scores) == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)


def test_recipes_without_scores_give_none() -> None:
    for name, item in (("aws-popularity-count", None), ("aws-sims", "47"), ("aws-similar-items", "47")):
        assert {one.score for one in recommend(campaign(name), Ask(item=item))} == {None}


def test_unknown_users_and_items_get_popular_items() -> None:
    popular = ids(recommend(campaign("aws-popularity-count"), Ask(k=5)))
    assert ids(recommend(campaign(UP), Ask([Event(-1, 3)], k=5))) == popular
    assert ids(recommend(campaign("aws-sims"), Ask(item="nothing", k=5))) == popular


def test_filters_and_limits() -> None:
    only = rules('INCLUDE ItemID WHERE Items.GENRES IN ("chain1") AND Items.PLACE < 3')
    assert set(ids(recommend(campaign(UP), Ask(events(1, 2), rules=only)))) == {"20", "21", "22"}
    seen = rules('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")')
    assert not {"1", "2"} & set(ids(recommend(campaign(UP), Ask(events(1, 2), rules=seen, k=500))))
    nothing = rules("INCLUDE ItemID WHERE Items.PLACE > 100")
    assert recommend(campaign(UP), Ask(events(1), rules=nothing)) == []
    for bad in (Ask(k=0), Ask(k=501)):
        with pytest.raises(ServiceError):
            recommend(campaign(UP), bad)
    with pytest.raises(ServiceError) as caught:
        recommend(campaign("aws-sims"), Ask())
    assert caught.value.for_caller() == "itemId is required by recipe aws-sims."


def test_domain_recipes_drop_what_was_bought_or_watched() -> None:
    ask = Ask(events(44, kind="purchase"), item="45", k=50)
    assert "44" not in ids(recommend(campaign("aws-ecomm-customers-who-viewed-x-also-viewed"), ask))
    assert "44" in ids(recommend(campaign("aws-vod-because-you-watched-x"), ask))
    assert not {"1", "2"} & set(ids(recommend(campaign("aws-vod-top-picks"), Ask(events(1, 2, kind="Watch"), k=100))))


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(1, 30), st.integers(0, 50))
def test_promotions_take_their_share(percent: int, k: int, seed: int) -> None:
    promotion = Promotion("summer", percent, rules("INCLUDE ItemID WHERE Items.PLACE = 7"))
    exclude = rules("EXCLUDE ItemID WHERE Items.PLACE = 7")
    found = recommend(campaign(UP), Ask(events(1, 2), k=k, rules=exclude, promotion=promotion, seed=seed))
    promoted = [one.item for one in found if one.promotion == "summer"]
    assert len(promoted) == min(5, max(1, k * percent // 100))
    assert len(found) == k
    assert {int(item) % CHAIN for item in promoted} == {7}
    assert len(set(ids(found))) == len(found)
    assert found == recommend(campaign(UP), Ask(events(1, 2), k=k, rules=exclude, promotion=promotion, seed=seed))


def test_metadata_comes_on_request() -> None:
    (first,) = recommend(campaign(UP), Ask(events(1, 2, 3), k=1, columns=["GENRES", "PLACE"]))
    assert first.metadata == {"GENRES": "chain0", "PLACE": "4"}
    with pytest.raises(ServiceError):
        recommend(campaign(UP), Ask(columns=["COLOUR"]))


def test_context_moves_items_and_unknown_fields_refuse() -> None:
    def chain(value: str) -> int:
        found = recommend(campaign(UP), Ask(events(0, 20), k=20, context={"DEVICE": value}))
        return sum(int(one.item) // CHAIN == 3 for one in found)

    assert chain("phone") > chain("desk")
    assert recommend(campaign(UP), Ask(events(1), context={"DEVICE": "fridge"})) == recommend(campaign(UP), Ask(events(1)))
    with pytest.raises(ServiceError):
        recommend(campaign(UP), Ask(context={"MOOD": "good"}))


def test_users_without_history_get_what_users_like_them_take() -> None:
    plan = Field("PLAN", "string", categorical=True, metadata=True)
    home = [int(np.bincount(DATA.history(user) // CHAIN, minlength=5).argmax()) for user in range(len(DATA.users))]
    users = Entities(
        DATA.users, {"PLAN": Column(plan, codes=np.array([one == 3 for one in home], np.int32), vocabulary=["basic", "third"])}
    )
    recipe = find_recipe(UP)
    known = Campaign(train(recipe, Dataset(DATA, ITEMS, users), read_settings(recipe, {}), 0).model, recipe, ITEMS)

    def chains(plan: str) -> list[int]:
        return [int(one.item) // CHAIN for one in recommend(known, Ask(user={"PLAN": plan}, k=15))]

    assert chains("third").count(3) >= 10
    assert chains("basic").count(3) <= 5
    assert recommend(known, Ask(user={"PLAN": "unheard"})) == recommend(known, Ask())


def test_ranking_orders_the_given_items() -> None:
    known = campaign("aws-personalized-ranking-v2")
    found = rank(known, Ask(events(1, 2, 3)), ["90", "nothing", "4", "50", "4"])
    assert ids(found)[0] == "4"
    assert ids(found)[-1] == "nothing"
    assert len(found) == 4
    assert sum(one.score or 0.0 for one in found) == pytest.approx(1)
    kept = rank(known, Ask(events(1), rules=rules('INCLUDE ItemID WHERE Items.GENRES IN ("chain2")')), ["90", "50", "x"])
    assert ids(kept) == ["50"]
    assert [(one.item, one.score) for one in rank(known, Ask(), ["x", "y"])] == [("x", 0.0), ("y", 0.0)]
    for bad in (Ask(columns=["PLACE"] * 11), Ask(rules=rules("INCLUDE ItemID WHERE Items.PLACE = $P"))):
        with pytest.raises(ServiceError):
            rank(known, bad, ["1"])
    with pytest.raises(ServiceError):
        rank(known, Ask(), [])
    with pytest.raises(ValueError, match="order of the model's items"):
        Campaign(known.model, known.recipe, Entities(["a"], {}))


def test_exploration_shows_young_items_and_learns_from_impressions() -> None:
    young = from_arrays(DATA.user, DATA.item, DATA.time, len(DATA.users), len(DATA.items) + 3)
    recipe = find_recipe("aws-user-personalization")
    model = train(recipe, Dataset(young), read_settings(recipe, {}), 0).model
    arrays = {**model.arrays, "created": np.where(np.arange(103) >= 100, 1_000_000, 0)}
    fresh = {"100", "101", "102"}
    now = 1_000_000 + 86_400

    def shown(how: Exploration, now: int = now) -> list[str]:
        one = Campaign(Model(model.card, arrays, model.items), recipe, None, how)
        return [i for seed in range(30) for i in ids(recommend(one, Ask(events(1, 2), k=10, now=now, seed=seed))) if i in fresh]

    assert shown(Exploration(0.0)) == []
    assert len(shown(Exploration(0.3))) > 20
    assert shown(Exploration(1.0), now=now + 40 * 86_400) == []
    ignored = shown(Exploration(0.1, impressions={100: (0, 500), 101: (200, 500), 102: (0, 500)}))
    assert ignored.count("101") > ignored.count("100") + ignored.count("102")


def test_large_catalogues_use_the_index_and_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 8))[rng.integers(0, 40, 3_000)] + 0.3 * rng.standard_normal((3_000, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    index, probes = build_index(vectors, 0)
    arrays = {"vectors": vectors, "popular": np.zeros(3_000, np.float32), **index}
    place = Field("PLACE", "long", metadata=True)
    table = Entities([str(n) for n in range(3_000)], {"PLACE": Column(place, numbers=np.arange(3_000))})
    recipe = find_recipe("aws-similar-items")
    indexed = Campaign(Model({"kind": "vectors", "probes": probes}, arrays, table.ids), recipe, table)
    exact = Campaign(Model({"kind": "vectors"}, arrays, table.ids), recipe, table)
    for text in ("", "INCLUDE ItemID WHERE Items.PLACE < 30", "INCLUDE ItemID WHERE Items.PLACE < 1500"):
        asks = [Ask(item=str(n), rules=rules(text) if text else ()) for n in range(0, 3_000, 300)]
        same = [len(set(ids(recommend(indexed, ask))) & set(ids(recommend(exact, ask)))) for ask in asks]
        assert sum(same) >= 0.98 * sum(len(recommend(exact, ask)) for ask in asks)


def test_a_sampled_softmax_is_near_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    popular = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    model = Model({"kind": "fixed"}, {"popular": popular}, [str(n) for n in range(20_000)])
    large = Campaign(model, find_recipe(UP))
    exact = [one.score for one in recommend(large, Ask())]
    assert exact[0] == pytest.approx(np.exp(popular.max()) / np.exp(popular.astype(np.float64)).sum())
    monkeypatch.setattr(serving, "EXACT_SOFTMAX", 1_000)
    assert [one.score for one in recommend(large, Ask())] == pytest.approx(exact, rel=0.1)


def actions() -> Campaign:
    rng = np.random.default_rng(0)
    size = 3_000
    user, item = rng.integers(0, 300, size).astype(np.int32), rng.integers(0, 3, size).astype(np.int32)
    data: Interactions = from_arrays(user, item, np.arange(size), 300, 4)
    taken = rng.random(size) < np.array([0.1, 0.6, 0.3])[data.item]
    data = replace(data, kinds=["Taken", "Not taken"], kind=np.where(taken, 0, 1).astype(np.int32))
    model = train(find_recipe("aws-next-best-action"), Dataset(data), {}, 0).model
    expires = Field("EXPIRATION_TIMESTAMP", "long", nullable=True)
    repeat = Field("REPEAT_FREQUENCY", "long", nullable=True)
    table = Entities(
        model.items,
        {
            "EXPIRATION_TIMESTAMP": Column(expires, numbers=np.array([NULL_LONG, NULL_LONG, 5_000, NULL_LONG])),
            "REPEAT_FREQUENCY": Column(repeat, numbers=np.array([NULL_LONG, 10, NULL_LONG, NULL_LONG])),
        },
    )
    return Campaign(model, find_recipe("aws-next-best-action"), table)


def test_actions_are_ranked_by_propensity() -> None:
    known = actions()
    found = recommend_actions(known, Ask(now=4_000))
    assert ids(found)[:2] == ["1", "2"]
    assert found[0].score is not None
    assert 0.4 < found[0].score < 0.8
    assert next(one for one in found if one.item == "3").score is None
    assert "2" not in ids(recommend_actions(known, Ask(now=6_000)))
    took = [Event(1, 1_000, {"EVENT_TYPE": "taken"})]
    assert "1" not in ids(recommend_actions(known, Ask(took, now=4_000)))
    assert "1" in ids(recommend_actions(known, Ask(took, now=1_000 + 11 * 86_400)))


def test_batch_inference_answers_each_line() -> None:
    people = {"ann": Person(events(1, 2, 3)), "bob": Person()}
    lines = [
        '{"userId": "ann"}',
        "",
        '{"userId": "bob", "filterValues": {"G": "\\"chain2\\""}}',
        "nonsense",
        '{"userId": 3}',
        '["userId"]',
        "{}",
    ]
    parsed = parse_filter("EXCLUDE ItemID WHERE Items.GENRES IN ($G)")
    found = [json.loads(line) for line in infer(lines, campaign(UP), lambda who: people.get(who, Person()), Ask(k=3), parsed)]
    assert [one["error"] is None for one in found] == [True, True, False, False, False, False]
    assert found[0]["input"] == {"userId": "ann"}
    assert found[0]["output"]["recommendedItems"][0] == "4"
    assert len(found[0]["output"]["scores"]) == 3
    assert not any(int(item) // CHAIN == 2 for item in found[1]["output"]["recommendedItems"])
    ranked = [
        json.loads(line)
        for line in infer(
            ['{"userId": "ann", "itemList": ["90", "4"]}', '{"userId": "ann", "itemList": "4"}'],
            campaign("aws-personalized-ranking"),
            lambda who: people[who],
            Ask(),
        )
    ]
    assert ranked[0]["output"]["recommendedItems"] == ["4", "90"]
    assert ranked[1]["error"] == "itemList must be a list of item ids."
    (related,) = infer(['{"itemId": "45"}'], campaign("aws-sims"), lambda who: Person(), Ask(k=2))
    assert set(json.loads(related)["output"]) == {"recommendedItems"}


def test_segments_name_the_users_of_a_chain() -> None:
    known = campaign("aws-item-affinity")
    schema = Schema("Items", None, tuple(column.field for column in ITEMS.columns.values()))
    home = {str(user): int(np.bincount(DATA.history(user) // CHAIN, minlength=5).argmax()) for user in range(len(DATA.users))}
    attributes = json.dumps({"itemAttributes": 'ITEMS.genres = "chain2" AND Items.PLACE > 3'})
    lines = ['{"itemId": "45"}', attributes, '{"itemId": "x"}', '{"itemAttributes": "a"}']
    found = [json.loads(line) for line in segment(lines, known, DATA.users, 10, schema)]
    for one in found[:2]:
        assert "error" not in one
        assert len(one["output"]["recommendedUsers"]) == 10
        assert sum(home[user] == 2 for user in one["output"]["recommendedUsers"]) >= 8
    assert found[0]["input"] == {"itemId": "45"}
    assert found[1]["itemAttributes"] == json.loads(attributes)["itemAttributes"]
    assert found[2]["error"] == "No item of the model fits the query."
    assert found[3]["output"] is None
    plan = Field("PLAN", "string", categorical=True, metadata=True)
    codes = np.array([0, 0, 0] + [1] * (len(DATA.users) - 3), np.int32)
    people = FilterTable(Entities(DATA.users, {"PLAN": Column(plan, codes=codes, vocabulary=["gold", "tin"])}))
    gold = parse_filter("INCLUDE UserID WHERE Users.PLAN IN ($PLAN)")
    asked = ['{"itemId": "45", "filterValues": {"PLAN": "\\"gold\\""}}', '{"itemId": "45"}']
    few, missing = (json.loads(line) for line in segment(asked, known, DATA.users, 10, schema, gold, people))
    assert set(few["output"]["recommendedUsers"]) == {"0", "1", "2"}
    assert "PLAN" in missing["error"]
    with pytest.raises(ServiceError):
        list(segment(asked, known, DATA.users, 10, schema, gold))


def test_reasons_are_told_by_the_second_version() -> None:
    promotion = Promotion("summer", 20, rules("INCLUDE ItemID WHERE Items.PLACE = 7"))
    found = recommend(campaign(UP), Ask(events(1, 2), k=10, promotion=promotion))
    assert sorted(one.reason for one in found) == [()] * 8 + [("Promoted item",)] * 2
    assert {one.reason for one in recommend(campaign(UP), Ask())} == {("Popular item",)}
    assert {one.reason for one in recommend(campaign("aws-sims"), Ask(item="47"))} == {()}
    with pytest.raises(ServiceError):
        recommend(campaign(UP), Ask(columns=["PLACE"] * 11))
    with pytest.raises(ServiceError):
        recommend(campaign(UP), Ask(rules=rules("INCLUDE ItemID WHERE Items.PLACE = $PLACE")))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 60), st.booleans(), st.floats(0.0, 0.2), st.sampled_from([0.003, 0.1, 1.0]))
def test_neighbours_answer_as_if_every_item_were_scored(seed: int, k: int, repeats: bool, weight: float, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    items = 300
    starts = np.concatenate(([0], np.cumsum(rng.integers(0, 12, items))))
    near = np.concatenate([rng.permutation(items)[: int(size)] for size in np.diff(starts)] or [np.zeros(0)])
    arrays = {
        "near_starts": starts, "near_item": near.astype(np.int32), "near_value": rng.random(len(near), dtype=np.float32),
        "popular": rng.integers(0, 5, items).astype(np.float32) / 5,
    }  # fmt: skip
    card = {"kind": "neighbours", "decay": 0.8, "length": 50, "popular_weight": weight, "repeats": repeats, "temperature": temperature}
    model = Model(card, arrays, [str(n) for n in range(items)])
    history = rng.integers(0, items, int(rng.integers(1, 8)))
    mask = rng.random(items) < 0.3 if seed % 2 else None
    every = score_history(model, history).astype(np.float64)
    allowed_rows = np.arange(items) if mask is None else np.flatnonzero(mask)
    wanted = allowed_rows[np.lexsort((allowed_rows, -every[allowed_rows]))][:k]
    raised = np.exp((every - every.max()) / temperature)
    found = serving._sparse(model, history, mask, k)
    np.testing.assert_allclose([share for _, share in found], raised[wanted] / raised.sum(), rtol=2e-3, atol=1e-7)
    np.testing.assert_allclose(every[[at for at, _ in found]], every[wanted], rtol=1e-5, atol=1e-6)


@given(st.data())
def test_scores_of_neighbours_alone_are_those_of_the_whole_catalogue(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 30))
    rows = data.draw(st.lists(st.sets(st.integers(0, size - 1)), min_size=size, max_size=size))
    items = np.array([item for row in rows for item in sorted(row)], np.int32)
    value = np.arange(1, len(items) + 1, dtype=np.float32)
    near = Neighbours(np.cumsum([0, *map(len, rows)]).astype(np.int64), items, value)
    history = np.array(data.draw(st.lists(st.integers(0, size - 1), max_size=8)), np.int64)
    found, scores = near_scores(near, history, 0.5, 5)
    dense = history_scores(near, history, 0.5, 5, size)
    assert found.tolist() == np.flatnonzero(dense).tolist()
    np.testing.assert_allclose(scores, dense[found], rtol=1e-5)


@given(st.data())
def test_the_most_popular_of_some_items(data: st.DataObject) -> None:
    popular = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=300)), np.float32)
    size, k = len(popular), data.draw(st.integers(1, 20))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))) if data.draw(st.booleans()) else None
    but = np.array(sorted(data.draw(st.sets(st.integers(0, size - 1)))), np.int64)
    found = by_popularity(Model({"kind": "fixed"}, {"popular": popular}, []), k, but, mask)
    able = [at for at in range(size) if (mask is None or mask[at]) and at not in set(but.tolist())]
    assert found.tolist() == sorted(able, key=lambda at: (-popular[at], at))[:k]


def test_a_user_without_history_gets_exact_shares() -> None:
    ready = campaign(UP)
    popular = ready.model.arrays["popular"].astype(np.float64) / ready.model.card["temperature"]
    share = np.exp(popular) / np.exp(popular).sum()
    found = recommend(ready, Ask(k=10, rules=rules('INCLUDE ItemID WHERE Items.GENRES IN ("chain0", "chain1")')))
    assert [one.score for one in found] == pytest.approx([share[ready.model.index(one.item)] for one in found])


def test_what_is_brief() -> None:
    small = campaign(UP)
    large = 2 * serving.FEW_ITEMS
    arrays = {"popular": np.ones(large, np.float32), "near_starts": np.zeros(large + 1, np.int64)}
    arrays |= {"near_item": np.zeros(0, np.int32), "near_value": np.zeros(0, np.float32)}
    card = {"kind": "neighbours", "popular_weight": 1e-4, "decay": 0.5, "length": 10, "context": {"DEVICE": ["phone"]}}
    model = Model(card, arrays, [f"i{at}" for at in range(large)])
    price = Entities(model.items, {"PRICE": Column(Field("PRICE", "long"), numbers=np.arange(large))})
    big = Campaign(model, find_recipe(UP), price)
    cheap = rules("INCLUDE ItemID WHERE Items.PRICE < 100")
    assert serving.is_brief(small, Ask(rules=rules('INCLUDE ItemID WHERE Items.GENRES IN ("chain0")')))
    assert serving.is_brief(big, Ask())
    assert not serving.is_brief(big, Ask(context={"DEVICE": "phone"}))
    assert not serving.is_brief(big, Ask(rules=cheap))
    recommend(big, Ask(rules=cheap))
    assert serving.is_brief(big, Ask(rules=cheap))
    assert serving.is_brief(big, Ask(rules=rules('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("buy")')))
    network = replace(big, model=replace(model, card={**card, "kind": "sequence"}))
    assert not serving.is_brief(network, Ask())
