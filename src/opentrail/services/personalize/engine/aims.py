"""What a recipe reads, and what a ranking is to favour beside relevance: a column of the items, popularity, freshness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import NULL_LONG
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.interactions import Interactions
from opentrail.services.personalize.engine.personal import popular_share


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a recipe may read. `items` and `users` (attributes) are in the order of `interactions.items` and `.users`."""

    interactions: Interactions
    items: Entities | None = None
    users: Entities | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """What a ranking is to favour beside relevance: a numeric item column (optimizationObjective), POPULARITY or FRESHNESS
    (rankingInfluence), with sensitivity OFF, LOW, MEDIUM or HIGH."""

    name: str
    sensitivity: str


INFLUENCES = ("POPULARITY", "FRESHNESS")
SENSITIVITY = {"OFF": 0.0, "LOW": 0.25, "MEDIUM": 0.5, "HIGH": 1.0}
"""Units of the log score that one standard deviation of an aim's column is worth."""


def influence(arrays: Mapping[str, NDArray[Any]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """What rankingInfluence adds to the scores of a model with ages: POPULARITY and FRESHNESS, each with a weight from 0 to 1."""
    created = arrays["created"]
    values = {
        "POPULARITY": np.log1p(arrays["popular"].astype(np.float64) * 100),
        "FRESHNESS": np.where(created == np.iinfo(np.int64).max, np.nan, created.astype(np.float64)),
    }
    total = np.zeros(len(created), np.float32)
    for name, weight in weights.items():
        total += np.float32(weight) * _standard(values[name])
    return total


def _standard(value: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values in standard deviations from their mean; 0 where there is none."""
    result = np.zeros(len(value), np.float32)
    known = np.isfinite(value)
    spread = float(value[known].std()) if known.any() else 0.0
    if spread > 0:
        result[known] = ((value[known] - value[known].mean()) / spread).astype(np.float32)
    return result


def boost(data: Dataset, aims: Sequence[Aim]) -> NDArray[np.float32]:
    """What the aims add to the scores of all items, in units of the softmax."""
    total = np.zeros(len(data.interactions.items), np.float32)
    for aim in aims:
        if aim.sensitivity not in SENSITIVITY:
            raise InvalidInput("The sensitivity must be one of {values}.", values=", ".join(SENSITIVITY))
        total += np.float32(SENSITIVITY[aim.sensitivity]) * _standard(aimed(data, aim.name))
    return total


def aimed(data: Dataset, name: str) -> NDArray[np.float64]:
    """What an aim looks at, NaN where an item has none."""
    if name == "POPULARITY":
        return np.log1p(popular_share(data.interactions).astype(np.float64) * 100)
    if name == "FRESHNESS":
        created = ages(data)["created"]
        return np.where(created == np.iinfo(np.int64).max, np.nan, created.astype(np.float64))
    column = data.items.columns.get(name) if data.items is not None else None
    if column is None or column.numbers is None:
        raise InvalidInput("The objective must name a numeric column of the Items dataset.")
    return np.where(column.nulls(), np.nan, column.numbers.astype(np.float64))


def ages(data: Dataset) -> dict[str, NDArray[Any]]:
    """When each item came to be (CREATION_TIMESTAMP, else its first event) and how many events it has, for exploration."""
    events = data.interactions
    first = np.full(len(events.items), np.iinfo(np.int64).max)
    np.minimum.at(first, events.item, events.time)
    column = data.items.columns.get("CREATION_TIMESTAMP") if data.items is not None else None
    if column is not None and column.numbers is not None:
        first = np.where(column.numbers == NULL_LONG, first, column.numbers)
    return {"created": first, "events": np.bincount(events.item, minlength=len(events.items)).astype(np.int32)}
