"""The invariants of the definitions that are plain logic, compiled from FHIRPath to JSON Schema.

The subset: `and or xor implies`, `.not()`, `path.exists()`, `path.empty()`, `path = 'x'`, `path != 'x'`, `path in ('x' | 'y')`,
`path.where(...).exists()`, `name.count() > 1` (or `<= 1`) and parentheses; `.trace()` is passed over. An absent value compares as
false. Everything else gives None and is checked by `written`, by `checks` or not at all (`unchecked()` lists those).
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.validation.checks import KEYS
from opentrail.services.healthlake.engine.validation.written import WRITTEN

Schema = dict[str, Any]
_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|([A-Za-z]\w*)|(\d+|!=|<=|[=>().|])|(\S))")
_TRACE = re.compile(r"\.trace\('\w+'\)")
_KEYWORDS = {"and", "or", "xor", "implies", "in"}


class _Outside(Exception):
    """The expression leaves the subset."""


def negated(schema: Schema) -> Schema:
    """The opposite of a schema."""
    return schema["not"] if set(schema) == {"not"} else {"not": schema}


def present(path: str, name: str) -> Schema:
    """That the element `name` of a type or backbone path has a value or extension, whatever its choice of type."""
    child = definitions.children(path).get(name)
    if child is None:
        raise _Outside(name)
    names: list[str] = []
    for prop, (element, kind) in definitions.properties(path).items():
        if element.name == name:
            names += [prop, "_" + prop] if definitions.is_primitive(kind) else [prop]
    return {"required": names} if len(names) == 1 else {"anyOf": [{"required": [n]} for n in names]}


class _Parser:
    """Recursive descent over the tokens of one expression; each method returns a schema."""

    def __init__(self, text: str) -> None:
        self.tokens = [next(filter(None, match.groups())) for match in _TOKEN.finditer(_TRACE.sub("", text))]
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise _Outside(token)
        self.at += 1
        return token

    def logic(self, path: str) -> Schema:
        left = self.either(path)
        while self.peek() == "implies":
            self.take()
            left = {"anyOf": [negated(left), self.either(path)]}
        return left

    def either(self, path: str) -> Schema:
        left = self.both(path)
        while self.peek() in ("or", "xor"):
            key = "anyOf" if self.take() == "or" else "oneOf"
            left = {key: [left, self.both(path)]}
        return left

    def both(self, path: str) -> Schema:
        left = self.equality(path)
        while self.peek() == "and":
            self.take()
            left = {"allOf": [left, self.equality(path)]}
        return left

    def equality(self, path: str) -> Schema:
        """`a.exists() = b.exists()` and `!=` between two truths, else one term."""
        left = self.term(path)
        while self.peek() in ("=", "!="):
            different = self.take() == "!="
            either = {"oneOf": [left, self.term(path)]}
            left = either if different else negated(either)
        return left

    def term(self, path: str) -> Schema:
        if self.peek() == "(":
            self.take()
            inside = self.logic(path)
            self.take(")")
        else:
            step, flip = self.steps(path, first=True)
            inside = negated(step) if flip else step
        return self.negation(inside)

    def negation(self, inside: Schema) -> Schema:
        while self.peek() == "." and self.peek(1) == "not":
            for token in (".", "not", "(", ")"):
                self.take(token)
            inside = negated(inside)
        return inside

    def steps(self, path: str, first: bool = False) -> tuple[Schema, bool]:
        """A path from here on, down to what is asked of its end, and whether the whole is to be negated."""
        name = self.take()
        if not name[0].isalpha() or name in _KEYWORDS:
            raise _Outside(name)
        if first and name == path.split(".")[0] and self.peek() == ".":
            if "." in path:
                raise _Outside(name)
            self.take(".")
            name = self.take()
        element = definitions.children(path).get(name)
        if element is None:
            raise _Outside(name)
        kinds = [kind for e, kind in definitions.properties(path).values() if e is element]
        following = self.peek(1) if self.peek() == "." else ""
        if following in ("exists", "empty") and self.peek(2) == "(" and self.peek(3) == ")":
            self.at += 4
            return present(path, name), following == "empty"
        if element.choice or len(kinds) != 1:
            raise _Outside(name)
        if following == "count":
            return self.counted(element)
        inner, flip = self.end(kinds[0], following)
        return self.within(element, inner), flip

    def counted(self, element: definitions.Element) -> tuple[Schema, bool]:
        """`.count() <= n` of an array, and `>`, which is the opposite."""
        for token in (".", "count", "(", ")"):
            self.take(token)
        operator, limit = self.take(), self.take()
        if operator not in (">", "<=") or not limit.isdigit() or not element.many:
            raise _Outside(operator)
        return {"properties": {element.name: {"maxItems": int(limit)}}}, operator == ">"

    def end(self, kind: str, following: str) -> tuple[Schema, bool]:
        """What must hold at the element of type `kind`, and whether the whole is negated."""
        if following == "where":
            return self.where(kind)
        if following:
            self.take(".")
            return self.steps(kind)
        if not definitions.is_primitive(kind):
            raise _Outside(kind)
        return self.compared()

    def where(self, kind: str) -> tuple[Schema, bool]:
        for token in (".", "where", "("):
            self.take(token)
        inner = self.logic(kind)
        self.take(")")
        self.take(".")
        question = self.take()
        self.take("(")
        self.take(")")
        if question not in ("exists", "empty"):
            raise _Outside(question)
        return inner, question == "empty"

    def compared(self) -> tuple[Schema, bool]:
        operator = self.take()
        if operator == "in":
            self.take("(")
            values = [self.literal()]
            while self.peek() == "|":
                self.take()
                values.append(self.literal())
            self.take(")")
            return {"enum": values}, False
        if operator not in ("=", "!="):
            raise _Outside(operator)
        return {"const": self.literal()}, operator == "!="

    def literal(self) -> object:
        text = self.take()
        if text in ("true", "false"):
            return text == "true"
        if not text.startswith("'"):
            raise _Outside(text)
        return text[1:-1].replace("\\'", "'")

    @staticmethod
    def within(element: definitions.Element, inner: Schema) -> Schema:
        held = {"contains": inner} if element.many else inner
        return {"required": [element.name], "properties": {element.name: held}}


def compiled(path: str, expression: str) -> Schema | None:
    """The schema of an invariant at a type or backbone path, or None when it leaves the subset."""
    parser = _Parser(expression)
    try:
        schema = parser.logic(path)
    except (_Outside, IndexError):
        return None
    return schema if parser.at == len(parser.tokens) else None


def context(path: str) -> str:
    """The path whose children a rule at element `path` names: its own when it is a backbone, else its type's."""
    head, _, _ = path.partition(".")
    found = next((e for e in definitions.elements(head) if e.path == path), None)
    if found is None or not found.types or found.types[0] in ("BackboneElement", "Element"):
        return path
    return found.types[0]


@cache
def by_path() -> dict[str, list[tuple[str, str, Schema]]]:
    """Element path -> [(rule key, sentence of the definition, schema)] of every invariant that is a schema."""
    found: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, key, expression, human in _invariants():
        schema = WRITTEN.get((path, key)) or compiled(context(path), expression)
        if schema is not None:
            found.setdefault(path, []).append((key, human, schema))
    return found


def _invariants() -> Iterator[tuple[str, str, str, str]]:
    for entry in definitions.types().values():
        yield from entry["rules"]


def unchecked() -> list[tuple[str, str, str]]:
    """(path, rule key, sentence of the definition) of every invariant that nothing checks."""
    checked = {(path, key) for path, found in by_path().items() for key, _, _ in found}
    return [(path, key, human) for path, key, _, human in _invariants() if (path, key) not in checked and key not in KEYS]


def count() -> int:
    """How many invariants of severity error the definitions of single types have."""
    return sum(1 for _ in _invariants())
