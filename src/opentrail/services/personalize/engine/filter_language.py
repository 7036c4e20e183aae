"""The filter language: text to expressions, and their check against the schemas of a dataset group.

    filter := expression ("|" expression)*
    expression := (INCLUDE | EXCLUDE) (ItemID | UserID | ActionID) WHERE condition ((AND | OR) condition)* [IF condition (AND condition)*]
    condition := Dataset.FIELD [NOT] IN ("value", ... | $NAME, ... | *)  |  Dataset.FIELD (= | < | <= | > | >=) value

Source: "Filter expressions" of the Personalize developer guide. AND binds tighter than OR (the guide is silent).
Keywords, dataset and field names match without case, values exactly, except event types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from opentrail.kernel.errors import Content
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.schemas import Field, Schema

MOST_CHARACTERS = 2_500
MOST_FIELDS = 5
DATASETS = ("Items", "Interactions", "Users", "CurrentUser", "Actions", "ActionInteractions")
ORDER = ("=", "<", "<=", ">", ">=")
_TARGETS = {
    "ItemID": ("Items", "Interactions"),
    "UserID": ("Users",),
    "ActionID": ("Actions", "ActionInteractions"),
}
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[-+]?[0-9]+(?:\.[0-9]+)?)|(?P<name>\$[A-Za-z0-9_]+)
    |(?P<sign><=|>=|[=<>(),|*.])|(?P<word>[A-Za-z_][A-Za-z0-9_]*))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A placeholder `$name`, filled by filterValues."""

    name: str


