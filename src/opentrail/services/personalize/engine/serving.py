"""Serving: a loaded model and what is known of a user now, to a list of recommendations.

Everything about the user comes in as `events` (trained and streamed alike), so an event that was just put counts in the next call. Rules
(scores, unknown items and users, promotions, dropped items) are those of "Getting real-time recommendations".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine import sequence
from opentrail.services.personalize.engine.columns import Column, Mask
from opentrail.services.personalize.engine.context import context_boost, has_taste, taste_boost
from opentrail.services.personalize.engine.counting import Scores
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.exploration import Exploration, mix_in, young
from opentrail.services.personalize.engine.filter_language import Filter
from opentrail.services.personalize.engine.filter_plan import Attributes, Event, FilterTable, allowed
from opentrail.services.personalize.engine.models import Model
from opentrail.services.personalize.engine.propensity import TAKEN, action_scores
from opentrail.services.personalize.engine.recipes import Recipe
from opentrail.services.personalize.engine.scoring import (
    RELATED_BOOST,
    by_popularity,
    popular_mass,
    popular_order,
    popular_shares,
    score_history,
    score_item,
    score_near,
    score_sparsely,
    shares,
)
from opentrail.services.personalize.engine.topk import search, top_k

MOST_RESULTS = 500
DEFAULT_RESULTS = 25
EXACT_SOFTMAX = 100_000
STRIDE = 16
FEW_ITEMS = 5_000
"""Catalogues of up to this size may be gone through in a call that is brief."""
NOBODY = np.zeros(0, np.int64)
EVERYBODY = slice(None)
"""Up to EXACT_SOFTMAX items the softmax is summed over all; above, the items not returned are estimated from every 16th."""
MOST_COLUMNS = 10
NO_METADATA: Mapping[str, str] = MappingProxyType({})
PROMOTED, EXPLORED, POPULAR = "Promoted item", "Exploration", "Popular item"
WITH_REASONS = frozenset({"aws-user-personalization-v2"})
"""Recipes whose answers carry reasons, in the words of the PredictedItem shape."""
OVERFETCH = 4
"""How many times the asked items an index is asked for before an aim moves them."""
FEW_LEFT = 0.02
"""Share of items left by a filter below which only those are scored, exactly, instead of asking the index."""


@dataclass(frozen=True)
class Campaign:
    """What a deployed model needs: the model, its recipe, the items' attributes (in the model's order) and exploration, if any."""

    model: Model
    recipe: Recipe
    attributes: Entities | None = None
    exploration: Exploration | None = None
    table: FilterTable = field(init=False)

    def __post_init__(self) -> None:
        entities = self.attributes or Entities(self.model.items, {})
        if len(entities) != len(self.model.items):
            raise ValueError("the attributes must be in the order of the model's items")
        object.__setattr__(self, "table", FilterTable(entities))


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion of a call: `percent` of the results come from items that pass `rules` (bound), whatever the call's filter says."""

    name: str
    percent: int
    rules: Filter


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: `events` of the user (any order), `rules` a bound filter, `item` for related items, `context` of the call."""

    events: Sequence[Event] = ()
    k: int = DEFAULT_RESULTS
    item: str | None = None
    rules: Filter = ()
    user: Attributes | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    promotion: Promotion | None = None
    columns: Sequence[str] = ()
    now: int = 0
    seed: int = 0


class Recommended(NamedTuple):
    """One item of an answer; `score` only for recipes that have scores, `promotion` the name of the promotion it comes from,
    `reason` why it is there (user-personalization-v2 only)."""

    item: str
    score: float | None = None
    promotion: str | None = None
    reason: tuple[str, ...] = ()
    metadata: Mapping[str, str] = NO_METADATA


def recommend(campaign: Campaign, ask: Ask) -> list[Recommended]:
    """Answer one GetRecommendations: at most `ask.k` items, best first, promoted ones at random places."""
    if not 1 <= ask.k <= MOST_RESULTS:
        raise InvalidInput("numResults must lie between 1 and {most}.", most=MOST_RESULTS)
    if len(ask.columns) > MOST_COLUMNS:
        raise InvalidInput("metadataColumns may name at most {most} columns.", most=MOST_COLUMNS)
    if campaign.recipe.type == "RELATED_ITEMS" and ask.item is None:
        raise InvalidInput("itemId is required by recipe {recipe}.", recipe=campaign.recipe.name)
    history = history_of(ask.events)
    mask = _without_dropped(campaign, ask, allowed(ask.rules, campaign.table, ask.events, ask.user))
    promoted = _promoted(campaign, ask, history)
    if promoted:
        mask = np.ones(campaign.table.rows, np.bool_) if mask is None else mask.copy()
        mask[[at for at, _ in promoted]] = False
    best, fresh = _ranked(campaign, ask, history, mask, ask.k - len(promoted)), frozenset[int]()
    if campaign.exploration is not None and campaign.recipe.explores:
        best, fresh = mix_in(best, campaign.exploration, campaign.model, mask, ask.now, ask.seed)
    # A user without history gets popular items, and is told so.
    plain = POPULAR if campaign.recipe.type == "USER_PERSONALIZATION" and not len(history) else None
    reasons = [EXPLORED if at in fresh else plain for at, _ in best]
    usual = _present(campaign, best, ask, reasons)
    return _spread(usual, _present(campaign, promoted, ask, [PROMOTED] * len(promoted)), ask.seed) if promoted else usual


def is_brief(campaign: Campaign, ask: Ask) -> bool:
    """Whether `recommend` does nothing for every item of a large catalogue and runs no network: some hundred microseconds."""
    model, kind = campaign.model, campaign.model.card["kind"]
    if len(model.items) <= FEW_ITEMS:
        return kind in ("neighbours", "fixed", "vectors")
    whole = bool(ask.context) or "boost" in model.arrays or has_taste(model.card, ask.user or {})
    unknown = not all(campaign.table.knows(one) for one in (ask.rules, ask.promotion.rules if ask.promotion is not None else ()))
    how = campaign.exploration if campaign.recipe.explores else None
    explored = how is not None and len(young(how, model, ask.now)) > FEW_ITEMS
    return kind in ("neighbours", "fixed") and not whole and not unknown and not explored


def warm(campaign: Campaign) -> None:
    """Makes what every call needs and takes long, once, before the first."""
    model = campaign.model
    model.index("")
    if "popular" in model.arrays:
        popular_order(model)
        popular_shares(model)
    if model.card["kind"] == "neighbours":
        popular_mass(model)


def rank(campaign: Campaign, ask: Ask, candidates: Sequence[str]) -> list[Recommended]:
    """Answer one GetPersonalizedRanking: `candidates` best first, scores summing to 1 over them; unknown items come last, in order."""
    if not 1 <= len(candidates) <= MOST_RESULTS:
        raise InvalidInput("inputList must hold 1 to {most} items.", most=MOST_RESULTS)
    if len(ask.columns) > MOST_COLUMNS:
        raise InvalidInput("metadataColumns may name at most {most} columns.", most=MOST_COLUMNS)
    mask = allowed(ask.rules, campaign.table, ask.events, ask.user)
    known = [(name, campaign.model.index(name)) for name in dict.fromkeys(candidates)]
    kept = [(name, at) for name, at in known if mask is None or (at >= 0 and mask[at])]
    found = [at for _, at in kept if at >= 0]
    scores = (score_history(campaign.model, history_of(ask.events)) + _boost(campaign, ask))[found]
    share = shares(scores, scores[:0], len(scores), campaign.model.card.get("temperature", 1.0))
    order = np.argsort(-scores, kind="stable").tolist()
    ranked = _present(campaign, [(found[at], float(share[at])) for at in order], ask, [None] * len(order))
    return ranked + [Recommended(name, 0.0) for name, at in kept if at < 0]


def recommend_actions(campaign: Campaign, ask: Ask) -> list[Recommended]:
    """Answer one GetActionRecommendations: actions by propensity; expired ones and repeats that come too early are left out."""
    arrays = campaign.model.arrays
    known = [event for event in ask.events if event.item >= 0]
    taken = np.array([str(event.columns.get("EVENT_TYPE")).lower() == TAKEN for event in known], np.float64)
    items = np.array([event.item for event in known], np.int32)
    scores = action_scores(arrays["rate"], arrays["weight"], float(arrays["overall"][0]), items, taken)
    # Actions without a score of their own come last; equal scores are ordered by VALUE.
    value = _numbers(campaign.attributes, "VALUE", len(scores))
    mask = allowed(ask.rules, campaign.table, ask.events, ask.user)
    open_ = _open_actions(campaign, ask, known, taken)
    open_ = open_ if mask is None else open_ & mask
    where = np.flatnonzero(open_)
    scored = arrays["scored"]
    order = where[np.lexsort((where, -np.nan_to_num(value[where]), -scores[where], -scored[where]))][: ask.k]
    return [Recommended(campaign.model.items[at], float(scores[at]) if scored[at] else None) for at in order.tolist()]


def history_of(events: Sequence[Event]) -> NDArray[np.int64]:
    """The known items of events, oldest first."""
    ordered = sorted(events, key=_BY_TIME)
    return np.array([event.item for event in ordered if event.item >= 0], np.int64)


_BY_TIME = attrgetter("time")


def _ranked(campaign: Campaign, ask: Ask, history: NDArray[np.int64], mask: Mask | None, k: int) -> list[tuple[int, float | None]]:
    if k <= 0:
        return []
    model, recipe = campaign.model, campaign.recipe
    if recipe.type == "RELATED_ITEMS":
        return [(at, None) for at in _related(model, model.index(ask.item or ""), mask, k).tolist()]
    if recipe.type == "POPULAR_ITEMS":
        return [(at, None) for at in by_popularity(model, k, NOBODY, mask).tolist()]
    boost = _boost(campaign, ask)
    if not len(history) and not isinstance(boost, np.ndarray) and not has_taste(model.card, ask.user or {}):
        best = by_popularity(model, k, NOBODY, mask)
        raised, total = popular_shares(model)
        return list(zip(best.tolist(), (raised[best] / total).tolist(), strict=True))
    if model.card["kind"] == "neighbours" and len(history) and not isinstance(boost, np.ndarray):
        return _sparse(model, history, mask, k)
    if model.card["kind"] == "sequence" and "probes" in model.card and len(history) and not isinstance(boost, np.ndarray):
        query = sequence.encode(model.arrays, model.card, history)
        best, scores = _by_index(model, query, mask, k)
        sample = model.arrays["vectors"][::STRIDE] @ query
    else:
        every = _popular_for(model, ask) if not len(history) else score_history(model, history)
        every = every + boost if isinstance(boost, np.ndarray) else every
        best = top_k(every, k, mask)
        scores = every[best]
        sample = every if len(every) <= EXACT_SOFTMAX else every[::STRIDE]
    share = shares(scores, _others(best, sample, len(model.items)), len(model.items), model.card.get("temperature", 1.0))
    return list(zip(best.tolist(), share.tolist(), strict=True))


def _sparse(model: Model, history: NDArray[np.int64], mask: Mask | None, k: int) -> list[tuple[int, float | None]]:
    """The same for a model of neighbours: few items have a score of their own, the others come by popularity."""
    found = score_sparsely(model, history)
    weight, temperature = np.float32(model.card["popular_weight"]), float(model.card.get("temperature", 1.0))
    open_ = None if mask is None else mask[found.items]
    able, scores = (found.items, found.scores) if open_ is None else (found.items[open_], found.scores[open_])
    first = top_k(scores, k)
    items, scores = able[first], scores[first]
    # Where k items of their own beat even the most popular one, no other is looked for.
    if len(first) < k or scores[-1] <= model.kept("most", lambda: model.arrays["popular"].max(initial=0.0)) * weight:
        others = by_popularity(model, k, found.items, mask)
        items, scores = np.concatenate([items, others]), np.concatenate([scores, model.arrays["popular"][others] * weight])
        order = np.lexsort((items, -scores))[:k]
        items, scores = items[order], scores[order]
    if not len(items):
        return []
    top = max(float(found.scores.max(initial=-np.inf)), float(scores[0]))
    own = float(np.exp((found.scores.astype(np.float64) - top) / temperature).sum())
    share = np.exp((scores.astype(np.float64) - top) / temperature) / (own + found.mass * np.exp(-top / temperature))
    return list(zip(items.tolist(), share.tolist(), strict=True))


def _popular_for(model: Model, ask: Ask) -> Scores:
    """Popularity for a user without history, lifted by what users of the same attributes take; scores of the softmax's scale."""
    lift = taste_boost(model.card, model.arrays, ask.user or {})
    if lift is None:
        return np.array(model.arrays["popular"], np.float32)
    temperature = np.float32(model.card.get("temperature", 1.0))
    return np.asarray((np.log(model.arrays["popular"] + np.float32(1e-3)) + lift) * temperature, np.float32)


