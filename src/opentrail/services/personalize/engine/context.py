"""Context of a call (device, place, ...): items taken more often under the given value than overall are lifted.

The lift of an item is log(p(item | value) / p(item)), shrunk towards zero for rare values and items. Only the most frequent values
are kept, so the arrays stay small; an unknown value has no effect, an unknown field is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.interactions import Interactions
from opentrail.services.personalize.engine.models import Card

MOST_VALUES = 24
MOST_CELLS = 4_000_000
PRIOR = 5.0
"""Interactions added to the observed and the expected count of each item."""


def fit_tastes(data: Interactions, users: Entities) -> tuple[Card, dict[str, NDArray[Any]]]:
    """The same for the users' categorical attributes: card entry `tastes` and arrays `taste_FIELD`, for users without history."""
    coded = {name: column for name, column in users.columns.items() if column.codes is not None and column.field.categorical}
    rows = {name: (column.codes[data.user], column.vocabulary) for name, column in coded.items() if column.codes is not None}
    card, arrays = fit_context(replace(data, context=rows))
    return {"tastes": card["context"]}, {f"taste_{name.removeprefix('context_')}": lift for name, lift in arrays.items()}


def has_taste(card: Card, user: Mapping[str, object]) -> bool:
    """Whether something is known of users with these attributes."""
    return any(user.get(name) in values for name, values in card.get("tastes", {}).items())


def taste_boost(card: Card, arrays: Mapping[str, NDArray[Any]], user: Mapping[str, object]) -> NDArray[np.float32] | None:
    """The summed lift of all items for a user of these attributes, or None when nothing is known of such users."""
    rows = [
        arrays[f"taste_{name}"][values.index(user[name])] for name, values in card.get("tastes", {}).items() if user.get(name) in values
    ]
    return np.sum(rows, axis=0, dtype=np.float32) if rows else None


def fit_context(data: Interactions) -> tuple[Card, dict[str, NDArray[Any]]]:
    """Card entry `context` (field -> kept values) and arrays `context_FIELD` (values x items)."""
    kept: dict[str, list[str]] = {}
    arrays: dict[str, NDArray[Any]] = {}
    overall = np.bincount(data.item, minlength=len(data.items)) / max(len(data), 1)
    for name, (codes, words) in data.context.items():
        count = np.bincount(codes[codes >= 0], minlength=len(words))
        most = min(MOST_VALUES, MOST_CELLS // max(len(data.items), 1))
        values = np.argsort(-count, kind="stable")[:most]
        kept[name] = [words[code] for code in values.tolist()]
        lift = np.zeros((len(values), len(data.items)), np.float32)
        for row, code in enumerate(values.tolist()):
            own = np.bincount(data.item[codes == code], minlength=len(data.items))
            lift[row] = np.log((own + PRIOR) / (overall * count[code] + PRIOR))
        arrays[f"context_{name}"] = lift
    return {"context": kept}, arrays


def context_boost(card: Card, arrays: Mapping[str, NDArray[Any]], context: Mapping[str, str]) -> NDArray[np.float32] | None:
    """The summed lift of all items under `context`, or None when it has no effect."""
    known = card.get("context", {})
    total: NDArray[np.float32] | None = None
    for name, value in context.items():
        if name not in known:
            raise InvalidInput("The context holds a field that is no metadata field of the Interactions schema.")
        if value in known[name]:
            row = arrays[f"context_{name}"][known[name].index(value)]
            total = np.array(row, np.float32) if total is None else total + row
    return total
