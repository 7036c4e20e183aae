"""Interactions ready for training: segments merged, deduplicated, sorted by user and time, ids replaced by indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import NULL_CODE, Codes, Mask, Table
from opentrail.services.personalize.engine.errors import InvalidInput

LEAST_INTERACTIONS = 1_000
LEAST_USERS = 25
LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Interactions:
    """Rows sorted by (user, time). `user` and `item` index `users` and `items`; `starts[u]:starts[u + 1]` are u's rows.

    `kind` indexes `kinds` (event types as first written), -1 without one; `value` is EVENT_VALUE or NaN; `weight` is 1 or the
    weight of the event type; `context` holds the coded metadata columns: name -> (codes, words).
    """

    users: Sequence[str]
    items: Sequence[str]
    user: Codes
    item: Codes
    time: NDArray[np.int64]
    kind: Codes
    kinds: Sequence[str]
    value: NDArray[np.float64]
    weight: NDArray[np.float32]
    starts: NDArray[np.int64]
    context: Mapping[str, tuple[Codes, Sequence[str]]]

    def __len__(self) -> int:
        return len(self.item)

    def history(self, user: int) -> Codes:
        """The items of one user, oldest first."""
        return self.item[self.starts[user] : self.starts[user + 1]]

    def keep(self, rows: Mask) -> Interactions:
        """The same users and items with only the rows of the mask."""
        kept = np.flatnonzero(rows)
        return replace(
            self,
            user=self.user[kept],
            item=self.item[kept],
            time=self.time[kept],
            kind=self.kind[kept],
            value=self.value[kept],
            weight=self.weight[kept],
            starts=np.searchsorted(self.user[kept], np.arange(len(self.users) + 1)).astype(np.int64),
            context={name: (codes[kept], words) for name, (codes, words) in self.context.items()},
        )


@dataclass(frozen=True, slots=True)
class EventRule:
    """`eventParametersList` of a solution: events of `kind` count from `threshold` of EVENT_VALUE on, each for `weight`."""

    kind: str
    threshold: float | None = None
    weight: float = 1.0


def merge_interactions(tables: Sequence[Table], items: Sequence[str] = (), target: str = "ITEM_ID") -> Interactions:
    """Merge segments (oldest first). `items` come first in the item order, so that indexes of a catalogue stay valid.

    Of events with equal user, item, time, type, value and metadata one is kept. `target` is ACTION_ID for actions.
    """
    users, user = _unify(tables, "USER_ID", {})
    things, item = _unify(tables, target, {name: at for at, name in enumerate(items)})
    kinds, kind = _unify(tables, "EVENT_TYPE", {}) if _has(tables, "EVENT_TYPE") else ([], np.full(len(item), NULL_CODE, np.int32))
    time = np.concatenate([np.asarray(table.columns["TIMESTAMP"].numbers, np.int64) for table in tables] or [np.zeros(0, np.int64)])
    value = np.concatenate([_values(table) for table in tables] or [np.zeros(0)])
    names = {field.name for table in tables for field in table.schema.metadata if field.kind == "string" and not field.textual}
    context = {name: _unify(tables, name, {}) for name in sorted(names)}
    order = np.lexsort((np.nan_to_num(value, nan=-np.inf), kind, item, time, user)) if len(item) else np.zeros(0, np.int64)
    columns: list[NDArray[Any]] = [user, item, time, kind, np.nan_to_num(value, nan=-np.inf), *(codes for _, codes in context.values())]
    fresh = np.ones(len(order), np.bool_)
    if len(order) > 1:
        fresh[1:] = np.logical_or.reduce([column[order][1:] != column[order][:-1] for column in columns])
    order = order[fresh]
    return Interactions(
        users=users,
        items=things,
        user=user[order],
        item=item[order],
        time=time[order],
        kind=kind[order],
        kinds=kinds,
        value=value[order],
        weight=np.ones(len(order), np.float32),
        starts=np.searchsorted(user[order], np.arange(len(users) + 1)).astype(np.int64),
        context={name: (codes[order], words) for name, (words, codes) in context.items()},
    )


def from_arrays(
    user: Sequence[int] | Codes, item: Sequence[int] | Codes, time: Sequence[int] | NDArray[np.int64], users: int, items: int
) -> Interactions:
    """Interactions of plain indexes (for tests, benchmarks and generated data): ids are the indexes as text."""
    order = np.lexsort((np.asarray(time), np.asarray(user)))
    who = np.asarray(user, np.int32)[order]
    return Interactions(
        users=[str(one) for one in range(users)],
        items=[str(one) for one in range(items)],
        user=who,
        item=np.asarray(item, np.int32)[order],
        time=np.asarray(time, np.int64)[order],
        kind=np.full(len(who), NULL_CODE, np.int32),
        kinds=[],
        value=np.full(len(who), np.nan),
        weight=np.ones(len(who), np.float32),
        starts=np.searchsorted(who, np.arange(users + 1)).astype(np.int64),
        context={},
    )


def select_events(data: Interactions, event_rules: Sequence[EventRule]) -> Interactions:
    """Keep the events that a solution's event rules name (all without rules), with their weights. Types match without case."""
    if not event_rules:
        return data
    keep = np.zeros(len(data), np.bool_)
    weight = data.weight.copy()
    for rule in event_rules:
        codes = [code for code, name in enumerate(data.kinds) if name.lower() == rule.kind.lower()]
        rows = np.isin(data.kind, codes)
        if rule.threshold is not None:
            rows &= data.value >= rule.threshold
        weight[rows] = rule.weight
        keep |= rows
    return replace(data, weight=weight).keep(keep)


def check_enough(data: Interactions, kind: str | None = None) -> None:
    """Refuse data below Personalize's minimum (1,000 interactions; 25 users, and 1 % of all, with two interactions each)."""
    if len(data) < LEAST_INTERACTIONS:
        if kind is None:
            raise InvalidInput("Dataset has fewer than {least} interactions.", least=LEAST_INTERACTIONS)
        raise InvalidInput(
            "Dataset has fewer than {least} interactions after filtering by event type: {kind}", least=LEAST_INTERACTIONS, kind=kind
        )
    counts = np.diff(data.starts)
    twice = int((counts >= 2).sum())
    if twice < LEAST_USERS:
        raise InvalidInput("Dataset has fewer than {least} users with at least 2 interactions each", least=LEAST_USERS)
    if twice < LEAST_SHARE * int((counts > 0).sum()):
        raise InvalidInput("Dataset has fewer than 1 percent of users with at least 2 interactions each")


def _has(tables: Sequence[Table], name: str) -> bool:
    return any(name in table.columns for table in tables)


def _values(table: Table) -> NDArray[np.float64]:
    column = table.columns.get("EVENT_VALUE")
    return np.full(table.rows, np.nan) if column is None else np.asarray(column.numbers, np.float64)


def _unify(tables: Sequence[Table], name: str, known: dict[str, int]) -> tuple[list[str], Codes]:
    parts = [np.zeros(0, np.int32)]
    for table in tables:
        column = table.columns.get(name)
        if column is None or column.codes is None:
            parts.append(np.full(table.rows, NULL_CODE, np.int32))
            continue
        moved = np.array([*(known.setdefault(word, len(known)) for word in column.vocabulary), NULL_CODE], np.int32)
        parts.append(moved[column.codes])
    return list(known), np.concatenate(parts)
