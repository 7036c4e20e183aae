"""SQL conditions on index rows: what makes a row match a value.

Texts are built from our own names and numbers only; every value of a request is bound (`Bound`). A condition speaks of the
columns of one index table under an alias.
"""

from typing import Any

from opentrail.services.healthlake.engine import values
from opentrail.services.healthlake.engine.search.paths import Parameter, number, parameters
from opentrail.services.healthlake.engine.search.query import (
    CompositeValue,
    DateValue,
    Match,
    QuantityValue,
    ReferenceValue,
    TextValue,
    TokenValue,
    Value,
)

AFTER_ALL = "\U0010ffff"
NEVER = "1=0"
WITHOUT_PK = ("uri", "composite")
"""Index tables that have no index by pk."""


class Bound:
    """The values of a statement by placeholder name; `add` gives the placeholder. `exact_case`: strings compare as written."""

    def __init__(self, store: int, exact_case: bool = False) -> None:
        self.values: dict[str, Any] = {"store": store}
        self.exact_case = exact_case

    def add(self, value: Any) -> str:
        """`:v1` for the value."""
        key = f"v{len(self.values)}"
        self.values[key] = value
        return ":" + key


def any_of(parts: list[str]) -> str:
    """One of the conditions holds; never when there are none."""
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})" if parts else NEVER


def of_paths(alias: str, keys: tuple[str, ...]) -> str:
    """The row belongs to one of the index paths."""
    numbers = sorted(number(key) for key in keys)
    column = f"{alias}.path"
    return f"{column}={numbers[0]}" if len(numbers) == 1 else f"{column} IN ({','.join(map(str, numbers))})"


def token(a: str, v: TokenValue, parameter: Parameter, bound: Bound) -> str:
    """A token row; a `code` element has no system but the one that its binding implies."""
    parts = [f"{a}.code={bound.add(v.code)}"] if v.code is not None else []
    if v.system is not None:
        own = f"{a}.system={bound.add(values.system_number(v.system))}"
        parts.append(f"({own} OR {a}.system=0)" if v.system in parameter.implied else own)
    return " AND ".join(parts) or "1=1"


def tokens(a: str, chosen: list[TokenValue], parameter: Parameter, bound: Bound) -> str:
    """One of many codes, each with its system."""
    codes: dict[str, list[str]] = {}
    for v in chosen:
        codes.setdefault(v.system or "", []).append(bound.add(v.code))
    parts = []
    for system, places in codes.items():
        own = f"{a}.system={bound.add(values.system_number(system))}"
        either = f"({own} OR {a}.system=0)" if system in parameter.implied else own
        parts.append(f"({a}.code IN ({','.join(places)}) AND {either})")
    return any_of(parts)


def reference(a: str, v: ReferenceValue, parameter: Parameter, bound: Bound) -> str:
    """A reference row: local by id and type, on another server by its base too, else by the whole address."""
    parts = []
    if v.url:
        parts.append(f"{a}.id={bound.add(values.capped(v.url))} AND {a}.type='' AND {a}.base=0")
    if v.id:
        kind = f" AND {a}.type={bound.add(v.type)}" if v.type else ""
        parts.append(f"{a}.id={bound.add(v.id)}{kind} AND {a}.base={bound.add(values.system_number(v.base))}")
    return any_of([f"({p})" for p in parts])


def prefix(column: str, text: str, bound: Bound) -> str:
    """A column that starts with a text."""
    return f"{column}>={bound.add(text)} AND {column}<{bound.add(text + AFTER_ALL)}"


def like(text: str) -> str:
    """A text as a LIKE pattern for "contains", with `!` as escape."""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"


def string(a: str, v: TextValue, modifier: str, bound: Bound) -> str:
    """A string row: by prefix, `:exact` or `:contains`."""
    folded = values.fold(v.text)
    if modifier == "exact":
        return f"{a}.folded={bound.add(folded)} AND {a}.exact={bound.add(values.capped(v.text))}"
    if modifier == "contains":
        found = f"{a}.folded LIKE {bound.add(like(folded))} ESCAPE '!'"
        return f"{found} AND replace({a}.exact,{bound.add(v.text)},'')<>{a}.exact" if bound.exact_case else found
    found = prefix(f"{a}.folded", folded, bound)
    return f"{found} AND substr({a}.exact,1,{len(v.text)})={bound.add(v.text)}" if bound.exact_case else found


def uri(a: str, v: TextValue, modifier: str, bound: Bound) -> str:
    """A uri row: equal, below (the address or anything under it) or above."""
    text = values.capped(v.text)
    if modifier == "below":
        under = v.text.rstrip("/") + "/"
        return f"({a}.value={bound.add(text)} OR ({prefix(f'{a}.value', under, bound)}))"
    if modifier == "above":
        head, _, rest = v.text.partition("://")
        parts = rest.rstrip("/").split("/")
        options = [v.text, *(f"{head}://{'/'.join(parts[:n])}" for n in range(1, len(parts) + 1))] if rest else [v.text]
        return f"{a}.value IN ({','.join(bound.add(values.capped(o)) for o in dict.fromkeys(options))})"
    return f"{a}.value={bound.add(text)}"


def interval(first: str, last: str, v: DateValue, bound: Bound) -> str:
    """An interval against a date, by prefix. Source: R4 search, 3.1.1.4.2."""
    low, high = bound.add(v.first), bound.add(v.last)
    inside = f"({first}>={low} AND {first}<={high} AND {last}<={high})"
    return {
        "eq": inside,
        "ne": f"({first}<{low} OR {last}>{high})",
        "gt": f"{last}>{high}",
        "lt": f"{first}<{low}",
        "ge": f"({last}>={low} AND ({last}>{high} OR {first}>={low}))",
        "le": f"({first}<={high} AND ({first}<{low} OR {last}<={high}))",
        "sa": f"{first}>{high}",
        "eb": f"{last}<{low}",
        "ap": f"({first}<={high} AND {last}>={low})",
    }[v.prefix]


