"""The JSON Schema constraints of one profile, from its elements."""

from dataclasses import dataclass, field
from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.validation import schema

Json = dict[str, Any]
BASE = "http://hl7.org/fhir/StructureDefinition/"
MAX_NESTING = 12


@dataclass(slots=True)
class Node:
    """An element of a profile with its children and slices, by the parts of its id. `closed`: nothing but its slices is allowed, and all
    of them are here."""

    element: Json = field(default_factory=dict)
    closed: bool = False
    children: dict[str, "Node"] = field(default_factory=dict)
    slices: dict[str, "Node"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """What the profile may refer to: type of a profile url, codes of a value set, root of an extension's definition."""

    types: dict[str, str]
    codes: dict[str, list[list[str]]]
    extensions: dict[str, Node]


def tree(elements: list[Json], whole: bool) -> Node:
    """The nodes of a snapshot or differential; re-slices (`a/b`) are left out. `whole`: no other profile has more slices of them."""
    root = Node()
    for element in elements:
        node = root
        parts = str(element.get("id") or element["path"]).split(".")
        if any("/" in p for p in parts):
            continue
        for part in parts[1:]:
            child, _, slice_name = part.partition(":")
            node = node.children.setdefault(child, Node())
            node = node.slices.setdefault(slice_name, Node()) if slice_name else node
        node.element = element
        node.closed = whole and element.get("slicing", {}).get("rules") == "closed"
    return root


def pattern(value: Any) -> Json:
    """That a value contains everything that a pattern value has."""
    if isinstance(value, dict):
        return {"type": "object", "required": sorted(value), "properties": {k: pattern(v) for k, v in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "allOf": [{"contains": pattern(v)} for v in value]}
    return {"const": value}


def _fixed(element: Json) -> list[Json]:
    found = [{"const": v} for k, v in element.items() if k.startswith("fixed")]
    return found + [pattern(v) for k, v in element.items() if k.startswith("pattern")]


def _targets(element: Json, sources: Sources) -> tuple[str, ...]:
    urls = [u.split("|")[0] for t in element.get("type", ()) if t.get("code") == "Reference" for u in t.get("targetProfile", ())]
    kinds = [sources.types.get(u) or u.removeprefix(BASE) for u in urls]
    return tuple(sorted(set(kinds))) if all(definitions.is_resource_type(k) for k in kinds) else ()


def _bound(element: Json, kind: str, sources: Sources) -> list[Json]:
    binding = element.get("binding", {})
    if binding.get("strength") != "required":
        return []
    url = binding.get("valueSet", "").split("|")[0]
    pairs = sources.codes.get(url) or definitions.bindings().get(url)
    if not pairs:
        return []
    if kind == "code":
        return [{"enum": sorted({code for _, code in pairs})}]
    if kind == "CodeableConcept" and len(pairs) <= 1000:
        each = [{"required": ["system", "code"], "properties": {"system": {"const": s}, "code": {"const": c}}} for s, c in pairs]
        return [{"required": ["coding"], "properties": {"coding": {"contains": {"anyOf": each}}}}]
    return []


def _all(schemas: list[Json]) -> Json:
    kept = [s for s in schemas if s]
    return kept[0] if len(kept) == 1 else {"allOf": kept} if kept else {}


def value_schema(node: Node, kind: str, sources: Sources, depth: int) -> Json:
    """What one value of a node's element must satisfy; `kind` is its type or backbone path."""
    found = [*_fixed(node.element), *_bound(node.element, kind, sources)]
    targets = _targets(node.element, sources) if kind == "Reference" else ()
    if targets:
        found.append({"properties": {"reference": {"pattern": schema.reference_pattern(targets)}}})
    for url in _extension_profiles(node):
        if url in sources.extensions and depth < MAX_NESTING:
            found.append(constraint(sources.extensions[url], "Extension", sources, depth + 1))
    found.append(constraint(node, kind, sources, depth + 1))
    return _all(found)


def _extension_profiles(node: Node) -> list[str]:
    kinds = [t for t in node.element.get("type", ()) if t.get("code") == "Extension"]
    return [u.split("|")[0] for t in kinds for u in t.get("profile", ())]


def _options(path: str, label: str) -> list[tuple[str, str, bool]]:
    """(property, type, array) that the id part may mean: `code`, `value[x]` or `valueQuantity`."""
    plain = label.removesuffix("[x]")
    found = [(p, k, e.many) for p, (e, k) in definitions.properties(path).items() if e.name == plain]
    return found or [(p, k, e.many) for p, (e, k) in definitions.properties(path).items() if p == plain]


def _presence(label: str, node: Node, options: list[tuple[str, str, bool]]) -> list[Json]:
    element, found = node.element, []
    names = [n for p, k, _ in options for n in ([p, "_" + p] if definitions.is_primitive(k) else [p])]
    allowed = {t.get("code") for t in element.get("type", ())}
    if element.get("max") == "0":
        return [{"not": schema.has(names), "x-rule": ["profile", f"{label} is not allowed"]}] if names else []
    if element.get("min", 0) > 0:
        found.append({**schema.has(names), "x-min": label.removesuffix("[x]")})
    if label.endswith("[x]") and allowed:
        outside = [p for p, k, _ in options if k not in allowed and not k.startswith("System.")]
        found += [{"not": schema.has(outside), "x-rule": ["profile", f"{label} may not have this type"]}] if outside else []
    return found


def _count(element: Json, key: str) -> int:
    value = str(element.get(key, 0))
    return int(value) if value.isdigit() else 0


def _discriminated(node: Node, kind: str, discriminators: list[Json], sources: Sources) -> Json | None:
    """The schema that tells members of a slice from the others; None when this cannot be said."""
    tests = []
    for row in discriminators:
        if row.get("type") not in ("value", "pattern"):
            return None
        if row["path"] == "url" and _extension_profiles(node):
            tests.append({"required": ["url"], "properties": {"url": {"enum": _extension_profiles(node)}}})
            continue
        test = _at(node, kind, [] if row["path"] == "$this" else row["path"].split("."), sources)
        if test is None:
            return None
        tests.append(test)
    return _all(tests) if tests else None


def _at(node: Node, kind: str, path: list[str], sources: Sources) -> Json | None:
    own = [*_fixed(node.element), *([] if path else _bound(node.element, kind, sources))]
    if not path:
        return _all(own) or _nested(node, kind, sources)
    child = node.children.get(path[0]) or node.children.get(path[0] + "[x]")
    options = _options(kind, path[0])
    if child is None or len(options) != 1:
        return _all(own) or None
    prop, inner_kind, many = options[0]
    inner = _at(child, inner_kind, path[1:], sources)
    return {"required": [prop], "properties": {prop: {"contains": inner} if many else inner}} if inner else _all(own) or None


def _nested(node: Node, kind: str, sources: Sources) -> Json | None:
    parts = []
    for label, child in node.children.items():
        options = _options(kind, label)
        inner = _at(child, options[0][1], [], sources) if len(options) == 1 else None
        if inner:
            prop, _, many = options[0]
            parts.append({"required": [prop], "properties": {prop: {"contains": inner} if many else inner}})
    return _all(parts) or None


def _slices(node: Node, prop: str, kind: str, sources: Sources, depth: int) -> list[Json]:
    discriminators = node.element.get("slicing", {}).get("discriminator", [])
    tests = {label: _discriminated(part, kind, discriminators, sources) for label, part in node.slices.items()}
    found = _closed(prop, discriminators, list(tests.values())) if node.closed else []
    for label, part in node.slices.items():
        test = tests[label]
        if test is None:
            continue
        low, high = _count(part.element, "min"), part.element.get("max", "*")
        rule = ["profile", f"{prop}:{label} has too few or too many entries"]
        limits: Json = {"minContains": low, **({"maxContains": int(high)} if high != "*" else {})}
        if low or high != "*":
            count = {"properties": {prop: {"contains": test, **limits}}, "x-rule": rule}
            found.append({**count, "required": [prop]} if low else count)
        then = value_schema(part, kind, sources, depth)
        found += [{"properties": {prop: {"items": {"if": test, "then": then}}}}] if then else []
    return found


def _closed(prop: str, discriminators: list[Json], tests: list[Json | None]) -> list[Json]:
    """That every entry belongs to a slice; nothing when there is a slice that cannot be told from the others."""
    told = [test for test in tests if test is not None]
    if not told or len(told) < len(tests) or any("(" in row["path"] for row in discriminators):
        return []
    rule = ["profile", f"{prop} is closed: an entry that belongs to none of its slices is not allowed"]
    return [{"properties": {prop: {"items": {"anyOf": told, "x-rule": rule}}}}]


def constraint(node: Node, path: str, sources: Sources, depth: int = 0) -> Json:
    """What an object of a type or backbone path must satisfy to fit the node's children."""
    found: list[Json] = []
    for label, child in node.children.items() if depth < MAX_NESTING else ():
        options = _options(path, label)
        found += _presence(label, child, options)
        for prop, kind, many in options:
            inner = value_schema(child, kind, sources, depth)
            limits: Json = {"items": inner} if many and inner else inner
            if many and _count(child.element, "max"):
                limits = {**limits, "maxItems": _count(child.element, "max")}
            if many and _count(child.element, "min") > 1:
                limits = {**limits, "minItems": _count(child.element, "min")}
            found += [{"properties": {prop: limits}}] if limits else []
            found += _slices(child, prop, kind, sources, depth) if many else _typed_slice(child, prop, kind, sources, depth)
    return _all(found)


def _typed_slice(node: Node, prop: str, kind: str, sources: Sources, depth: int) -> list[Json]:
    """A slice of `value[x]` named after its type."""
    part = node.slices.get(prop)
    inner = value_schema(part, kind, sources, depth) if part else {}
    return [{"properties": {prop: inner}}] if inner else []
