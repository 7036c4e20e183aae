"""From a search to SQL that runs unchanged on SQLite and PostgreSQL.

    compile_page(search, store, after, limit) -> Statement      rows of one page, in a stable order
    compile_total(search, store) -> Statement                   how many resources match
    compile_ids(search, store, limit) -> Statement              (pk, id) of the first matches, for conditional requests

The filter that promises the fewest rows *drives*: its index is read, and the others are looked up per row. The order of
promise is fixed (`promise`), not estimated: reference and identifier before code before date. A page starts after the sort
keys and pk of the last row of the page before.
"""

from dataclasses import dataclass
from typing import Any

from opentrail.services.healthlake.engine import compartments
from opentrail.services.healthlake.engine.search import conditions as c
from opentrail.services.healthlake.engine.search.conditions import AFTER_ALL, Bound
from opentrail.services.healthlake.engine.search.query import (
    Chain,
    Created,
    Either,
    Filter,
    Has,
    HasId,
    InCompartment,
    Match,
    Missing,
    ReferenceValue,
    Search,
    SortKey,
    TokenValue,
    Updated,
)
from opentrail.services.healthlake.engine.values import FOREVER

COLUMNS = "r.pk, r.type, r.id, r.version, r.updated, r.body"
LAST = 100
LITERAL = {"code", "boolean", "id", "string", "uri"}
NEGATIVE = ("not", "not-in")
HELD: dict[str, tuple[str, ...]] = {"token": ("token", "string"), "reference": ("reference", "token"), "number": ("quantity",)}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with `:name` placeholders, and their values."""

    text: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class After:
    """Where a page starts: the sort keys and pk of the last row before it."""

    keys: tuple[Any, ...] = ()
    pk: int = 0


START = After()


def promise(f: Filter) -> int:
    """How few rows a filter promises: the smallest drives; LAST never does."""
    if isinstance(f, HasId):
        return 0
    if isinstance(f, InCompartment):
        return 9
    if isinstance(f, Chain):
        return 30
    if isinstance(f, Has):
        return 35
    if isinstance(f, Updated):
        return 70
    if isinstance(f, Missing | Created | Either) or f.modifier in NEGATIVE:
        return LAST
    return _match_promise(f)


def _match_promise(m: Match) -> int:
    kind, single = m.parameter.kind, len(m.values) == 1
    if kind == "token":
        if m.parameter.types & {"Identifier", "ContactPoint"}:
            return 5
        weak = m.parameter.types <= {"code", "boolean"} or any(isinstance(v, TokenValue) and v.code is None for v in m.values)
        return 75 if weak else 40 if single else 45
    fixed = {"reference": 10, "composite": 25, "uri": 50, "number": 60}
    if kind in fixed:
        return fixed[kind]
    if kind == "string":
        return 20 if m.modifier == "exact" else 65 if m.modifier == "contains" else 28
    return 55 if all(getattr(v, "prefix", "") in ("eq", "ap") for v in m.values) else 62


def _pks(f: Filter, kind: str, bound: Bound, depth: int) -> str:
    """A SELECT of the pks of resources of a type that pass a filter, which must not be negative."""
    a = f"s{depth}"
    if isinstance(f, Match) and f.modifier not in NEGATIVE:
        parts = [f] if c.by_list(f) else [Match(f.parameter, f.modifier, (v,)) for v in f.values]
        return " UNION ".join(f"SELECT {a}.pk FROM fhir_{c.table(f)} {a} WHERE {c.matching(a, p, bound)}" for p in parts)
    if isinstance(f, Updated):
        when = c.any_of([c.interval(f"{a}.updated", f"{a}.updated", v, bound) for v in f.values])
        live = f"{a}.store=:store AND {a}.type={bound.add(kind)} AND +{a}.deleted=0"
        return f"SELECT {a}.pk FROM fhir_current {a} WHERE {live} AND {when}"
    if isinstance(f, InCompartment):
        return _inside(f, kind, bound, a)
    if isinstance(f, Chain):
        return " UNION ".join(_chained(f, target, inner, bound, depth) for target, inner in f.targets)
    if isinstance(f, Has):
        x, by, kept = f"x{depth}", f"h{depth}", bound.add(kind)
        pointed = (  # each once: many point to the same one, which is then looked up once
            f"SELECT DISTINCT {a}.id FROM ({_pks(f.filter, f.source, bound, depth + 1)}) {by} CROSS JOIN fhir_reference {a}"
            f" WHERE {a}.pk={by}.pk AND {c.of_paths(a, f.parameter.paths)} AND {a}.type={kept} AND {a}.base=0"
        )
        live = f"{x}.store=:store AND {x}.type={kept} AND {x}.deleted=0"
        return f"SELECT {x}.pk FROM ({pointed}) {a} CROSS JOIN fhir_current {x} WHERE {live} AND {x}.id={a}.id"
    return f"SELECT {a}.pk FROM fhir_current {a} WHERE {_live(a, kind, bound)} AND {condition(f, kind, a, bound, depth + 1)}"


def _inside(f: InCompartment, kind: str, bound: Bound, a: str) -> str:
    """What points into the compartment by one of its paths, and the resource that the compartment is named after."""
    me, paths = bound.add(f.id), sorted(compartments.paths_into(f.compartment, kind))
    parts = [f"SELECT {a}.pk FROM fhir_current {a} WHERE {_live(a, kind, bound)} AND {a}.id={me}"] if kind == f.compartment else []
    if paths:
        own = f"{a}.store=:store AND {a}.path IN ({','.join(map(str, paths))}) AND {a}.id={me}"
        parts.append(f"SELECT {a}.pk FROM fhir_reference {a} WHERE {own} AND {a}.type={bound.add(f.compartment)} AND {a}.base=0")
    return " UNION ".join(parts) or f"SELECT {a}.pk FROM fhir_current {a} WHERE {c.NEVER}"


def _live(alias: str, kind: str, bound: Bound) -> str:
    return f"{alias}.store=:store AND {alias}.type={bound.add(kind)} AND {alias}.deleted=0"


def _points(alias: str, keys: tuple[str, ...], kind: str, bound: Bound) -> str:
    return f"{alias}.store=:store AND {c.of_paths(alias, keys)} AND {alias}.type={bound.add(kind)} AND {alias}.base=0"


def _chained(f: Chain, target: str, inner: Filter, bound: Bound, depth: int) -> str:
    a, x = f"s{depth}", f"x{depth}"
    found = f"{x}.pk IN ({_pks(inner, target, bound, depth + 1)})"
    return (
        f"SELECT {a}.pk FROM fhir_current {x} CROSS JOIN fhir_reference {a} WHERE {found} AND {x}.deleted=0"
        f" AND {_points(a, f.parameter.paths, target, bound)} AND {a}.id={x}.id"
    )


def condition(f: Filter, kind: str, r: str, bound: Bound, depth: int) -> str:
    """The condition on a resource row `r` of a type."""
    if isinstance(f, HasId):
        return f"{r}.id IN ({','.join(bound.add(i) for i in f.ids)})"
    if isinstance(f, Updated):
        return c.any_of([c.interval(f"{r}.updated", f"{r}.updated", v, bound) for v in f.values])
    if isinstance(f, Created):
        when = c.any_of([c.interval("h.updated", "h.updated", v, bound) for v in f.values])
        first = f"h.store={r}.store AND h.type={r}.type AND h.id={r}.id AND h.version=1"
        return f"EXISTS (SELECT 1 FROM fhir_history h WHERE {first} AND {when})"
    if isinstance(f, Missing):
        return _missing(f, r, bound)
    if isinstance(f, Either):
        return c.any_of([f"({' AND '.join(condition(one, kind, r, bound, depth) for one in option)})" for option in f.options])
    if isinstance(f, Match):
        a = f"e{depth}"
        found = f"EXISTS (SELECT 1 FROM fhir_{c.table(f)} {a} WHERE {a}.pk={r}.pk AND {c.matching(a, f, bound, probe=True)})"
        return f"NOT {found}" if f.modifier in NEGATIVE else found
    return f"{r}.pk IN ({_pks(f, kind, bound, depth + 1)})"


def _missing(f: Missing, r: str, bound: Bound) -> str:
    parts = []
    for table in HELD.get(f.parameter.kind, (f.parameter.kind,)):
        only = f" AND m.type={bound.add(f.parameter.only_target)}" if f.parameter.only_target and table == "reference" else ""
        own = f"{c.of_paths('m', f.parameter.paths)}{only}"
        if table in c.WITHOUT_PK:
            parts.append(f"{r}.pk IN (SELECT m.pk FROM fhir_{table} m WHERE m.store=:store AND {own})")
        else:
            parts.append(f"EXISTS (SELECT 1 FROM fhir_{table} m WHERE m.pk={r}.pk AND {own})")
    return f"{'NOT ' if f.missing else ''}({' OR '.join(parts)})"


def _streams(f: Filter) -> bool:
    """Whether a filter asks for one value of one path, so that its rows come out of the index by pk."""
    if not isinstance(f, Match) or len(f.values) != 1 or len(f.parameter.paths) != 1 or f.modifier:
        return False
    value = f.values[0]
    if isinstance(value, ReferenceValue):
        return bool(value.type or f.parameter.only_target) and not value.url
    return f.parameter.kind == "uri" or (isinstance(value, TokenValue) and value.code is not None)


def _once(match: Match) -> str:
    """That a streamed row is the first of its resource: a code asked without system may be there under several."""
    value = match.values[0]
    if not isinstance(value, TokenValue) or value.system is not None or match.parameter.types <= LITERAL:
        return ""
    same = "o.store=d.store AND o.path=d.path AND o.code=d.code AND o.pk=d.pk AND o.system<d.system"
    return f" AND NOT EXISTS (SELECT 1 FROM fhir_token o WHERE {same})"


def _from_where(search: Search, bound: Bound) -> tuple[str, str, str]:
    """(FROM, WHERE, pk expression): the driving filter in FROM, all others as conditions."""
    filters = sorted(search.filters, key=promise)
    kind = search.resource_type
    if filters and _streams(filters[0]):
        first = filters.pop(0)
        if isinstance(first, Match):
            source = f"fhir_{c.table(first)} d CROSS JOIN fhir_current r"
            parts = [c.matching("d", first, bound) + _once(first), "r.pk=d.pk"]
            return source, " AND ".join([*parts, *(condition(f, kind, "r", bound, i) for i, f in enumerate(filters))]), "d.pk"
    parts = []
    if filters and promise(filters[0]) < LAST and not isinstance(filters[0], HasId):
        parts.append(f"r.pk IN ({_pks(filters.pop(0), kind, bound, 50)})")
    else:
        parts.append(_live("r", kind, bound))
    parts += [condition(f, kind, "r", bound, i) for i, f in enumerate(filters)]
    return "fhir_current r", " AND ".join(parts), "r.pk"


SORT_COLUMNS = {
    "string": ("folded", "folded"),
    "date": ("starts", "ends"),
    "quantity": ("low", "high"),
    "token": ("code", "code"),
    "uri": ("value", "value"),
}


def _sort_key(key: SortKey, bound: Bound) -> str:
    """The value that a resource is sorted by: its least when ascending, its greatest when descending; missing ones come last."""
    if key.parameter is None:
        return "r.id" if key.code == "_id" else "r.updated"
    kind = {"number": "quantity"}.get(key.parameter.kind, key.parameter.kind)
    least, most = SORT_COLUMNS.get(kind, ("id", "id"))
    function, column = ("max", most) if key.descending else ("min", least)
    only = f" AND k.type={bound.add(key.parameter.only_target)}" if key.parameter.only_target else ""
    found = f"SELECT {function}(k.{column}) FROM fhir_{kind} k WHERE k.pk=r.pk AND {c.of_paths('k', key.parameter.paths)}{only}"
    if kind == "date":
        nothing = str(-2 * FOREVER if key.descending else 2 * FOREVER)
    elif kind == "quantity":
        nothing = "-1.7e308" if key.descending else "1.7e308"
    else:
        nothing = "''" if key.descending else bound.add(AFTER_ALL)
    return f"COALESCE(({found}), {nothing})"


def _after(sort: tuple[SortKey, ...], after: After, bound: Bound) -> str:
    """The rows behind the last one of the page before, in sort order with pk as last key."""
    columns = [(f"k{i}", key.descending, value) for i, (key, value) in enumerate(zip(sort, after.keys, strict=True))]
    columns.append(("pk", False, after.pk))
    options = []
    for i, (column, descending, value) in enumerate(columns):
        same = [f"q.{name}={bound.add(v)}" for name, _, v in columns[:i]]
        options.append(" AND ".join([*same, f"q.{column}{'<' if descending else '>'}{bound.add(value)}"]))
    return c.any_of([f"({o})" for o in options])


def compile_page(search: Search, store: int, after: After = START, limit: int | None = None) -> Statement:
    """Rows (pk, type, id, version, updated, body, sort keys...) of the page behind `after`; by default one more than asked."""
    bound = Bound(store, search.case_sensitive)
    source, where, pk = _from_where(search, bound)
    size = bound.add(search.count + 1 if limit is None else limit)
    if not search.sort:
        more = f"{where} AND {pk}>{bound.add(after.pk)} ORDER BY {pk} LIMIT {size}"
        if pk == "d.pk":
            return Statement(f"SELECT {COLUMNS} FROM {source} WHERE {more}", bound.values)
        inner = f"SELECT r.pk FROM {source} WHERE {more}"
        return Statement(f"SELECT {COLUMNS} FROM ({inner}) q CROSS JOIN fhir_current r WHERE r.pk=q.pk ORDER BY r.pk", bound.values)
    keys = ", ".join(f"{_sort_key(key, bound)} AS k{i}" for i, key in enumerate(search.sort))
    order = ", ".join([*(f"q.k{i} {'DESC' if key.descending else 'ASC'}" for i, key in enumerate(search.sort)), "q.pk"])
    names = ", ".join(f"q.k{i}" for i in range(len(search.sort)))
    from_here = f" WHERE {_after(search.sort, after, bound)}" if after.keys else ""
    inner = f"SELECT r.pk AS pk, {keys} FROM {source} WHERE {where}"
    page = f"SELECT q.pk, {names} FROM ({inner}) q{from_here} ORDER BY {order} LIMIT {size}"
    return Statement(f"SELECT {COLUMNS}, {names} FROM ({page}) q CROSS JOIN fhir_current r WHERE r.pk=q.pk ORDER BY {order}", bound.values)


def compile_total(search: Search, store: int) -> Statement:
    """One row: the number of matching resources. A search by one filter counts index rows only."""
    bound = Bound(store, search.case_sensitive)
    if len(search.filters) == 1 and isinstance(search.filters[0], Match) and promise(search.filters[0]) < LAST:
        match = search.filters[0]
        number = "*" if _streams(match) and not _once(match) else "DISTINCT d.pk"
        return Statement(f"SELECT count({number}) FROM fhir_{c.table(match)} d WHERE {c.matching('d', match, bound)}", bound.values)
    source, where, _ = _from_where(search, bound)
    return Statement(f"SELECT count(*) FROM {source} WHERE {where}", bound.values)


def compile_ids(search: Search, store: int, limit: int = 2) -> Statement:
    """Rows (pk, id) of the first matches: what conditional create, update and delete decide by."""
    bound = Bound(store, search.case_sensitive)
    source, where, pk = _from_where(search, bound)
    return Statement(f"SELECT r.pk, r.id FROM {source} WHERE {where} ORDER BY {pk} LIMIT {bound.add(limit)}", bound.values)
