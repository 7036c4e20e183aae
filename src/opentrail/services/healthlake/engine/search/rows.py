"""The index rows of a resource.

    index_rows(resource, own) -> IndexRows

`own` is the `values.own_part` of the data store's address: references to it are local ones. It is the same as long as the data store
is there, so that the rows of a stored body can be told again. Rows carry the number of their index path first, and neither data store
nor resource key: the caller adds those. Source is generated once per resource type from the official expressions (`emit`), which makes
extraction 200 times faster than evaluating FHIRPath.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import product
from typing import Any

from opentrail.services.healthlake.engine import values
from opentrail.services.healthlake.engine.issues import Issue, name, refuse
from opentrail.services.healthlake.engine.search import emit, paths

Json = dict[str, Any]
Malformed = (AttributeError, TypeError, KeyError, ValueError, IndexError, OverflowError)
HUGE = 1e300
TABLES = ("token", "reference", "string", "date", "quantity", "uri", "composite")


@dataclass(frozen=True, slots=True)
class IndexRows:
    """Index rows by table, each once.

    token (path, code, system) · reference (path, id, type, base) · string (path, folded, exact) · date (path, first, last) ·
    quantity (path, low, high, unit, system) · uri (path, value) ·
    composite (path, code, system, text, text system, low, high, low2, high2). Systems and bases are `values.system_number`s.
    """

    token: list[tuple[int, str, int]] = field(default_factory=list)
    reference: list[tuple[int, str, str, int]] = field(default_factory=list)
    string: list[tuple[int, str, str]] = field(default_factory=list)
    date: list[tuple[int, int, int]] = field(default_factory=list)
    quantity: list[tuple[int, float, float, str, int]] = field(default_factory=list)
    uri: list[tuple[int, str]] = field(default_factory=list)
    composite: list[tuple[int, str, int, str, int, float, float, float, float]] = field(default_factory=list)

    @property
    def lists(self) -> tuple[list[Any], ...]:
        """The rows of each table, in the order of TABLES."""
        return self.token, self.reference, self.string, self.date, self.quantity, self.uri, self.composite

    def by_table(self) -> Iterator[tuple[str, list[Any]]]:
        """(table name, rows) of each table."""
        return zip(TABLES, self.lists, strict=True)

    @property
    def count(self) -> int:
        """How many rows there are in all."""
        return sum(map(len, self.lists))


def _token(value: object) -> str:
    if type(value) is str and len(value) <= values.MAX_TEXT and "\x00" not in value:
        return value
    return "" if value is None else values.capped(str(value) if not isinstance(value, bool) else str(value).lower())


def _typed(code: object, value: object) -> str:
    return values.capped(f"{_token(code)}|{_token(value)}")


def _system(value: str | None) -> int:
    return values.system_number(value) if value else 0


@lru_cache(maxsize=8192)
def _target(reference: str, own: str) -> tuple[str, str, int]:
    base, kind, identity = values.reference_parts(reference, own)
    return (values.capped(identity), kind, values.system_number(base))


def _canonical(value: object) -> tuple[str, ...]:
    if not isinstance(value, str) or value.startswith("#"):
        return ()
    url, _, version = value.partition("|")
    return (values.capped(url), values.capped(value)) if version else (values.capped(url),)


def _points_to(reference: Json, kind: str, own: str) -> bool:
    return values.reference_parts(reference.get("reference") or "", own)[1] == kind or reference.get("type") == kind


def _deceased(resource: Json) -> bool:
    return "deceasedDateTime" in resource or bool(resource.get("deceasedBoolean"))


def _parts(value: Json, single: tuple[str, ...], many: tuple[str, ...]) -> Iterator[str]:
    for key in single:
        if isinstance(text := value.get(key), str):
            yield text
    for key in many:
        yield from (text for text in value.get(key, ()) if isinstance(text, str))


def _name_parts(value: Json) -> Iterator[str]:
    return _parts(value, ("family", "text"), ("given", "prefix", "suffix"))


def _address_parts(value: Json) -> Iterator[str]:
    return _parts(value, ("city", "district", "state", "postalCode", "country", "text"), ("line",))


def _timing(value: Json) -> Iterator[values.Interval]:
    for event in value.get("event", ()):
        if found := values.date_interval(event):
            yield found
    bounds = value.get("repeat", {}).get("boundsPeriod", {})
    if found := values.period_interval(bounds.get("start"), bounds.get("end")):
        yield found


def _amounts(value: Json) -> Iterator[tuple[float, float, str, int]]:
    """A Quantity by its code, and by its unit when that differs; a comparator makes one end open."""
    if "value" not in value:
        return
    low = high = float(value["value"])
    comparator = value.get("comparator", "")
    low = -HUGE if comparator in ("<", "<=") else low
    high = HUGE if comparator in (">", ">=") else high
    code, unit = _token(value.get("code")), _token(value.get("unit"))
    yield low, high, code or unit, _system(value.get("system"))
    if unit and code and unit != code:
        yield low, high, unit, 0


def _money(value: Json) -> Iterator[tuple[float, float, str, int]]:
    if "value" in value:
        yield (
            float(value["value"]),
            float(value["value"]),
            _token(value.get("currency")),
            values.system_number("urn:iso:std:iso:4217"),
        )


def _amount_range(value: Json) -> Iterator[tuple[float, float, str, int]]:
    low, high = value.get("low", {}), value.get("high", {})
    if "value" not in low and "value" not in high:
        return
    first = float(low["value"]) if "value" in low else -HUGE
    last = float(high["value"]) if "value" in high else HUGE
    named = low if "value" in low else high
    yield first, last, _token(named.get("code") or named.get("unit")), _system(named.get("system"))


NOTHING = ("", 0, 0.0, 0.0)


def _cell(kind: str, row: tuple[Any, ...]) -> tuple[str, int, float, float]:
    """A component's row as (text, system, low, high)."""
    if kind == "token":
        return row[1], row[2], 0.0, 0.0
    if kind == "reference":
        return row[1], values.system_number(row[2]), 0.0, 0.0
    if kind == "quantity":
        return row[3], row[4], row[1], row[2]
    if kind in ("date", "number"):
        return "", 0, float(row[1]), float(row[2])
    return row[1], 0, 0.0, 0.0


