"""Training: data and a recipe in, a model with its card, its metrics on held-out users and those of simple baselines out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.aims import INFLUENCES, Aim, Dataset, ages, aimed, boost
from opentrail.services.personalize.engine.content import content_matrix, decompose, interaction_matrix, unit
from opentrail.services.personalize.engine.context import fit_context, fit_tastes
from opentrail.services.personalize.engine.counting import growth, trending
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.interactions import EventRule, Interactions, check_enough, select_events
from opentrail.services.personalize.engine.metrics import average_rewards, ranking_metrics, segment_metrics, trend_accuracy
from opentrail.services.personalize.engine.models import Card, Model
from opentrail.services.personalize.engine.neighbours import both_ways, count_pairs, nearest
from opentrail.services.personalize.engine.personal import Choice, choose, fit_arrays, fit_personal, popular_share, repeat_share
from opentrail.services.personalize.engine.propensity import fit_propensity
from opentrail.services.personalize.engine.recipes import Ranges, Recipe, Settings, draw_settings
from opentrail.services.personalize.engine.scoring import RELATED_BOOST, score_history, score_item
from opentrail.services.personalize.engine.splits import Query, hold_out_users, newest_of_each
from opentrail.services.personalize.engine.topk import build_index, top_k

Arrays = dict[str, NDArray[Any]]
DeepFit = Callable[[Interactions, Settings, int], tuple[Card, Arrays]]
"""What `engine.deep.fit_sequence` is: interactions, settings, seed -> card and arrays of kind "sequence"."""

SECONDS = {"30 minutes": 1_800, "1 hour": 3_600, "3 hours": 10_800, "1 day": 86_400}
INDEX_FROM = 50_000
"""Items from which vector models get an inverted-file index: below it the exact product is fast enough."""
TOGETHER_WINDOW = 100
SEMANTIC_SIZE = 128


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One held-out user as measured, by ids: enough to compute all metrics again without this code."""

    user: str
    history: Sequence[str]
    relevant: Sequence[str]
    recommended: Sequence[str]


