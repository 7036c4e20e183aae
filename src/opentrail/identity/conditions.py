"""The Condition element: operators over condition keys, compiled to functions of a request's keys.

Values of one key are alternatives; keys and operators must all hold; negated operators hold when no value matches, and
when the key is absent. Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from opentrail.identity import patterns
from opentrail.identity.patterns import Bound, Keys

Test = Callable[[Keys], bool]


class BadCondition(Exception):
    """A condition that cannot be evaluated. The message names operator or key and the rule."""


def _known() -> tuple[frozenset[str], tuple[str, ...]]:
    lines = files("opentrail.identity").joinpath("condition_keys.tsv").read_text("utf-8").splitlines()[1:]
    names = [line.split("\t")[0].lower() for line in lines]
    return frozenset(name for name in names if not name.endswith("/")), tuple(name for name in names if name.endswith("/"))


KEYS, FAMILIES = _known()
"""Condition keys that requests carry here, lower case; and prefixes of keys with a name of their own, such as tags."""


OF_RESOURCE_TAGS = tuple(family for family in FAMILIES if family.endswith(":resourcetag/"))
"""The prefixes of the keys for which the resource's tags must be read."""


def known(key: str) -> bool:
    """Whether a condition key, lower case, is one that requests carry here."""
    return key in KEYS or any(key.startswith(family) and len(key) > len(family) for family in FAMILIES)


def compile_conditions(block: object, with_variables: bool) -> tuple[Test, ...]:
    """The tests of a Condition element, all of which must hold. Raises BadCondition."""
    if not isinstance(block, Mapping):
        raise BadCondition("Condition must be an object of operators")
    return tuple(
        _compile(str(operator), str(key), values, with_variables)
        for operator, keys in block.items()
        for key, values in _object(operator, keys).items()
    )


def asked(block: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """The condition keys, lower case, that a Condition element asks for by name or in a variable."""
    for keys in block.values():
        for key, values in keys.items():
            yield key.lower()
            for value in values if isinstance(values, list) else [values]:
                yield from patterns.variables(str(value))


def _object(operator: object, keys: object) -> Mapping[str, object]:
    if not isinstance(keys, Mapping) or not keys:
        raise BadCondition(f"{operator} must be an object of condition keys")
    return keys


def _values(operator: str, key: str, values: object) -> list[str]:
    found = values if isinstance(values, list) else [values]
    if not found or not all(isinstance(value, str | int | float | bool) for value in found):
        raise BadCondition(f"{operator} {key} must have a value or a list of values")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in found]


def _compile(operator: str, key: str, raw: object, with_variables: bool) -> Test:
    quantifier, colon, plain = operator.rpartition(":")
    if colon and quantifier not in ("ForAllValues", "ForAnyValue"):
        raise BadCondition(f"{operator} is not a condition operator")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    name = key.lower()
    if not known(name):
        raise BadCondition(f"{key} is not a condition key that is evaluated here")
    values = _values(operator, key, raw)
    if plain == "Null" and not colon and not if_exists:
        return _null(name, values)
    if plain not in OPERATORS:
        raise BadCondition(f"{operator} is not a condition operator")
    make, negated = OPERATORS[plain]
    for value in values:
        unknown = [used for used in patterns.variables(value) if with_variables and not known(used)]
        if unknown:
            raise BadCondition(f"{unknown[0]} is not a policy variable that is evaluated here")
    matches = tuple(make(value, with_variables) for value in values)
    return _quantified(quantifier, name, matches, negated, if_exists)


def _null(name: str, values: list[str]) -> Test:
    if len(values) != 1 or values[0].lower() not in ("true", "false"):
        raise BadCondition("Null must have the value true or false")
    absent = values[0].lower() == "true"
    return lambda keys: (not keys.get(name)) is absent


def _quantified(quantifier: str, name: str, matches: tuple[Bound, ...], negated: bool, if_exists: bool) -> Test:
    def holds(value: str, keys: Keys) -> bool:
        for match in matches:
            if match(value, keys):
                return not negated
        return negated

    def one(keys: Keys) -> bool:
        value = keys.get(name)
        if value is None:
            return negated or if_exists
        if isinstance(value, str):
            return holds(value, keys)
        found = [holds(each, keys) for each in value]
        return all(found) if negated else any(found)

    def each(keys: Keys) -> bool:
        return all(holds(value, keys) for value in _list(keys.get(name)))

    def some(keys: Keys) -> bool:
        values = _list(keys.get(name))
        return any(holds(value, keys) for value in values) or (if_exists and not values)

    return each if quantifier == "ForAllValues" else some if quantifier == "ForAnyValue" else one


