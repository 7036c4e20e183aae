"""Sorted pages straight out of an index: for `_sort` by one date, string or `_lastUpdated` when no filter promises few rows.

    plan(search, store, after) -> the statements that make up the page, to be run one after the other until it is full

A date or string needs two: the resources that have a value, in index order, and after them those that have none. The first row of
a resource in sort order stands for it. Everything else is one statement of `sql.compile_page`.
"""

from opentrail.services.healthlake.engine.search import conditions as c
from opentrail.services.healthlake.engine.search.conditions import AFTER_ALL, Bound
from opentrail.services.healthlake.engine.search.query import Search, SortKey
from opentrail.services.healthlake.engine.search.sql import COLUMNS, START, After, Statement, compile_page, condition, promise
from opentrail.services.healthlake.engine.values import FOREVER

FEW = 70
"""A filter that promises less than this drives the search better than the order does."""
COLUMN = {("date", False): ("starts", "ends"), ("date", True): ("ends", "starts"), ("string", False): ("folded", "exact")}
COLUMN[("string", True)] = COLUMN[("string", False)]


def applies(search: Search) -> bool:
    """Whether the sort key's index should drive."""
    if len(search.sort) != 1 or any(promise(f) < FEW for f in search.filters):
        return False
    parameter = search.sort[0].parameter
    if parameter is None:
        return search.sort[0].code == "_lastUpdated"
    return (parameter.kind, False) in COLUMN and len(parameter.paths) == 1


def nothing(key: SortKey) -> int | str:
    """The sort key of resources without value: behind all others. The same as `compile_page` gives them."""
    if key.parameter is not None and key.parameter.kind == "string":
        return "" if key.descending else AFTER_ALL
    return -2 * FOREVER if key.descending else 2 * FOREVER


def plan(search: Search, store: int, after: After = START) -> list[Statement]:
    """The statements of a page, each with rows like those of `compile_page`."""
    if not applies(search):
        return [compile_page(search, store, after)]
    if search.sort[0].parameter is None:
        return [_updated(search, store, after)]
    behind = bool(after.keys) and after.keys[0] == nothing(search.sort[0])
    last = _without(search, store, after if behind else START)
    return [last] if behind else [_with(search, store, after), last]


def _conditions(search: Search, bound: Bound) -> str:
    found = [condition(f, search.resource_type, "r", bound, i) for i, f in enumerate(search.filters)]
    return "".join(f" AND {text}" for text in found)


def _seek(column: str, pk: str, descending: bool, after: After, bound: Bound) -> str:
    """Behind the last row of the page before, in a form that an index can start from."""
    if not after.keys:
        return ""
    sign, value = "<" if descending else ">", bound.add(after.keys[0])
    return f" AND {column}{sign}={value} AND ({column}{sign}{value} OR {pk}>{bound.add(after.pk)})"


def _updated(search: Search, store: int, after: After) -> Statement:
    bound, descending = Bound(store, search.case_sensitive), search.sort[0].descending
    where = f"r.store=:store AND r.type={bound.add(search.resource_type)} AND +r.deleted=0{_conditions(search, bound)}"
    where += _seek("r.updated", "r.pk", descending, after, bound)
    order = f"r.updated {'DESC' if descending else 'ASC'}, r.pk LIMIT {bound.add(search.count + 1)}"
    return Statement(f"SELECT {COLUMNS}, r.updated AS k0 FROM fhir_current r WHERE {where} ORDER BY {order}", bound.values)


def _with(search: Search, store: int, after: After) -> Statement:
    """The resources that have a value, by it."""
    key, bound = search.sort[0], Bound(store, search.case_sensitive)
    if key.parameter is None:
        raise ValueError("a sort key without parameter has no index table")
    kind, sign = key.parameter.kind, ">" if key.descending else "<"
    column, other = COLUMN[kind, key.descending]
    own = c.of_paths("k", key.parameter.paths)
    first = f"(o.{column}{sign}k.{column} OR (o.{column}=k.{column} AND o.{other}<k.{other}))"
    where = (
        f"k.store=:store AND {own}{_seek(f'k.{column}', 'k.pk', key.descending, after, bound)} AND r.pk=k.pk"
        f" AND NOT EXISTS (SELECT 1 FROM fhir_{kind} o WHERE o.pk=k.pk AND o.path=k.path AND {first}){_conditions(search, bound)}"
    )
    order = f"k.{column} {'DESC' if key.descending else 'ASC'}, k.pk LIMIT {bound.add(search.count + 1)}"
    return Statement(
        f"SELECT {COLUMNS}, k.{column} AS k0 FROM fhir_{kind} k CROSS JOIN fhir_current r WHERE {where} ORDER BY {order}",
        bound.values,
    )


def _without(search: Search, store: int, after: After) -> Statement:
    """The resources that have none, by pk."""
    key, bound = search.sort[0], Bound(store, search.case_sensitive)
    if key.parameter is None:
        raise ValueError("a sort key without parameter has no index table")
    own = c.of_paths("o", key.parameter.paths)
    where = (
        f"r.store=:store AND r.type={bound.add(search.resource_type)} AND r.deleted=0 AND r.pk>{bound.add(after.pk)}"
        f" AND NOT EXISTS (SELECT 1 FROM fhir_{key.parameter.kind} o WHERE o.pk=r.pk AND {own}){_conditions(search, bound)}"
    )
    value = bound.add(nothing(key))
    return Statement(
        f"SELECT {COLUMNS}, {value} AS k0 FROM fhir_current r WHERE {where} ORDER BY r.pk LIMIT {bound.add(search.count + 1)}",
        bound.values,
    )
