"""Personal recommendations without deep learning: recency-decayed item neighbours or EASE, whichever validates best on the data itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.counting import popularity
from opentrail.services.personalize.engine.interactions import Interactions
from opentrail.services.personalize.engine.linear import fit_ease
from opentrail.services.personalize.engine.models import Card, Model
from opentrail.services.personalize.engine.neighbours import Pairs, both_ways, count_pairs, nearest
from opentrail.services.personalize.engine.scoring import score_history
from opentrail.services.personalize.engine.splits import Query, leave_last_out

KEPT = 200
VALIDATION_USERS = 400
CHOICE_ROWS = 200_000
"""Interactions on which the constants are chosen; more would cost time and hardly change them."""
REPEAT_SHARE = 0.05
"""Share of interactions with an item the user had before, above which items may be recommended again."""
TEMPERATURE_QUERIES = 100
TEMPERATURES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """What validation settled: the kind of model and its constants."""

    kind: str = "neighbours"
    window: int = 50
    fade: float = 0.5
    back: float = 0.5
    power: float = 0.5
    shrink: float = 20.0
    decay: float = 0.8
    length: int = 50
    popular_weight: float = 1e-4
    penalty: float = 300.0
    temperature: float = 0.1


def choose(data: Interactions, length: int, recency: bool, seed: int) -> Choice:
    """Try the candidates one constant after another on the newest event of up to 400 users; the best NDCG@10 wins.

    The choice also holds the softmax temperature under which those events are likeliest.
    """
    train, queries = leave_last_out(_sample(data, seed), VALIDATION_USERS, seed)
    best = Choice(length=length, decay=0.8 if recency else 1.0)
    if not queries:
        return best
    decays = (0.95, 0.9, 0.8, 0.6) if recency else (1.0,)
    popular, repeats = popular_share(train), repeats_allowed(train)
    paired: dict[tuple[int, float, float], Pairs] = {}
    fitted: dict[Choice, dict[str, NDArray[Any]]] = {}

    def model(option: Choice) -> Model:
        # Decay, length and popularity only matter when scoring: options that differ in those share their arrays.
        key = replace(option, decay=1.0, popular_weight=0.0)
        if key not in fitted:
            if option.kind == "neighbours":
                way = (option.window, option.fade, option.back)
                if way not in paired:
                    paired[way] = both_ways(count_pairs(train, option.window, option.fade), option.back)
                fitted[key] = _neighbour_arrays(paired[way], option, popular)
            else:
                fitted[key] = fit_arrays(train, option)
        return Model(card_of(option, repeats), fitted[key], train.items)

    def settle(options: Sequence[Choice]) -> tuple[Choice, float]:
        scored = [validate(model(option), queries) for option in options]
        at = int(np.argmax(scored))
        return options[at], scored[at]

    best, _ = settle([best, replace(best, window=10, fade=0.0)])
    best, _ = settle([best, replace(best, power=0.35, shrink=8.0), replace(best, shrink=5.0)])
    best, _ = settle([best, *(replace(best, decay=decay) for decay in decays)])
    best, near = settle([best, *(replace(best, popular_weight=weight) for weight in (3e-3, 3e-2))])
    linear, other = settle([replace(best, kind="ease", decay=decay) for decay in (1.0, *decays)])
    best = linear if other > near else best
    return replace(best, temperature=fit_temperature(model(best), queries))


def _sample(data: Interactions, seed: int) -> Interactions:
    """All data, or whole users drawn at random until about CHOICE_ROWS interactions are together."""
    if len(data) <= CHOICE_ROWS:
        return data
    drawn = np.random.default_rng(seed).permutation(len(data.users))
    enough = int(np.searchsorted(np.cumsum(np.diff(data.starts)[drawn]), CHOICE_ROWS)) + 1
    return data.keep(np.isin(data.user, drawn[:enough]))


def fit_personal(data: Interactions, choice: Choice) -> tuple[Card, dict[str, NDArray[Any]]]:
    """Fit `choice` on all of `data`."""
    card = {**card_of(choice, repeats_allowed(data)), "temperature": choice.temperature, "choice": asdict(choice)}
    return card, fit_arrays(data, choice)


def fit_arrays(data: Interactions, choice: Choice) -> dict[str, NDArray[Any]]:
    """The arrays of a model of kind `choice.kind`."""
    if choice.kind == "neighbours":
        pairs = both_ways(count_pairs(data, choice.window, choice.fade), choice.back)
        return _neighbour_arrays(pairs, choice, popular_share(data))
    items, weights = fit_ease(data, choice.penalty)
    place = np.full(len(data.items), -1, np.int32)
    place[items] = np.arange(len(items))
    return {"ease_items": items, "ease_place": place, "ease": weights, "popular": popular_share(data)}


def popular_share(data: Interactions) -> NDArray[np.float32]:
    """Popularity scaled to 0..1."""
    counts = popularity(data)
    return np.asarray(counts / max(float(counts.max(initial=0)), 1.0), np.float32)


def card_of(choice: Choice, repeats: bool) -> Card:
    """The constants that scoring reads; `repeats` says whether items of the history may come again."""
    return {
        "kind": choice.kind,
        "decay": choice.decay,
        "length": choice.length,
        "popular_weight": choice.popular_weight,
        "repeats": repeats,
    }


def repeats_allowed(data: Interactions) -> bool:
    """Whether users of this data take items again often enough to recommend them again."""
    return repeat_share(data) > REPEAT_SHARE


def repeat_share(data: Interactions) -> float:
    """The share of interactions whose user had the item before."""
    pairs = np.unique(data.user.astype(np.int64) * max(len(data.items), 1) + data.item)
    return 1 - len(pairs) / len(data) if len(data) else 0.0


def validate(model: Model, queries: Sequence[Query]) -> float:
    """NDCG@10 of single-answer queries against the whole catalogue; ties count half."""
    gains = []
    for query in queries:
        scores = score_history(model, query.history)
        (wanted,) = query.relevant
        own = scores[wanted]
        place = int((scores > own).sum()) + int((scores == own).sum() - 1) // 2
        gains.append(1 / np.log2(place + 2) if place < 10 else 0.0)
    return float(np.mean(gains))


def fit_temperature(model: Model, queries: Sequence[Query]) -> float:
    """The temperature of TEMPERATURES under which the softmax of scores gives the answers the highest likelihood."""
    total = np.zeros(len(TEMPERATURES))
    for query in queries[:TEMPERATURE_QUERIES]:
        scores = score_history(model, query.history).astype(np.float64)
        (wanted,) = query.relevant
        for at, temperature in enumerate(TEMPERATURES):
            raised = scores / temperature
            top = raised.max()
            total[at] += max(raised[wanted] - top - np.log(np.exp(raised - top).sum()), -30.0)
    return TEMPERATURES[int(np.argmax(total))]


def _neighbour_arrays(pairs: Pairs, choice: Choice, popular: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    near = nearest(pairs, KEPT, choice.power, choice.shrink)
    return {"near_starts": near.starts, "near_item": near.item, "near_value": near.value, "popular": popular}
