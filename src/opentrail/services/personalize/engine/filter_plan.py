"""Filters at work: a checked filter over a table of items (users, actions) becomes a mask of what may be recommended.

Attribute conditions are vectorised: the words of a string column are inverted once (value -> codes), so that rows whose attributes change
need no new inversion. Conditions on interactions see the latest 100 events of the current user per event type.
"""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from opentrail.services.personalize.engine.columns import Mask
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.filter_language import (
    ANY,
    INTERACTIONS,
    Comparison,
    Expression,
    Filter,
    Parameter,
    parameters_of,
    parse_values,
)

LATEST_PER_TYPE = 100
_MASKS_KEPT = 32
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Where = tuple[tuple[Comparison, ...], ...]
Attributes = Mapping[str, str | int | float | None]
NOTHING: Attributes = MappingProxyType({})


class Event(NamedTuple):
    """One event of a user: index of the item (-1: unknown to the model), time, and its columns (EVENT_TYPE, metadata)."""

    item: int
    time: int
    columns: Attributes = NOTHING


class FilterTable:
    """The rows a filter chooses from, with the inverted vocabularies; build it once per catalogue, it only grows by caching."""

    def __init__(self, entities: Entities) -> None:
        self.rows = len(entities)
        self._columns = entities.columns
        self._codes_of: dict[str, dict[str, list[int]]] = {}
        self._masks: OrderedDict[Comparison | Where | Filter, Mask] = OrderedDict()
        self._guard = threading.Lock()

    def mask(self, where: Where) -> Mask:
        """The rows for which bound conditions hold (read-only, shared); null fulfils NOT IN only."""
        return self._kept(where, lambda: _union([_intersection([self._comparison(one) for one in group]) for group in where]))

    def whole(self, parsed: Filter, compute: Callable[[], Mask]) -> Mask:
        """The same for all expressions of a filter that are `fixed`."""
        return self._kept(parsed, compute)

    def knows(self, parsed: Filter) -> bool:
        """Whether the rows of a bound filter are at hand, but for those that the events of a user say."""
        if all(one.fixed for one in parsed):
            return not parsed or parsed in self._masks
        return all(one.where[0][0].dataset in INTERACTIONS or one.where in self._masks for one in parsed)

    def _comparison(self, one: Comparison) -> Mask:
        return self._kept(one, lambda: self._compute(one, [value for value in one.values if not isinstance(value, Parameter)]))

    def _kept(self, key: Comparison | Where | Filter, compute: Callable[[], Mask]) -> Mask:
        with self._guard:
            known = self._masks.get(key)
            if known is not None:
                self._masks.move_to_end(key)
                return known
        # Outside the guard: two threads may compute the same mask, none waits for another one.
        made = compute()
        with self._guard:
            self._masks[key] = made
            while len(self._masks) > _MASKS_KEPT:
                self._masks.popitem(last=False)
        return made

    def _compute(self, one: Comparison, values: Sequence[str | float]) -> Mask:
        column = self._columns.get(one.field)
        result = np.zeros(self.rows, np.bool_)
        if column is None:
            return ~result if one.operator == "NOT IN" else result
        if column.numbers is not None:
            number = _as_number(values[0])
            if number is None:
                raise InvalidInput("Filter field {field}: the value must be a number.", field=one.field)
            result = np.asarray(_COMPARE[one.operator](column.numbers, np.float64(number)), np.bool_)
            return result & ~column.nulls() if column.numbers.dtype != np.float64 else result
        if column.codes is not None:
            codes_of = self._codes_of.get(one.field)
            if codes_of is None:
                codes_of = self._codes_of[one.field] = _invert(column.vocabulary)
            # One place more than there are words: the code of null, -1, is the last.
            hit = np.zeros(len(column.vocabulary) + 1, np.bool_)
            for value in values:
                hit[codes_of.get(str(value), [])] = True
            result = hit[column.codes]
        return ~result if one.operator == "NOT IN" else result


def _invert(vocabulary: Sequence[str]) -> dict[str, list[int]]:
    """The codes of the words that hold each value; values of a word are separated by |."""
    found: dict[str, list[int]] = {}
    for code, word in enumerate(vocabulary):
        for value in dict.fromkeys(word.split("|")):
            found.setdefault(value, []).append(code)
    return found


