"""Carrying out a search through a read function that is handed in.

    run_search(read, search, store, after) -> Found
    run_many(read, searches, store, after) -> Found         several types, as one list

`read(text, values)` runs one statement with `:name` placeholders and returns its rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opentrail.services.healthlake.engine.issues import Issue, name
from opentrail.services.healthlake.engine.search.in_order import plan
from opentrail.services.healthlake.engine.search.includes import MAX_INCLUDED, compile_include
from opentrail.services.healthlake.engine.search.query import Include, Search
from opentrail.services.healthlake.engine.search.sql import START, After, Statement, compile_total

Read = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
MAX_ROUNDS = 5
CUT = Issue("warning", "too-costly", "Only the first {} included resources are returned.", (name(MAX_INCLUDED),))


@dataclass(frozen=True, slots=True)
class Stored:
    """One resource as stored; `updated` in milliseconds, `body` the JSON bytes."""

    pk: int
    type: str
    id: str
    version: int
    updated: int
    body: bytes


Keep = Callable[[list[Stored]], list[Stored]]
"""Takes out of what was found for an include what may not be shown."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page: matches in order, what was included, the total if asked, where the next page starts, and warnings."""

    matches: tuple[Stored, ...]
    included: tuple[Stored, ...] = ()
    total: int | None = None
    next: After | None = None
    warnings: tuple[Issue, ...] = ()


def _ask(read: Read, statement: Statement) -> list[tuple[Any, ...]]:
    return read(statement.text, statement.values)


def run_search(read: Read, search: Search, store: int, after: After = START, keep: Keep | None = None) -> Found:
    """One page of a search. `_summary=count` gives the total alone. What `keep` takes out is neither shown nor followed."""
    total = int(_ask(read, compile_total(search, store))[0][0]) if search.total or search.summary == "count" else None
    if search.summary == "count":
        return Found((), (), total, None, search.warnings)
    rows: list[tuple[Any, ...]] = []
    for statement in plan(search, store, after):
        rows += _ask(read, statement)
        if len(rows) > search.count:
            break
    page = rows[: search.count]
    following = After(tuple(page[-1][6:]), page[-1][0]) if len(rows) > search.count else None
    matches = tuple(Stored(*row[:6]) for row in page)
    included, full = _included(read, search.includes, store, matches, keep)
    return Found(matches, included, total, following, (*search.warnings, CUT) if full else search.warnings)


def run_many(read: Read, searches: Sequence[Search], store: int, after: After = START, keep: Keep | None = None) -> Found:
    """One page over several types, whose searches differ in the type alone. A page's place holds for each of them: sort keys and
    pk mean the same in all."""
    first = searches[0]
    counted = first.total or first.summary == "count"
    total = sum(int(_ask(read, compile_total(one, store))[0][0]) for one in searches) if counted else None
    warnings = tuple(dict.fromkeys(warning for one in searches for warning in one.warnings))
    if first.summary == "count":
        return Found((), (), total, None, warnings)
    rows: list[tuple[Any, ...]] = []
    for one in searches:
        found: list[tuple[Any, ...]] = []
        for statement in plan(one, store, after):
            found += _ask(read, statement)
            if len(found) > one.count:
                break
        rows += found
    rows.sort(key=lambda row: row[0])
    for place, key in reversed(list(enumerate(first.sort, 6))):
        rows.sort(key=lambda row, place=place: row[place], reverse=key.descending)  # type: ignore[misc]
    page = rows[: first.count]
    following = After(tuple(page[-1][6:]), page[-1][0]) if len(rows) > first.count else None
    matches = tuple(Stored(*row[:6]) for row in page)
    includes = tuple(dict.fromkeys(include for one in searches for include in one.includes))
    included, full = _included(read, includes, store, matches, keep)
    return Found(matches, included, total, following, (*warnings, CUT) if full else warnings)


def _included(
    read: Read, includes: tuple[Include, ...], store: int, matches: tuple[Stored, ...], keep: Keep | None
) -> tuple[tuple[Stored, ...], bool]:
    """What the includes add, each resource once; those with `:iterate` go on from what was added."""
    seen = {row.pk for row in matches}
    added: list[Stored] = []
    frontier, asked = list(matches), includes
    for _ in range(MAX_ROUNDS if includes else 0):
        fresh: list[Stored] = []
        for include in asked:
            statement = compile_include(include, store, [(row.pk, row.type, row.id) for row in frontier])
            for row in _ask(read, statement) if statement else ():
                if row[0] not in seen:
                    seen.add(row[0])
                    fresh.append(Stored(*row))
        fresh = keep(fresh) if keep is not None and fresh else fresh
        added += fresh
        frontier, asked = fresh, tuple(i for i in includes if i.iterate)
        if not fresh or not asked or len(added) >= MAX_INCLUDED:
            break
    return tuple(added[:MAX_INCLUDED]), len(added) >= MAX_INCLUDED
