"""Search parameters as index paths.

An expression is a union of terms (`Observation.code`, `Observation.value as Quantity`). Terms that always appear together
share one *index path* and one number, so that `code` and `combo-code` share rows instead of repeating them. A parameter is a
set of index paths; one that only narrows the target (`patient` = `subject.where(resolve() is Patient)`) is a view of them.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from opentrail.services.healthlake.engine import definitions

Step = tuple[str, ...]
Steps = tuple[Step, ...]
_STEP = re.compile(
    r"\s*(?:where\(resolve\(\) is (?P<res>\w+)\)|where\((?P<k>\w+)\s*=\s*'(?P<v>[^']*)'\)|as\((?P<as>\w+)\)|ofType\((?P<of>\w+)\)"
    r"|\[(?P<at>\d+)\]|extension\('(?P<ext>[^']*)'\)|(?P<exists>exists\(\))|(?P<name>\w+))\s*\.?"
)
_MISSPELT = {"DateTime": "dateTime"}
"""Types as R4's expressions write them, and as they are called."""
DECEASED: Steps = (("deceased",),)
GENERIC = ("Resource", "DomainResource")


@dataclass(frozen=True, slots=True)
class Variant:
    """One concrete way through a resource: operations from the root and the type at the end.

    Operations: ("get", property), ("each", property), ("type", T), ("equal", key, value), ("at", n), ("deceased",).
    """

    operations: Steps
    type: str
    bound: str = ""


