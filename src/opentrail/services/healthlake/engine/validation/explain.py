"""From jsonschema-rs errors to issues that name the place and the rule, never a value."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.issues import Issue, content, error, name

Json = dict[str, Any]
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
"""What may stand in a location: not every key that a caller may think of."""


def location_of(root: str, path: Iterable[str | int]) -> str:
    """/Observation + ["component", 0, "code"] = /Observation/component[0]/code."""
    return root + "".join(f"[{p}]" if isinstance(p, int) else f"/{p}" for p in path)


def _schemas(document: Json, path: list[str | int]) -> list[Any]:
    """The schema objects from the root down to the failing keyword."""
    found: list[Any] = [document]
    for part in path:
        here = found[-1]
        if isinstance(here, dict) and part in here:  # noqa: SIM114 - joined, mypy cannot tell the kinds of index apart
            found.append(here[part])
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            found.append(here[part])
        else:
            break
    return found


def _marked(schemas: list[Any], key: str) -> Any:
    return next((s[key] for s in reversed(schemas) if isinstance(s, dict) and key in s), None)


def _unknown(schemas: list[Any], instance: object, place: str) -> Iterator[Issue]:
    known: Json = next((s["properties"] for s in reversed(schemas) if isinstance(s, dict) and "properties" in s), {})
    for key in instance if isinstance(instance, dict) else ():
        if key not in known:
            yield error("structure", "Unknown element {}.", content(key), location=f"{place}/{key}" if _NAME.fullmatch(key) else place)


def _one(document: Json, failure: Any, root: str) -> Iterator[Issue]:
    path: list[str | int] = list(failure.instance_path)
    keyword, place = failure.kind.name, location_of(root, path)
    schemas = _schemas(document, list(failure.schema_path))
    inside = schemas[-3:] if len(schemas) > 3 else schemas
    rule, low = _marked(inside, "x-rule") or _marked(schemas, "x-rule"), _marked(inside, "x-min")
    if low is not None:
        yield error("required", "{}: minimum required = 1, but only found 0.", name(low), location=f"{place}/{low}")
    elif rule is not None:
        about = _marked(inside, "x-at")
        yield error("invariant", "{}: {}", name(rule[0]), name(rule[1]), location=f"{place}/{about}" if about else place)
    elif keyword in ("additionalProperties", "falseSchema", "unevaluatedProperties"):
        yield from _unknown(schemas, failure.instance, place)
    elif keyword == "anyOf" and failure.kind.context and failure.kind.context[0]:
        yield _value(document, list(failure.schema_path), failure.kind.context[0][0].kind.name, place)
    elif keyword == "required":
        missing = failure.kind.property
        yield error("required", "{}: minimum required = 1, but only found 0.", name(missing), location=f"{place}/{missing}")
    else:
        yield _value(document, list(failure.schema_path), keyword, place)


SENTENCES = {
    "type": ("structure", "The JSON type of this element is wrong."),
    "enum": ("code-invalid", "The code is not in the required value set."),
    "const": ("value", "The value is not the one that is fixed."),
    "contains": ("code-invalid", "No entry is the one that is required."),
    "minItems": ("structure", "An array may not be empty or has too few entries."),
    "maxItems": ("structure", "The array has too many entries."),
    "minProperties": ("structure", "An element must have a value or children."),
    "minimum": ("value", "The number is too small."),
    "maximum": ("value", "The number is too large."),
    "not": ("structure", "This is not allowed here."),
}


def _value(document: Json, path: list[str | int], keyword: str, place: str) -> Issue:
    if path == ["type"]:  # of schema.WHOLE, a schema of its own, in which paths begin anew
        return error("value", "The value is not a valid {}.", name("integer"), location=place)
    if "reference" in path and keyword == "pattern":
        return error("value", "The reference is malformed or points to a type that is not allowed here.", location=place)
    primitive = next((p for p in reversed(path) if isinstance(p, str) and definitions.is_primitive(p)), None)
    holder = _schemas(document, path)
    target = next((s["$ref"].rsplit("/", 1)[1] for s in reversed(holder) if isinstance(s, dict) and "$ref" in s), None)
    kind = primitive or (target if target and definitions.is_primitive(target) else None)
    if kind and keyword != "enum":
        return error("value", "The value is not a valid {}.", name(kind), location=place)
    code, text = SENTENCES.get(keyword, ("invalid", "The value breaks a rule of its type."))
    return error(code, text, location=place)


def issues(document: Json, failures: Iterable[Any], root: str) -> Iterator[Issue]:
    """The issues of a validator's errors, each once."""
    seen: set[tuple[str, str, object]] = set()
    for failure in failures:
        for issue in _one(document, failure, root):
            key = (issue.location, issue.template, issue.args)
            if key not in seen:
                seen.add(key)
                yield issue