def _combined(*parts: tuple[str, list[tuple[Any, ...]]]) -> Iterator[tuple[Any, ...]]:
    for chosen in product(*([_cell(kind, row) for row in rows] for kind, rows in parts)):
        first, second = chosen[0], chosen[1]
        third = chosen[2] if len(chosen) > 2 else NOTHING
        yield first[0], first[1], *second, third[2], third[3]


HELPERS: dict[str, Any] = {
    "Malformed": Malformed,
    "address_parts": _address_parts,
    "amount_range": _amount_range,
    "amounts": _amounts,
    "canonical": _canonical,
    "capped": values.capped,
    "combined": _combined,
    "date_interval": values.date_interval,
    "deceased": _deceased,
    "drop": lambda row: None,
    "fold": values.fold,
    "money": _money,
    "name_parts": _name_parts,
    "period_interval": values.period_interval,
    "points_to": _points_to,
    "system": _system,
    "target": _target,
    "timing": _timing,
    "token": _token,
    "typed": _typed,
}


@cache
def extractor(resource_type: str, lenient: bool) -> Callable[..., None]:
    """The generated function of a resource type."""
    source = emit.function(list(paths.index_paths(resource_type).values()), lenient)
    names = dict(HELPERS)
    exec(compile(source, f"<search {resource_type}>", "exec"), names)  # noqa: S102 - the source is made of our own definitions only
    found: Callable[..., None] = names["extract"]
    return found


def _distinct(rows: list[Any]) -> list[Any]:
    return list(dict.fromkeys(rows)) if len(rows) > 1 else rows


def _extract(resource: Json, own: str, lenient: bool, fail: Callable[[str], None]) -> IndexRows:
    lists: list[list[Any]] = [[] for _ in TABLES]
    extractor(resource["resourceType"], lenient)(resource, own, *(rows.append for rows in lists), fail)
    lists[1] = [row for row in lists[1] if row[1]]  # references that say what they point to
    return IndexRows(*map(_distinct, lists))


def index_rows(resource: Json, own: str = "") -> IndexRows:
    """The rows of a resource that validation accepts. Refused with 422 when its shape cannot be read."""
    try:
        return _extract(resource, own, False, lambda key: None)
    except OverflowError:
        raise refuse(422, "value", "The resource cannot be indexed: a number in it is too large.") from None
    except Malformed:
        raise refuse(
            422, "structure", "The resource cannot be indexed: its shape is not that of {}.", name(resource["resourceType"])
        ) from None


def lenient_rows(resource: Json, own: str = "") -> tuple[IndexRows, list[Issue]]:
    """The rows of a resource stored at the `minimal` level, and a warning for each group of parameters that could not be read."""
    failed: list[str] = []
    found = _extract(resource, own, True, failed.append)
    text = "These search parameters cannot be read: {}."
    return found, [Issue("warning", "processing", text, (name(key.split(":")[2].replace("+", ", ")),)) for key in failed]