def bind(parsed: Filter, filter_values: Mapping[str, str]) -> Filter:
    """Put the values of a call into a filter. EXCLUDE expressions with a value missing drop out; INCLUDE ones refuse."""
    needed, known = parameters_of(parsed)
    if not known and not filter_values:
        return parsed
    if filter_values.keys() - known:
        raise InvalidInput("The filter has no parameter of a name given in filterValues.")
    if needed - filter_values.keys():
        raise InvalidInput("The filter parameters [{missing}] are missing.", missing=", ".join(sorted(needed - filter_values.keys())))
    given = {name: parse_values(text) for name, text in filter_values.items()}
    return tuple(_bind(one, given) for one in parsed if one.parameters <= given.keys())


def _bind(one: Expression, given: Mapping[str, tuple[str, ...]]) -> Expression:
    def fill(comparison: Comparison) -> Comparison:
        values: list[str | float | Parameter] = []
        for value in comparison.values:
            values.extend(given[value.name] if isinstance(value, Parameter) else (value,))
        if comparison.operator == "=" and len(values) != 1:
            raise InvalidInput("Filter parameter of field {field}: = takes one value.", field=comparison.field)
        return Comparison(comparison.dataset, comparison.field, comparison.operator, tuple(values))

    where = tuple(tuple(map(fill, group)) for group in one.where)
    return Expression(one.include, one.target, where, tuple(map(fill, one.when)))


def allowed(parsed: Filter, table: FilterTable, events: Sequence[Event] = (), user: Attributes | None = None) -> Mask | None:
    """The rows a bound filter lets through (a fresh or shared read-only mask), or None when it lets all through.

    INCLUDE expressions add up, EXCLUDE ones are taken away after them, whatever their order; one whose IF fails does not count.
    """
    if parsed and all(one.fixed for one in parsed):
        return table.whole(parsed, lambda: _fixed(parsed, table))
    return _let_through(parsed, table, latest(events) if parsed else (), user or {})


def _fixed(parsed: Filter, table: FilterTable) -> Mask:
    rows = _let_through(parsed, table, (), {})
    assert rows is not None, "an expression without IF counts"
    return rows


def _let_through(parsed: Filter, table: FilterTable, recent: Sequence[Event], user: Attributes) -> Mask | None:
    included: Mask | None = None
    excluded: Mask | None = None
    for one in parsed:
        if one.parameters:
            raise InvalidInput("The filter has parameters that were not supplied.")
        if not all(holds(condition, user) for condition in one.when):
            continue
        rows = _rows(one, table, recent)
        if one.include:
            included = rows if included is None else included | rows
        else:
            excluded = rows if excluded is None else excluded | rows
    if excluded is None:
        return included
    return ~excluded if included is None else included & ~excluded


def latest(events: Sequence[Event]) -> list[Event]:
    """The latest events, at most `LATEST_PER_TYPE` of each type (any case)."""
    counts: dict[str, int] = {}
    kept = []
    for event in sorted(events, key=lambda event: event.time, reverse=True):
        kind = str(event.columns.get("EVENT_TYPE") or "").lower()
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= LATEST_PER_TYPE:
            kept.append(event)
    return kept


def holds(one: Comparison, row: Attributes) -> bool:
    """Whether a bound comparison holds for one row's attributes (event types match without case, null fulfils NOT IN only)."""
    value = row.get(one.field)
    if one.operator in ORDERED:
        number = _as_number(one.values[0])
        return value is not None and not isinstance(value, str) and number is not None and bool(_COMPARE[one.operator](value, number))
    found = {str(value).lower()} if one.field == "EVENT_TYPE" else set(str(value).split("|"))
    wanted = {str(each).lower() if one.field == "EVENT_TYPE" else str(each) for each in one.values}
    inside = value is not None and (ANY in one.values or bool(found & wanted))
    if one.operator == "=":
        number = _as_number(one.values[0])
        return inside if isinstance(value, str) else value is not None and value == number
    return inside is (one.operator == "IN")


ORDERED = ("<", "<=", ">", ">=")


def _as_number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _rows(expression: Expression, table: FilterTable, recent: Sequence[Event]) -> Mask:
    if expression.where[0][0].dataset in INTERACTIONS:
        result = np.zeros(table.rows, np.bool_)
        for event in recent:
            if event.item >= 0 and any(all(holds(one, event.columns) for one in group) for group in expression.where):
                result[event.item] = True
        return result
    return table.mask(expression.where)


def _intersection(masks: Sequence[Mask]) -> Mask:
    return reduce(np.logical_and, masks)


def _union(masks: Sequence[Mask]) -> Mask:
    return reduce(np.logical_or, masks)