def _list(value: str | Sequence[str] | None) -> Sequence[str]:
    return () if value is None else (value,) if isinstance(value, str) else value


def _string(value: str, with_variables: bool) -> Bound:
    return patterns.bound(patterns.tokens(value, with_variables, wildcards=False), patterns.glob)


def _like(value: str, with_variables: bool) -> Bound:
    return patterns.bound(patterns.tokens(value, with_variables), patterns.glob)


def _folded(value: str, with_variables: bool) -> Bound:
    pieces = patterns.tokens(value, with_variables, wildcards=False)

    def match(text: str, keys: Keys) -> bool:
        full = patterns.filled(pieces, keys)
        return full is not None and "".join(token.text for token in full).casefold() == text.casefold()

    return match


def _arn(value: str, with_variables: bool) -> Bound:
    if not patterns.is_arn_pattern(value) and "${" not in value:
        raise BadCondition(f"{value} is not an ARN")
    return patterns.bound(patterns.tokens(value, with_variables), patterns.arn_glob)


def _bool(value: str, with_variables: bool) -> Bound:
    wanted = value.lower()
    if wanted not in ("true", "false"):
        raise BadCondition("Bool must have the value true or false")
    return lambda text, keys: text.lower() == wanted


def _binary(value: str, with_variables: bool) -> Bound:
    wanted = _decoded(value)
    if wanted is None:
        raise BadCondition("BinaryEquals must have a base64 value")
    return lambda text, keys: _decoded(text) == wanted


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _numeric(compare: Callable[[float, float], bool]) -> Callable[[str, bool], Bound]:
    return _ordered(_number, compare, "a number")


def _date(compare: Callable[[float, float], bool]) -> Callable[[str, bool], Bound]:
    return _ordered(_seconds, compare, "a date and time in ISO 8601 or seconds since 1970")


def _ordered(parse: Callable[[str], float | None], compare: Callable[[float, float], bool], what: str) -> Callable[[str, bool], Bound]:
    def make(value: str, with_variables: bool) -> Bound:
        limit = parse(value)
        if limit is None:
            raise BadCondition(f"{value} is not {what}")
        fixed = limit

        def match(text: str, keys: Keys) -> bool:
            found = parse(text)
            return found is not None and compare(found, fixed)

        return match

    return make


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", text) else None


@lru_cache(maxsize=1024)
def _seconds(text: str) -> float | None:
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _address(value: str, with_variables: bool) -> Bound:
    try:
        network = ip_network(value, strict=False)
    except ValueError as error:
        raise BadCondition(f"{value} is not an address or a range in CIDR form") from error
    return lambda text, keys: _inside(text, network)


@lru_cache(maxsize=4096)
def _inside(text: str, network: IPv4Network | IPv6Network) -> bool:
    address = _parsed(text)
    return address is not None and address.version == network.version and address in network


@lru_cache(maxsize=4096)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


OPERATORS: Mapping[str, tuple[Callable[[str, bool], Bound], bool]] = {
    "StringEquals": (_string, False),
    "StringNotEquals": (_string, True),
    "StringEqualsIgnoreCase": (_folded, False),
    "StringNotEqualsIgnoreCase": (_folded, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "NumericEquals": (_numeric(lambda a, b: a == b), False),
    "NumericNotEquals": (_numeric(lambda a, b: a == b), True),
    "NumericLessThan": (_numeric(lambda a, b: a < b), False),
    "NumericLessThanEquals": (_numeric(lambda a, b: a <= b), False),
    "NumericGreaterThan": (_numeric(lambda a, b: a > b), False),
    "NumericGreaterThanEquals": (_numeric(lambda a, b: a >= b), False),
    "DateEquals": (_date(lambda a, b: a == b), False),
    "DateNotEquals": (_date(lambda a, b: a == b), True),
    "DateLessThan": (_date(lambda a, b: a < b), False),
    "DateLessThanEquals": (_date(lambda a, b: a <= b), False),
    "DateGreaterThan": (_date(lambda a, b: a > b), False),
    "DateGreaterThanEquals": (_date(lambda a, b: a >= b), False),
    "Bool": (_bool, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
    "ArnEquals": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnLike": (_arn, False),
    "ArnNotLike": (_arn, True),
}
"""Each operator's maker of matchers, and whether it is negated."""
