"""Metric attributions: what imported events sum up to, by metric, source and quarter of an hour.

Expressions are `SAMPLECOUNT()` and `SUM(Interactions.COLUMN)` or `SUM(Items.COLUMN)`; rows of a report are those of "Publishing metric
attribution reports to Amazon S3" of the developer guide.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Column, Table
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.schemas import Schema

INTERVAL = 900
UNDEFINED = "SOURCE_NAME_UNDEFINED"
"""The source of events that name none."""
HEADER = ("METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP")
_EXPRESSION = re.compile(r"(SAMPLECOUNT)\(\s*\)|SUM\(\s*(Interactions|Items)\.([A-Za-z_][A-Za-z0-9_]*)\s*\)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: events of `kind` (any case) are counted, or `column` of `dataset` (Interactions, Items) is summed over them."""

    name: str
    kind: str
    dataset: str = ""
    column: str = ""


def read_metric(name: str, kind: str, expression: str) -> Metric:
    """The metric of an expression. Raises InvalidInput."""
    found = _EXPRESSION.fullmatch(expression.strip())
    if found is None:
        raise InvalidInput("A metric's expression must be SAMPLECOUNT() or SUM(Interactions.COLUMN) or SUM(Items.COLUMN).")
    return Metric(name, kind) if found[1] else Metric(name, kind, found[2].capitalize(), found[3])


def check_metric(metric: Metric, schemas: Mapping[str, Schema]) -> None:
    """Refuses a sum over what is no number of the group's schemas (by record name)."""
    if not metric.dataset:
        return
    schema = schemas.get(metric.dataset)
    field = schema.field(metric.column) if schema is not None else None
    if field is None or not field.numeric:
        raise InvalidInput("A metric's SUM must name a numeric column of {dataset}.", dataset=metric.dataset)


def report(events: Table, items: Entities | None, metrics: Sequence[Metric], out: IO[str]) -> int:
    """Writes the report of imported events as CSV; how many rows it has beside the header."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    kinds, kind = _coded(events.columns.get("EVENT_TYPE"), events.rows)
    sources, source = _coded(events.columns.get("EVENT_ATTRIBUTION_SOURCE"), events.rows)
    time = np.asarray(events.columns["TIMESTAMP"].numbers, np.int64) // INTERVAL * INTERVAL
    rows = 0
    for metric in metrics:
        wanted = [code for code, name in enumerate(kinds) if name.lower() == metric.kind.lower()]
        at = np.flatnonzero(np.isin(kind, wanted))
        value = _values(metric, events, items)[at]
        # -1, no source, comes last among the codes.
        keys, place = np.unique(np.stack([time[at], source[at] % (len(sources) + 1)]), axis=1, return_inverse=True)
        sums = np.bincount(place.ravel(), value, minlength=keys.shape[1])
        for (when, which), total in zip(keys.T.tolist(), sums.tolist(), strict=True):
            named = sources[which] if which < len(sources) else UNDEFINED
            writer.writerow([metric.name, metric.kind, total, "sum" if metric.dataset else "samplecount", named, when])
            rows += 1
    return rows


def _coded(column: Column | None, rows: int) -> tuple[Sequence[str], NDArray[np.int64]]:
    if column is None:
        return (), np.full(rows, -1)
    if column.codes is not None:
        return column.vocabulary, column.codes.astype(np.int64)
    names: dict[str, int] = {}
    return list(names), np.array([names.setdefault(text, len(names)) if text else -1 for text in column.texts or ()], np.int64)


def _values(metric: Metric, events: Table, items: Entities | None) -> NDArray[np.float64]:
    if not metric.dataset:
        return np.ones(events.rows)
    if metric.dataset == "Interactions":
        return _numbers(events.columns.get(metric.column), events.rows)
    column = events.columns["ITEM_ID"]
    places = {name: at for at, name in enumerate(items.ids)} if items is not None else {}
    value = np.append(_numbers(items.columns.get(metric.column), len(items)), 0.0) if items is not None else np.zeros(1)
    moved = np.array([places.get(word, -1) for word in column.vocabulary], np.int64)
    return np.asarray(value[moved[column.codes]], np.float64) if column.codes is not None and len(moved) else np.zeros(events.rows)


def _numbers(column: Column | None, rows: int) -> NDArray[np.float64]:
    """Numbers, 0 for null."""
    if column is None or column.numbers is None:
        return np.zeros(rows)
    return np.where(column.nulls(), 0.0, column.numbers.astype(np.float64))
