"""SQL of `_include` and `_revinclude`: which resources to add to the matches of a page."""

from collections.abc import Iterable

from opentrail.services.healthlake.engine.search import conditions as c
from opentrail.services.healthlake.engine.search.conditions import Bound
from opentrail.services.healthlake.engine.search.offered import offered
from opentrail.services.healthlake.engine.search.query import Include
from opentrail.services.healthlake.engine.search.sql import COLUMNS, Statement

MAX_INCLUDED = 1000


def _pointing(include: Include) -> tuple[str, ...]:
    if include.parameter is not None:
        return include.parameter.paths
    return tuple(dict.fromkeys(key for p in offered(include.source).values() if p.kind == "reference" for key in p.paths))


def compile_include(include: Include, store: int, found: Iterable[tuple[int, str, str]], limit: int = MAX_INCLUDED) -> Statement | None:
    """Rows (pk, type, id, version, updated, body) that an include adds to the resources (pk, type, id) `found`; None for none."""
    bound = Bound(store)
    keys = _pointing(include)
    narrowed = include.parameter.only_target if include.parameter else ""
    if include.reverse:
        pairs = [(kind, identity) for _, kind, identity in found if not include.target or kind == include.target]
        pairs = [(kind, identity) for kind, identity in pairs if not narrowed or kind == narrowed]
        if not pairs or not keys:
            return None
        kinds = dict.fromkeys(kind for kind, _ in pairs)
        wanted = [f"(i.type={bound.add(k)} AND i.id IN ({','.join(bound.add(i) for t, i in pairs if t == k)}))" for k in kinds]
        inner = f"SELECT i.pk FROM fhir_reference i WHERE i.store=:store AND {c.of_paths('i', keys)}"
        inner += f" AND {c.any_of(wanted)} AND i.base=0"
        return Statement(
            f"SELECT {COLUMNS} FROM fhir_current r WHERE r.pk IN ({inner}) ORDER BY r.pk LIMIT {bound.add(limit)}", bound.values
        )
    pks = [pk for pk, kind, _ in found if kind == include.source]
    if not pks or not keys:
        return None
    kind = include.target or narrowed
    only = f" AND i.type={bound.add(kind)}" if kind else ""
    inner = (
        f"SELECT DISTINCT i.type, i.id FROM fhir_reference i WHERE i.pk IN ({','.join(map(str, pks))})"
        f" AND {c.of_paths('i', keys)} AND i.base=0{only}"
    )
    text = f"SELECT {COLUMNS} FROM ({inner}) i CROSS JOIN fhir_current r WHERE r.store=:store"
    return Statement(f"{text} AND r.type=i.type AND r.id=i.id AND r.deleted=0 ORDER BY r.pk LIMIT {bound.add(limit)}", bound.values)