Measured = tuple[dict[str, float], dict[str, dict[str, float]], list[Evaluated]]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, the metrics of GetSolutionMetrics, and those of popularity and item neighbours on the same split."""

    model: Model
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    settings: Settings
    evaluation: Sequence[Evaluated] = ()


def train(
    recipe: Recipe,
    data: Dataset,
    settings: Settings,
    seed: int,
    rules: Sequence[EventRule] = (),
    deep: DeepFit | None = None,
    aims: Sequence[Aim] = (),
) -> Trained:
    """Train `recipe`: fit on 90 % of the users to measure, then on all for use. `deep` fits the sequence models when it is at hand."""
    data = _readable(recipe, data, rules)
    fit = _fitter(recipe, data, settings, seed, deep)
    metrics, baselines, evaluation = _measure(recipe, data, settings, seed, fit, aims)
    card, arrays = fit(data)
    card |= {"recipe": recipe.name, "settings": settings, "seed": seed, "metrics": metrics, "drops": recipe.drops}
    if recipe.explores or recipe.engine == "semantic":
        arrays |= ages(data)
    if recipe.engine == "personal":
        card, arrays = _with_lifts(card, arrays, data)
    if aims:
        card["aims"] = [[aim.name, aim.sensitivity] for aim in aims]
        arrays["boost"] = boost(data, aims)
    model = Model(card, arrays, data.interactions.items)
    return Trained(model, metrics, baselines, settings, evaluation)


def _readable(recipe: Recipe, data: Dataset, rules: Sequence[EventRule]) -> Dataset:
    """What the recipe reads of the data. Raises InvalidInput when that is too little."""
    if recipe.needs_items and (data.items is None or not data.items.columns):
        raise InvalidInput("Recipe {recipe} needs an Items dataset.", recipe=recipe.name)
    if not recipe.interactions:
        return data
    chosen = tuple(rules) or tuple(EventRule(kind) for kind in recipe.events)
    data = replace(data, interactions=select_events(data.interactions, chosen))
    if recipe.engine == "actions":
        if not len(data.interactions):
            raise InvalidInput("Recipe {recipe} needs action interactions.", recipe=recipe.name)
    else:
        check_enough(data.interactions, ", ".join(rule.kind for rule in chosen) or None)
    return data


OBJECTIVES = {"USER_SEGMENTATION": "recall_at_k"}
"""The metric that tuning maximises, by type of recipe; for the others it is OBJECTIVE."""
OBJECTIVE = "normalized_discounted_cumulative_gain_at_25"


def tune(
    recipe: Recipe,
    data: Dataset,
    settings: Settings,
    ranges: Ranges,
    jobs: int,
    seed: int,
    rules: Sequence[EventRule] = (),
    deep: DeepFit | None = None,
    aims: Sequence[Aim] = (),
) -> tuple[Trained, list[tuple[Settings, float]]]:
    """HPO by random search: `jobs` trials (the first with the given settings), then one training with the best; and all trials.

    Trials see only the users whom the final training does not measure, split once more, so that its metrics have not picked the winner.
    """
    data = _readable(recipe, data, rules)
    objective = OBJECTIVES.get(recipe.type, OBJECTIVE)
    inner = replace(data, interactions=hold_out_users(data.interactions, seed)[0])
    trials = []
    for trial in range(max(1, jobs)):
        drawn = draw_settings(recipe, settings, ranges, trial, seed)
        found = _measure(recipe, inner, drawn, seed, _fitter(recipe, inner, drawn, seed, deep), aims)[0]
        trials.append((drawn, found[objective]))
    best = max(trials, key=lambda trial: trial[1])[0]
    return train(recipe, data, best, seed, rules, deep, aims), trials


def recommend_lists(model: Model, queries: Sequence[Query], related: bool, k: int = 25) -> list[list[int]]:
    """The top k of the whole catalogue for each query; for related items the newest item of the history is the question."""
    scored = (score_item(model, int(q.history[-1])) if related else score_history(model, q.history) for q in queries)
    boost = model.arrays.get("boost")
    if boost is not None:
        boost = boost * np.float32(RELATED_BOOST if related else model.card.get("temperature", 1.0))
    return [top_k(scores if boost is None else scores + boost, k).tolist() for scores in scored]


Fit = Callable[[Dataset], tuple[Card, Arrays]]


def _fitter(recipe: Recipe, data: Dataset, settings: Settings, seed: int, deep: DeepFit | None) -> Fit:
    if recipe.engine == "personal" and deep is None:
        choice = _choose(data.interactions, settings, seed)
        return lambda part: fit_personal(_trimmed(part.interactions, settings), choice)
    table: Mapping[str, Fit] = {
        "personal": lambda part: deep(_trimmed(part.interactions, settings), settings, seed) if deep else ({}, {}),
        "popularity": lambda part: ({"kind": "fixed"}, {"popular": popular_share(part.interactions)}),
        "trending": lambda part: ({"kind": "fixed"}, {"popular": _trend(part.interactions, settings)}),
        "together": lambda part: _together(part.interactions, settings, recipe.basket),
        "similar": lambda part: _similar(part, settings, seed),
        "semantic": lambda part: _semantic(part, seed),
        "affinity": lambda part: _affinity(part, settings, seed),
        "actions": lambda part: ({"kind": "actions"}, dict(fit_propensity(part.interactions))),
    }
    return table[recipe.engine]


def _choose(data: Interactions, settings: Settings, seed: int) -> Choice:
    # The choice sees 90 % of the users only: those who measure it must not have picked it.
    recency = settings.get("apply_recency_bias", settings.get("recency_mask", "true")) == "true"
    return choose(hold_out_users(data, seed)[0], int(settings.get("bptt", 50)), recency, seed)


def _measure(recipe: Recipe, data: Dataset, settings: Settings, seed: int, fit: Fit, aims: Sequence[Aim]) -> Measured:
    events = data.interactions
    if recipe.engine == "actions" or not recipe.interactions:
        return {}, {}, []
    if recipe.engine == "trending":
        step = SECONDS[str(settings.get("trend_discovery_frequency", "3 hours"))]
        end = int(events.time.max())
        ranked = top_k(trending(events.keep(events.time <= end - step), end - step, step), 25).tolist()
        return {"trend_prediction_accuracy": trend_accuracy(ranked, growth(events, end, step))}, {}, []
    if recipe.engine == "affinity":
        return _measure_segments(data, fit), {}, []
    kept, queries = hold_out_users(events, seed)
    part = replace(data, interactions=kept)
    related = recipe.type == "RELATED_ITEMS"

    def result(lists: Sequence[Sequence[int]]) -> dict[str, float]:
        return ranking_metrics(lists, [query.relevant for query in queries], len(events.items))

    card, arrays = fit(part)
    if aims:
        arrays["boost"] = boost(part, aims)
    popular = Model({"kind": "fixed"}, {"popular": popular_share(kept)}, events.items)
    card_near, arrays_near = fit_personal(kept, Choice())
    near = Model(card_near, arrays_near, events.items)
    baselines = {"popularity": popular, "item-neighbours": near}
    lists = recommend_lists(Model(card, arrays, events.items), queries, related)
    named = [_named(events, query, ranked) for query, ranked in zip(queries, lists, strict=True)]
    metrics = result(lists)
    objective = next((aim.name for aim in aims if aim.name not in INFLUENCES), None)
    if objective is not None:
        value = np.nan_to_num(aimed(part, objective))
        metrics["average_rewards_at_k"] = average_rewards(lists, [{item: float(value[item]) for item in q.relevant} for q in queries])
    return metrics, {name: result(recommend_lists(model, queries, False)) for name, model in baselines.items()}, named


def _named(events: Interactions, query: Query, ranked: Sequence[int]) -> Evaluated:
    items = events.items
    return Evaluated(
        events.users[query.user],
        [items[at] for at in query.history.tolist()],
        [items[at] for at in sorted(query.relevant)],
        [items[at] for at in ranked],
    )


def _measure_segments(data: Dataset, fit: Fit) -> dict[str, float]:
    events = data.interactions
    kept, test = newest_of_each(events)
    _, arrays = fit(replace(data, interactions=kept))
    asked = np.flatnonzero(np.bincount(test.item, minlength=len(events.items)) > 0)
    asked = asked[np.argsort(-np.bincount(test.item, minlength=len(events.items))[asked], kind="stable")[:500]]
    cut = max(1, len(events.users) // 100)
    segments = [top_k(arrays["users"] @ arrays["vectors"][item], cut).tolist() for item in asked]
    relevant = [frozenset(test.user[test.item == item].tolist()) for item in asked]
    return segment_metrics(segments, relevant, len(events.users))


def _trend(data: Interactions, settings: Settings) -> NDArray[np.float32]:
    step = SECONDS[str(settings.get("trend_discovery_frequency", "3 hours"))]
    return trending(data, int(data.time.max(initial=0)), step)


def _together(data: Interactions, settings: Settings, basket: int | None) -> tuple[Card, Arrays]:
    popular = popular_share(data)
    data = _trimmed(data, settings)
    least = float(settings.get("min_cointeraction_count", 3))
    discount = float(settings.get("popularity_discount_factor", 0.5))
    if basket is None:
        # Users who took both items are counted, not how often they did.
        first = np.zeros(len(data), np.bool_)
        first[np.unique(data.user.astype(np.int64) * len(data.items) + data.item, return_index=True)[1]] = True
        data = data.keep(first)
    pairs = both_ways(count_pairs(data, TOGETHER_WINDOW, 0.0, basket), 1.0)
    near = nearest(pairs, 500, 0.0, 0.0, target_power=discount, least=least)
    arrays: Arrays = {"near_starts": near.starts, "near_item": near.item, "near_value": near.value, "popular": popular}
    return {"kind": "neighbours", "decay": 0.8, "length": 10, "popular_weight": 1e-4, "repeats": True}, arrays


def _similar(data: Dataset, settings: Settings, seed: int) -> tuple[Card, Arrays]:
    size = int(settings.get("item_id_hidden_dim", 100))
    parts = [unit(decompose(interaction_matrix(data.interactions), size, seed)[1])]
    if data.items is not None and data.items.columns:
        size = int(settings.get("item_metadata_hidden_dim", 100))
        parts.append(np.float32(0.5) * unit(decompose(content_matrix(data.items), size, seed)[0]))
    return _vector_model(unit(np.concatenate(parts, axis=1)), data.interactions, seed)


def _semantic(data: Dataset, seed: int) -> tuple[Card, Arrays]:
    assert data.items is not None
    return _vector_model(unit(decompose(content_matrix(data.items), SEMANTIC_SIZE, seed)[0]), data.interactions, seed)


def _affinity(data: Dataset, settings: Settings, seed: int) -> tuple[Card, Arrays]:
    users, items = decompose(interaction_matrix(data.interactions), int(settings.get("hidden_dimension", 149)), seed)
    return {"kind": "affinity"}, {"users": users, "vectors": items}


def _vector_model(vectors: NDArray[np.float32], data: Interactions, seed: int) -> tuple[Card, Arrays]:
    card: Card = {"kind": "vectors", "repeats": repeat_share(data) > 0}
    arrays: Arrays = {"vectors": vectors, "popular": popular_share(data)}
    return with_index(card, arrays, seed)


def with_index(card: Card, arrays: Arrays, seed: int) -> tuple[Card, Arrays]:
    """Add an index to a model of item vectors whose catalogue is large."""
    if len(arrays["vectors"]) < INDEX_FROM:
        return card, arrays
    index, probes = build_index(arrays["vectors"], seed)
    return {**card, "probes": probes}, {**arrays, **index}


def _trimmed(data: Interactions, settings: Settings) -> Interactions:
    """Leave out users with too short or long histories and items with too few or many events, by the percentiles of the settings."""
    keep = np.ones(len(data), np.bool_)
    for name, owner, size in (("user_history_length", data.user, len(data.users)), ("item_interaction_count", data.item, len(data.items))):
        count = np.bincount(owner, minlength=size)
        present = count[count > 0]
        low, high = float(settings.get(f"min_{name}_percentile", 0.0)), float(settings.get(f"max_{name}_percentile", 1.0))
        if len(present) and (low > 0 or high < 1):
            least, most = np.quantile(present, [min(low, high), max(low, high)])
            keep &= (count[owner] >= least) & (count[owner] <= most)
    return data if keep.all() else data.keep(keep)


def update(recipe: Recipe, model: Model, data: Dataset) -> Model:
    """Bring a model up to new data without a new training (TrainingMode UPDATE, automatic and incremental updates).

    Trends and texts are counted again. Of personal recipes neighbours are counted again with the constants chosen before; a network keeps
    its weights, and items it does not know get the mean vector of their neighbours. Metrics stay those of the training. Items keep
    their places: `data` must list the model's items first.
    """
    if not recipe.updates:
        raise InvalidInput("Recipe {recipe} cannot be updated; train it anew.", recipe=recipe.name)
    events = data.interactions
    if list(events.items[: len(model.items)]) != list(model.items):
        raise InvalidInput("The data does not list the model's items first.")
    if recipe.engine == "trending":
        return Model(model.card, {"popular": _trend(events, model.card["settings"])}, events.items)
    if recipe.engine == "semantic":
        card, arrays = _semantic(data, int(model.card["seed"]))
        return Model({**model.card, **card}, {**arrays, **ages(data)}, events.items)
    card, arrays = {**model.card}, {**model.arrays}
    if "choice" in card:
        arrays |= fit_arrays(events, Choice(**card["choice"]))
    arrays["popular"] = popular_share(events)
    if "vectors" in arrays:
        arrays["vectors"] = _with_new_items(arrays["vectors"], events)
    if "probes" in card:
        card, arrays = with_index(card, arrays, int(card["seed"]))
    card, arrays = _with_lifts(card, arrays, data)
    if "aims" in card:
        arrays["boost"] = boost(data, [Aim(*one) for one in card["aims"]])
    return Model(card, {**arrays, **(ages(data) if recipe.explores else {})}, events.items)


def _with_new_items(vectors: NDArray[np.float32], data: Interactions) -> NDArray[np.float32]:
    grown = np.concatenate([vectors, np.zeros((len(data.items) - len(vectors), vectors.shape[1]), np.float32)])
    recent = data.keep(np.isin(data.user, data.user[data.item >= len(vectors)]))
    near = nearest(both_ways(count_pairs(recent, 10, 1.0), 1.0), 20, 0.5, 1.0)
    for item in range(len(vectors), len(data.items)):
        own = slice(near.starts[item], near.starts[item + 1])
        known = near.item[own] < len(vectors)
        if known.any():
            grown[item] = np.average(vectors[near.item[own][known]], axis=0, weights=near.value[own][known])
    return grown


def _with_lifts(card: Card, arrays: Arrays, data: Dataset) -> tuple[Card, Arrays]:
    context, lifts = fit_context(data.interactions)
    tastes, tasted = fit_tastes(data.interactions, data.users) if data.users is not None else ({}, {})
    return {**card, **context, **tastes}, {**arrays, **lifts, **tasted}