Value = str | float | Parameter
ANY = "*"
INTERACTIONS = ("Interactions", "ActionInteractions")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`dataset.field operator values`; operator is IN, NOT IN or one of ORDER."""

    dataset: str
    field: str
    operator: str
    values: tuple[Value, ...]

    @property
    def parameters(self) -> frozenset[str]:
        """The names of its placeholders."""
        return frozenset(value.name for value in self.values if isinstance(value, Parameter))


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression: `where` is an OR of ANDs, `when` (IF) an AND over CurrentUser."""

    include: bool
    target: str
    where: tuple[tuple[Comparison, ...], ...]
    when: tuple[Comparison, ...] = ()
    parameters: frozenset[str] = field(init=False, repr=False, compare=False)
    """The names of its placeholders."""
    fixed: bool = field(init=False, repr=False, compare=False)
    """Whether attributes of the rows alone say which ones it names: no placeholder, no IF, no interactions."""

    def __post_init__(self) -> None:
        named: frozenset[str] = frozenset().union(*(one.parameters for one in self.comparisons))
        object.__setattr__(self, "parameters", named)
        object.__setattr__(self, "fixed", not named and not self.when and self.where[0][0].dataset not in INTERACTIONS)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons, those of IF included."""
        return (*(one for group in self.where for one in group), *self.when)


Filter = tuple[Expression, ...]


def parse_filter(text: str) -> Filter:
    """Read a filter expression; raise InvalidInput with the position of what does not fit."""
    if not 1 <= len(text) <= MOST_CHARACTERS:
        raise InvalidInput("Could not create filter. Invalid Expression: it must have 1 to {most} characters.", most=MOST_CHARACTERS)
    return _Parser(text).filter()


def check_filter(parsed: Filter, schemas: Mapping[str, Schema]) -> Filter:
    """Check fields and operators against the group's schemas (by record name); return the filter with the schemas' field names."""
    targets = {one.target for one in parsed}
    if len(targets) > 1:
        raise InvalidInput("Could not create filter. Invalid Expression: all expressions must name the same ID.")
    checked = tuple(_check_expression(one, schemas) for one in parsed)
    named = fields_of(checked)
    if len(named) > MOST_FIELDS:
        raise InvalidInput(
            "Could not create filter. Invalid Expression: {n} distinct fields; at most {most}.", n=len(named), most=MOST_FIELDS
        )
    return checked


def fields_of(parsed: Filter) -> frozenset[tuple[str, str]]:
    """The distinct (dataset, field) pairs of a filter; CurrentUser counts as Users."""
    return frozenset(
        ("Users" if one.dataset == "CurrentUser" else one.dataset, one.field) for expression in parsed for one in expression.comparisons
    )


def parameters_of(parsed: Filter) -> tuple[frozenset[str], frozenset[str]]:
    """(placeholders that must be supplied, all placeholders): those of INCLUDE expressions must."""
    return (
        frozenset().union(*(one.parameters for one in parsed if one.include)),
        frozenset().union(*(one.parameters for one in parsed)),
    )


_LIST = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')


def parse_values(text: str) -> tuple[str, ...]:
    """The values of one filterValues entry: quoted strings separated by commas, or one bare number."""
    if re.fullmatch(r"\s*[-+]?[0-9]+(\.[0-9]+)?\s*", text):
        return (text.strip(),)
    values, at, more = [], 0, True
    while more:
        found = _LIST.match(text, at)
        if found is None:
            raise InvalidInput("A filter value must be quoted strings separated by commas, or a number.")
        values.append(_unquote(f'"{found[1]}"'))
        at, more = found.end(), found[2] == ","
    return tuple(values)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip(" \t\r\n"))
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise InvalidInput("Could not create filter. Invalid input symbol at position {at}.", at=at + 1)
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind], found.start(kind)))
            at = found.end()
        self._tokens.append(("end", "", end))
        self._at = 0

    def filter(self) -> Filter:
        expressions = [self._expression()]
        while self._take("sign", "|"):
            expressions.append(self._expression())
        if self._tokens[self._at][0] != "end":
            self._refuse("AND, OR, IF or |")
        return tuple(expressions)

    def _expression(self) -> Expression:
        include = self._word("INCLUDE", "EXCLUDE") == "INCLUDE"
        target = self._word(*_TARGETS)
        self._word("WHERE")
        groups = [[self._comparison()]]
        while joint := self._take_word("AND", "OR"):
            if joint == "OR":
                groups.append([])
            groups[-1].append(self._comparison())
        when = []
        if self._take_word("IF"):
            when.append(self._comparison())
            while self._take_word("AND"):
                when.append(self._comparison())
        expression = Expression(include, target, tuple(map(tuple, groups)), tuple(when))
        self._check_datasets(expression)
        return expression

    def _check_datasets(self, expression: Expression) -> None:
        named = {one.dataset for group in expression.where for one in group}
        if len(named) > 1:
            raise InvalidInput(
                "Could not create filter. Invalid Expression: conditions on {datasets} cannot be chained; join two expressions with |.",
                datasets=" and ".join(sorted(named)),
            )
        (dataset,) = named
        if dataset == "CurrentUser":
            raise InvalidInput("Could not create filter. Invalid Expression: CurrentUser can only be used after IF.")
        if dataset not in _TARGETS[expression.target]:
            raise InvalidInput(
                "Could not create filter. Invalid Expression: {target} cannot be filtered by {dataset}.",
                target=expression.target,
                dataset=dataset,
            )
        if any(one.dataset != "CurrentUser" for one in expression.when):
            raise InvalidInput("Could not create filter. Invalid Expression: IF can only check CurrentUser.")

    def _comparison(self) -> Comparison:
        dataset = self._word(*DATASETS)
        self._need("sign", ".")
        field = self._need("word")
        negated = self._take_word("NOT")
        if self._take_word("IN"):
            return self._membership(dataset, field, "NOT IN" if negated else "IN")
        kind, operator, _ = self._tokens[self._at]
        if negated or kind != "sign" or operator not in ORDER:
            self._refuse("IN, NOT IN, =, <, <=, > or >=")
        self._at += 1
        value = self._value()
        if isinstance(value, Parameter) and operator != "=":
            raise InvalidInput(
                "Could not create filter. Invalid input symbol at position {at}. Placeholders can only be used with IN or EQ operator",
                at=self._tokens[self._at - 1][2] + 1,
            )
        return Comparison(dataset, field, operator, (value,))

    def _membership(self, dataset: str, field: str, operator: str) -> Comparison:
        self._need("sign", "(")
        values = [self._value()]
        while self._take("sign", ","):
            values.append(self._value())
        self._need("sign", ")")
        if ANY in values and (field.upper() != "EVENT_TYPE" or len(values) > 1):
            raise InvalidInput("Could not create filter. Invalid Expression: * can only be used alone and for EVENT_TYPE.")
        return Comparison(dataset, field, operator, tuple(values))

    def _value(self) -> Value:
        kind, text, _ = self._tokens[self._at]
        if kind == "end" or (kind == "sign" and text != ANY) or kind == "word":
            self._refuse("a quoted string, a number or $NAME")
        self._at += 1
        if kind == "number":
            return float(text)
        return Parameter(text[1:]) if kind == "name" else _unquote(text) if kind == "text" else ANY

    def _take(self, kind: str, text: str) -> bool:
        if self._tokens[self._at][:2] == (kind, text):
            self._at += 1
            return True
        return False

    def _take_word(self, *words: str) -> str | None:
        kind, text, _ = self._tokens[self._at]
        match = next((word for word in words if kind == "word" and text.upper() == word.upper()), None)
        self._at += match is not None
        return match

    def _word(self, *words: str) -> str:
        return self._take_word(*words) or self._refuse(" or ".join(words))

    def _need(self, kind: str, text: str | None = None) -> str:
        found = self._tokens[self._at]
        if found[0] != kind or (text is not None and found[1] != text):
            self._refuse(text or "a field name")
        self._at += 1
        return found[1]

    def _refuse(self, expected: str) -> NoReturn:
        _, text, at = self._tokens[self._at]
        raise InvalidInput(
            "Could not create filter. Invalid Expression at position {at}: expected {expected}, found {found}.",
            at=at + 1,
            expected=expected,
            found=Content(text or "the end"),
        )


def _check_expression(expression: Expression, schemas: Mapping[str, Schema]) -> Expression:
    return Expression(
        expression.include,
        expression.target,
        tuple(tuple(_check_comparison(one, schemas) for one in group) for group in expression.where),
        tuple(_check_comparison(one, schemas) for one in expression.when),
    )


def _check_comparison(one: Comparison, schemas: Mapping[str, Schema]) -> Comparison:
    schema = schemas.get("Users" if one.dataset == "CurrentUser" else one.dataset)
    field = _find(schema.fields if schema else (), one.field)
    if field is None:
        raise InvalidInput(
            "Could not create filter. Invalid Expression: {dataset} has no field {field}.", dataset=one.dataset, field=Content(one.field)
        )
    why = _unfit(one, field)
    if why:
        raise InvalidInput("Could not create filter. Invalid Expression: field {field} {why}.", field=field.name, why=why)
    return Comparison(one.dataset, field.name, one.operator, one.values)


def _find(fields: Sequence[Field], name: str) -> Field | None:
    return next((field for field in fields if field.name == name), None) or next(
        (field for field in fields if field.name.upper() == name.upper()), None
    )


def _unfit(one: Comparison, field: Field) -> str | None:
    plain = [value for value in one.values if not isinstance(value, Parameter)]
    if field.textual:
        return "is textual and cannot be filtered"
    if field.kind == "boolean":
        return "is of type boolean and cannot be filtered"
    if field.numeric and one.operator in ("IN", "NOT IN"):
        return "is a number; use =, <, <=, > or >="
    if field.numeric and any(isinstance(value, str) for value in plain):
        return "is a number and must be compared with a number"
    if not field.numeric and one.operator in ORDER[1:]:
        return "is a string; use IN, NOT IN or ="
    if not field.numeric and any(isinstance(value, float) for value in plain):
        return "is a string and must be compared with a quoted string"
    return None