def amount(low: str, high: str, v: QuantityValue, bound: Bound) -> str:
    """A value or range against a number: `eq` means within half a unit of its last digit, the order ignores that."""
    under, over, exact = bound.add(float(v.value - v.half)), bound.add(float(v.value + v.half)), bound.add(float(v.value))
    inside = f"({low}>={under} AND {low}<{over} AND {high}<{over})"
    return {
        "eq": inside,
        "ne": f"({low}<{under} OR {high}>={over})",
        "gt": f"{high}>{exact}",
        "lt": f"{low}<{exact}",
        "ge": f"{high}>={exact}",
        "le": f"{low}<={exact}",
        "sa": f"{low}>{exact}",
        "eb": f"{high}<{exact}",
        "ap": f"({low}<={over} AND {high}>={under})",
    }[v.prefix]


def unit(code: str, system: str, v: QuantityValue, bound: Bound) -> str:
    """The unit of a quantity, when the search names one."""
    found = f" AND {code}={bound.add(v.code)}" if v.code is not None else ""
    return found + (f" AND {system}={bound.add(values.system_number(v.system))}" if v.system is not None else "")


def _implied(parameter: Parameter, place: int) -> frozenset[str]:
    """The systems that a `code` element has by its binding, when a component of a composite is one."""
    component = parameters(parameter.resource_type).get(parameter.components[place][0])
    return component.implied if component else frozenset()


def part(place: int, a: str, v: Value, parameter: Parameter, bound: Bound) -> str:
    """One component of a composite row."""
    text, system = (f"{a}.code", f"{a}.system") if place == 0 else (f"{a}.text", f"{a}.text_system")
    low, high = (f"{a}.low", f"{a}.high") if place == 1 else (f"{a}.low2", f"{a}.high2")
    if isinstance(v, TokenValue):
        own = [f"{text}={bound.add(v.code)}"] if v.code is not None else []
        if v.system is not None:
            equal = f"{system}={bound.add(values.system_number(v.system))}"
            own.append(f"({equal} OR {system}=0)" if v.system in _implied(parameter, place) else equal)
        return " AND ".join(own) or "1=1"
    if isinstance(v, DateValue):
        return interval(low, high, v, bound)
    if isinstance(v, QuantityValue):
        return amount(low, high, v, bound) + unit(text, system, v, bound)
    if isinstance(v, ReferenceValue):
        kind = f" AND {system}={bound.add(values.system_number(v.type))}" if v.type else ""
        return f"{text}={bound.add(v.id or values.capped(v.url))}{kind}"
    if isinstance(v, TextValue):
        return prefix(text, values.fold(v.text), bound)
    return NEVER


def _one(a: str, v: Value, match: Match, bound: Bound) -> str:
    if isinstance(v, CompositeValue):
        return " AND ".join(part(i, a, p, match.parameter, bound) for i, p in enumerate(v.parts))
    if isinstance(v, TokenValue):
        return token(a, v, match.parameter, bound)
    if isinstance(v, ReferenceValue):
        return reference(a, v, match.parameter, bound)
    if isinstance(v, DateValue):
        return interval(f"{a}.starts", f"{a}.ends", v, bound)
    if isinstance(v, QuantityValue):
        return amount(f"{a}.low", f"{a}.high", v, bound) + unit(f"{a}.unit", f"{a}.system", v, bound)
    if match.parameter.kind == "uri":
        return uri(a, v, match.modifier, bound)
    return string(a, v, "" if match.modifier == "text" else match.modifier, bound)


TABLES = {"number": "quantity", "of-type": "token"}


def table(match: Match) -> str:
    """The index table that a match looks into."""
    if match.modifier == "text":
        return "string"
    if match.modifier == "identifier":
        return "token"
    return TABLES.get(match.parameter.kind, match.parameter.kind)


def keys(match: Match) -> tuple[str, ...]:
    """The index paths that a match looks into."""
    if match.modifier == "of-type":
        return tuple(key + ":of-type" for key in match.parameter.paths)
    return match.parameter.paths


def by_list(match: Match) -> bool:
    """Whether the values are codes out of a value set or hierarchy, looked up as one list."""
    return match.modifier in ("in", "not-in", "above", "below") and match.parameter.kind == "token"


def target(a: str, match: Match, bound: Bound) -> str:
    """The type that a reference must point to, from the parameter or the modifier."""
    kind = match.modifier if match.modifier not in ("", "identifier") else match.parameter.only_target
    return f" AND {a}.type={bound.add(kind)}" if kind and table(match) == "reference" else ""


def matching(a: str, match: Match, bound: Bound, probe: bool = False) -> str:
    """The whole condition of a match on rows of its table, but for `:not`, which the caller negates.

    `probe`: the caller gives the pk. Leaving the store out then keeps the planner from any index but the one by pk.
    """
    chosen = [v for v in match.values if isinstance(v, TokenValue)]
    found = tokens(a, chosen, match.parameter, bound) if by_list(match) else any_of([f"({_one(a, v, match, bound)})" for v in match.values])
    store = "" if probe and table(match) not in WITHOUT_PK else f"{a}.store=:store AND "
    return f"{store}{of_paths(a, keys(match))}{target(a, match, bound)} AND {found}"