def _related(model: Model, item: int, mask: Mask | None, k: int) -> NDArray[np.int64]:
    if item < 0:
        return by_popularity(model, k, NOBODY, mask)
    if "probes" in model.card:
        best, near = _by_index(model, np.asarray(model.arrays["vectors"][item]), mask, OVERFETCH * k if "boost" in model.arrays else k + 1)
        if "boost" in model.arrays:
            best = best[np.argsort(-(near + np.float32(RELATED_BOOST) * model.arrays["boost"][best]), kind="stable")]
        others: NDArray[np.int64] = best[best != item]
        return others[:k]
    company, scores = score_near(model, item) if model.card["kind"] == "neighbours" else (EVERYBODY, score_item(model, item))
    if "boost" in model.arrays:
        scores += np.float32(RELATED_BOOST) * model.arrays["boost"][company]
    best = top_k(scores, k, None if mask is None else mask[company])
    best = best if isinstance(company, slice) else company[best]
    # An item without company (too rare, or trimmed) is answered like an unknown one.
    return best if len(best) else _related(model, -1, mask, k)


def _by_index(model: Model, query: NDArray[np.float32], mask: Mask | None, k: int) -> tuple[NDArray[np.int64], Scores]:
    probes = int(model.card["probes"])
    if mask is not None:
        left = int(np.count_nonzero(mask))
        if left <= FEW_LEFT * len(mask):
            where = np.flatnonzero(mask)
            scores = np.asarray(model.arrays["vectors"][where] @ query, np.float32)
            best = top_k(scores, k)
            return where[best], scores[best]
        probes = min(len(model.arrays["index_centres"]), int(probes * min(4.0, len(mask) / left)))
    best, scores = search(model.arrays, query, k, probes, mask)
    if len(best) >= k:
        return best, scores
    scores = np.asarray(model.arrays["vectors"] @ query, np.float32)
    best = top_k(scores, k, mask)
    return best, scores[best]


