"""Search values from text, by the kind of their parameter. Source: R4 search, section 3.1.1.4.

Refusals have status 400, name the parameter, and mark the value as content.
"""

import re

from opentrail.services.healthlake.engine import definitions, values
from opentrail.services.healthlake.engine.issues import FhirError, content, name, refuse
from opentrail.services.healthlake.engine.search.paths import Parameter
from opentrail.services.healthlake.engine.search.query import (
    CompositeValue,
    DateValue,
    QuantityValue,
    ReferenceValue,
    TextValue,
    TokenValue,
    Value,
)

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
MAX_VALUES = 200
MAX_LENGTH = 2000


def split(text: str, separator: str) -> list[str]:
    r"""Split at a separator that no backslash escapes; the escapes stay."""
    found, escaped = [""], False
    for char in text:
        if char == separator and not escaped:
            found.append("")
            continue
        found[-1] += char
        escaped = char == "\\" and not escaped
    return found


def plain(text: str) -> str:
    """The text without escapes (`\\,` is `,`)."""
    return re.sub(r"\\([\\,$|])", r"\1", text)


def bad(code: str, text: str, wanted: str) -> FhirError:
    """The refusal of a value."""
    return refuse(400, "value", "The value {} of the search parameter {} is not {}.", content(text), name(code), name(wanted))


def prefixed(text: str) -> tuple[str, str]:
    """The prefix of an ordered value (`eq` when none) and the rest."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def token(text: str) -> TokenValue:
    """`code`, `system|code`, `|code` or `system|`."""
    parts = split(text, "|")
    if len(parts) == 1:
        return TokenValue(None, values.capped(plain(text)))
    return TokenValue(plain(parts[0]), values.capped(plain("|".join(parts[1:]))) or None)


def date(code: str, text: str, now: int | None) -> DateValue:
    """A date with prefix; `ap` covers a tenth of the time between it and now more on both sides."""
    prefix, rest = prefixed(text)
    interval = values.date_interval(rest.replace(" ", "+"))
    if interval is None:
        raise bad(code, text, "a date")
    if prefix != "ap":
        return DateValue(prefix, *interval)
    if now is None:
        raise refuse(400, "not-supported", "The prefix ap is not supported for the search parameter {}.", name(code))
    gap = max(interval[0] - now, now - interval[1], 0) // 10
    return DateValue("ap", interval[0] - gap, interval[1] + gap)


def amount(code: str, text: str) -> QuantityValue:
    """A number with prefix, and for quantities `|system|code` or `||code`."""
    prefix, rest = prefixed(text)
    parts = [plain(p) for p in split(rest, "|")]
    value = values.number(parts[0])
    if value is None or len(parts) not in (1, 3):
        raise bad(code, text, "a number, or number|system|code")
    half = values.half_step(value)
    if prefix == "ap":
        half = max(abs(value) / 10, half)
    if len(parts) == 1:
        return QuantityValue(prefix, value, half)
    return QuantityValue(prefix, value, half, parts[1] or None, parts[2] or None)


def reference(code: str, text: str, own: str) -> ReferenceValue:
    """An id, Type/id or address; addresses that end with `own` before the type are local."""
    text = plain(text)
    base, kind, identity = values.reference_parts(text, own) if "/" in text else ("", "", text)
    if kind and not definitions.is_resource_type(kind) and not base:
        raise bad(code, text, "a reference to an R4 resource type")
    if kind:
        return ReferenceValue(kind, identity, base, text if "://" in text else "")
    if not text:
        raise bad(code, text, "a reference")
    return ReferenceValue("", "", "", text) if ":" in text or "/" in text else ReferenceValue("", text)


def one(parameter: Parameter, text: str, now: int | None, own: str) -> Value:
    """One value of a parameter without a modifier that changes its kind."""
    return by_kind(parameter.kind, parameter, text, now, own)


def by_kind(kind: str, parameter: Parameter, text: str, now: int | None, own: str) -> Value:
    """One value read as the given kind."""
    if kind == "token":
        return token(text)
    if kind == "date":
        return date(parameter.code, text, now)
    if kind in ("number", "quantity"):
        found = amount(parameter.code, text)
        if kind == "number" and (found.system is not None or found.code is not None):
            raise bad(parameter.code, text, "a number")
        return found
    if kind == "reference":
        return reference(parameter.code, text, own)
    if kind == "composite":
        parts = split(text, "$")
        if len(parts) != len(parameter.components):
            raise bad(parameter.code, text, f"of {len(parameter.components)} parts with $ between them")
        return CompositeValue(tuple(by_kind(k, parameter, p, now, own) for (_, k), p in zip(parameter.components, parts, strict=True)))
    return TextValue(plain(text))


def alternatives(parameter: str, text: str) -> list[str]:
    """The comma-separated alternatives; refused when there are too many or one is empty or too long."""
    found = split(text, ",")
    if len(found) > MAX_VALUES or len(text) > MAX_VALUES * MAX_LENGTH:
        raise refuse(400, "too-costly", "The search parameter {} has more than {} values.", name(parameter), name(MAX_VALUES))
    if any(not part or len(part) > MAX_LENGTH for part in found):
        raise refuse(400, "value", "The search parameter {} has an empty or too long value.", name(parameter))
    return found