@dataclass(frozen=True, slots=True)
class IndexPath:
    """What one number in the index stands for; a composite has for each variant its components, relative to it."""

    key: str
    resource_type: str
    kind: str
    variants: tuple[Variant, ...]
    components: tuple[tuple[tuple[str, tuple[Variant, ...]], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type."""

    resource_type: str
    code: str
    kind: str
    targets: tuple[str, ...]
    paths: tuple[str, ...]
    only_target: str = ""
    implied: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    components: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    row: dict[str, Any]
    terms: tuple[Steps, ...]
    only_target: str = ""
    components: tuple[tuple[str, str, tuple[Steps, ...]], ...] = field(default=())


def split_union(expression: str) -> list[str]:
    """The terms of a union, `|` inside parentheses or quotes left alone."""
    found, depth, quoted = [""], 0, False
    for char in expression:
        quoted ^= char == "'"
        depth += (char == "(") - (char == ")") if not quoted else 0
        if char == "|" and depth == 0 and not quoted:
            found.append("")
        else:
            found[-1] += char
    return [term.strip() for term in found if term.strip()]


def steps_of(term: str) -> Steps | None:
    """The steps of a term, or None when it is not of the known shapes."""
    term = term.strip()
    if "deceased.exists()" in term:
        return DECEASED
    outer = re.fullmatch(r"\((.+?)\)(?:\.(.*))?", term)
    if outer and outer[1].count("(") == outer[1].count(")"):
        inner, rest = steps_of(outer[1]), steps_of(outer[2]) if outer[2] else ()
        return None if inner is None or rest is None else (*inner, *rest)
    cast = re.fullmatch(r"(.+?)\s+as\s+(\w+)", term)
    if cast:
        inner = steps_of(cast[1])
        return None if inner is None else (*inner, ("as", cast[2]))
    found: list[Step] = []
    place = 0
    while place < len(term):
        match = _STEP.match(term, place)
        if match is None or match.end() == place:
            return None
        found.append(_step(match))
        place = match.end()
    return tuple(found)


def _step(match: re.Match[str]) -> Step:
    g = match.groupdict()
    if g["res"]:
        return ("res", g["res"])
    if g["k"]:
        return ("equal", g["k"], g["v"])
    if kind := g["as"] or g["of"]:
        return ("as", _MISSPELT.get(kind, kind))
    if g["at"] is not None:
        return ("at", g["at"])
    if g["ext"] is not None:
        return ("extension", g["ext"])
    return ("exists",) if g["exists"] else ("path", g["name"])


def variants_of(base: str, steps: Steps) -> list[Variant]:
    """The concrete ways of steps from a type or backbone path; empty when they lead nowhere."""
    if steps == DECEASED:
        return [Variant((("deceased",),), "boolean")]
    if steps and steps[0][0] == "path" and steps[0][1] in (base, *GENERIC):
        steps = steps[1:]
    current = [Variant((), base)]
    for step in steps:
        current = [v for before in current for v in _advance(before, step)]
    return current


def _advance(before: Variant, step: Step) -> list[Variant]:
    operations, kind = before.operations, before.type
    if step[0] == "path":
        found = definitions.properties(kind).items()
        return [Variant((*operations, ("each" if e.many else "get", p)), k, e.bound) for p, (e, k) in found if e.name == step[1]]
    if step[0] == "as":
        return [before] if kind == step[1] else []
    if step[0] == "extension":
        return [Variant((*operations, ("each", "extension"), ("equal", "url", step[1])), "Extension")]
    if step[0] == "res":
        return [Variant((*operations, ("type", step[1])), kind, before.bound)]
    if step[0] == "exists":
        return []
    return [Variant((*operations, step), kind, before.bound)]


def _own_terms(expression: str, resource_type: str) -> list[str]:
    found = []
    for term in split_union(expression):
        head = re.match(r"[\s(]*([A-Z]\w+)", term)
        if head is None or head[1] in (resource_type, *GENERIC):
            found.append(term)
    return found


def _draft(row: dict[str, Any], resource_type: str) -> _Draft | None:
    terms = [steps_of(t) for t in _own_terms(row.get("expression", ""), resource_type)]
    good = tuple(dict.fromkeys(t for t in terms if t is not None and variants_of(resource_type, t)))
    if not good:
        return None
    if row["type"] == "composite":
        return _composite(row, good)
    ends = {t[-1][1] for t in good if t[-1][0] == "res"}
    if len(ends) == 1 and all(t[-1][0] == "res" for t in good):
        return _Draft(row, tuple(t[:-1] for t in good), ends.pop())
    return _Draft(row, good)


@cache
def _by_url() -> dict[str, dict[str, Any]]:
    return {row["url"]: row for row in definitions.search_parameters()}


def _composite(row: dict[str, Any], contexts: tuple[Steps, ...]) -> _Draft | None:
    parts = []
    for component in row["component"]:
        target = _by_url().get(component["definition"])
        terms = tuple(t for t in map(steps_of, split_union(component["expression"])) if t is not None)
        if target is None or not terms:
            return None
        parts.append((target["code"], target["type"], terms))
    return _Draft(row, contexts, "", tuple(parts))


@cache
def _rows_of(resource_type: str) -> tuple[dict[str, Any], ...]:
    wanted = {resource_type, "Resource"}
    wanted |= {"DomainResource"} if definitions.types()[resource_type]["base"] == "DomainResource" else set()
    return tuple(row for row in definitions.search_parameters() if wanted & set(row["base"]))


@cache
def _drafts(resource_type: str) -> dict[str, _Draft]:
    found = {}
    for row in _rows_of(resource_type):
        draft = _draft(row, resource_type) if row["code"] not in ("_id", "_lastUpdated") and row["type"] != "special" else None
        if draft is not None:
            found[row["code"]] = draft
    return found


def _groups(resource_type: str) -> dict[str, list[tuple[str, Steps]]]:
    """Path key -> its (kind, term)s: terms of the same kind that the same parameters use."""
    users: dict[tuple[str, Steps, Any], list[str]] = {}
    for code, draft in sorted(_drafts(resource_type).items()):
        for term in draft.terms:
            users.setdefault((draft.row["type"], term, tuple(c[1:] for c in draft.components)), []).append(code)
    groups: dict[str, list[tuple[str, Steps]]] = {}
    for (kind, term, _), codes in users.items():
        groups.setdefault(f"{resource_type}:{kind}:{'+'.join(codes)}", []).append((kind, term))
    return groups


def _components(draft: _Draft, context: Variant) -> tuple[tuple[str, tuple[Variant, ...]], ...]:
    return tuple((kind, tuple(v for t in terms for v in variants_of(context.type, t))) for _, kind, terms in draft.components)


@cache
def index_paths(resource_type: str) -> dict[str, IndexPath]:
    """All index paths of a resource type by key, `:of-type` twins of identifiers included."""
    found: dict[str, IndexPath] = {}
    for key, members in _groups(resource_type).items():
        kind, draft = members[0][0], _drafts(resource_type)[key.rsplit(":", 1)[1].split("+")[0]]
        variants = tuple(dict.fromkeys(v for _, term in members for v in variants_of(resource_type, term)))
        parts = tuple(_components(draft, v) for v in variants) if draft.components else ()
        found[key] = IndexPath(key, resource_type, kind, variants, parts)
        identifiers = tuple(v for v in variants if v.type == "Identifier")
        if kind == "token" and identifiers:
            found[key + ":of-type"] = IndexPath(key + ":of-type", resource_type, "of-type", identifiers)
    return found


@cache
def parameters(resource_type: str) -> dict[str, Parameter]:
    """The parameters of a resource type that have index paths, by code."""
    keys = {
        (kind, term, code): key
        for key, members in _groups(resource_type).items()
        for kind, term in members
        for code in key.rsplit(":", 1)[1].split("+")
    }
    found = {}
    for code, draft in _drafts(resource_type).items():
        kind = draft.row["type"]
        own = tuple(dict.fromkeys(keys[kind, term, code] for term in draft.terms))
        variants = [v for key in own for v in index_paths(resource_type)[key].variants]
        implied = {system for v in variants if v.type == "code" for system, _ in definitions.bindings().get(v.bound, ())}
        parts = tuple((name, part) for name, part, _ in draft.components)
        targets = tuple(draft.row.get("target", ()))
        kinds = frozenset(v.type for v in variants)
        found[code] = Parameter(resource_type, code, kind, targets, own, draft.only_target, frozenset(implied), kinds, parts)
    return found


def all_keys() -> set[str]:
    """The keys of every index path of every resource type."""
    return {key for resource_type in definitions.resource_types() for key in index_paths(resource_type)}


def number(key: str) -> int:
    """The number of an index path in stored rows."""
    return definitions.index_paths()[key]


def defined(resource_type: str) -> list[str]:
    """The codes of all parameters that the definitions give a type, searchable or not."""
    return sorted({row["code"] for row in _rows_of(resource_type)})