def _others(best: NDArray[np.int64], sample: Scores, items: int) -> Scores:
    """Of a sample of the scores (all, or every STRIDE-th) those of items that were not returned."""
    step = 1 if len(sample) == items else STRIDE
    others = sample.copy()
    others[best[best % step == 0] // step] = -np.inf
    return others


def _boost(campaign: Campaign, ask: Ask) -> NDArray[np.float32] | float:
    """What objective and context add to the scores, in units of the softmax."""
    model = campaign.model
    temperature = float(model.card.get("temperature", 1.0))
    lift = context_boost(model.card, model.arrays, ask.context)
    total = lift if "boost" not in model.arrays else model.arrays["boost"] + (0.0 if lift is None else lift)
    return 0.0 if total is None else np.asarray(total * np.float32(temperature), np.float32)


def _without_dropped(campaign: Campaign, ask: Ask, mask: Mask | None) -> Mask | None:
    drops = campaign.recipe.drops
    if not drops:
        return mask
    items = [e.item for e in ask.events if e.item >= 0 and str(e.columns.get("EVENT_TYPE")).lower() == drops.lower()]
    if not items:
        return mask
    mask = np.ones(campaign.table.rows, np.bool_) if mask is None else mask.copy()
    mask[items] = False
    return mask


def _promoted(campaign: Campaign, ask: Ask, history: NDArray[np.int64]) -> list[tuple[int, float | None]]:
    if ask.promotion is None:
        return []
    if not 1 <= ask.promotion.percent <= 100:
        raise InvalidInput("percentPromotedItems must lie between 1 and 100.")
    mask = allowed(ask.promotion.rules, campaign.table, ask.events, ask.user)
    return _ranked(campaign, replace(ask, promotion=None), history, mask, max(1, ask.k * ask.promotion.percent // 100))


def _spread(usual: list[Recommended], promoted: list[Recommended], seed: int) -> list[Recommended]:
    total = len(usual) + len(promoted)
    places = set(np.random.default_rng(seed).permutation(total)[: len(promoted)].tolist())
    first, second = iter(usual), iter(promoted)
    return [next(second) if place in places else next(first) for place in range(total)]


def _present(campaign: Campaign, chosen: Sequence[tuple[int, float | None]], ask: Ask, reasons: Sequence[str | None]) -> list[Recommended]:
    names = campaign.model.names(np.array([at for at, _ in chosen], np.int64))
    tells, promotion = campaign.recipe.name in WITH_REASONS, ask.promotion.name if ask.promotion is not None else None
    columns = {name: _column(campaign, name) for name in ask.columns}
    return [
        Recommended(
            name,
            score,
            promotion if reason == PROMOTED else None,
            (reason,) if tells and reason is not None else (),
            {key: str(value) for key, one in columns.items() if (value := one.value(at)) is not None} if columns else NO_METADATA,
        )
        for name, (at, score), reason in zip(names, chosen, reasons, strict=True)
    ]


def _column(campaign: Campaign, name: str) -> Column:
    column = campaign.attributes.columns.get(name) if campaign.attributes is not None else None
    if column is None:
        raise InvalidInput("The Items dataset has no column of a name given in metadataColumns.")
    return column


def _numbers(attributes: Entities | None, name: str, rows: int) -> NDArray[np.float64]:
    column = attributes.columns.get(name) if attributes is not None else None
    if column is None or column.numbers is None:
        return np.full(rows, np.nan)
    return np.where(column.nulls(), np.nan, column.numbers.astype(np.float64))


def _open_actions(campaign: Campaign, ask: Ask, known: Sequence[Event], taken: NDArray[np.float64]) -> Mask:
    rows = len(campaign.model.items)
    expires = _numbers(campaign.attributes, "EXPIRATION_TIMESTAMP", rows)
    repeat = _numbers(campaign.attributes, "REPEAT_FREQUENCY", rows)
    result: Mask = ~(expires <= ask.now)
    for event, yes in zip(known, taken.tolist(), strict=True):
        # REPEAT_FREQUENCY is in days: how long to wait after the action was taken.
        if yes and event.time + repeat[event.item] * 86_400 > ask.now:
            result[event.item] = False
    return result
