"""Validation of resources against R4 and loaded profiles.

    validate(resource, level, profiles) -> list[Issue]

Levels are HealthLake's. `strict`: base R4 and every profile that meta.profile claims; one that is not loaded is a warning.
`structure-only`: base R4. `minimal`: only what a store needs (a known type, a legal id); all else becomes warnings.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, Literal

import jsonschema_rs

from opentrail.services.healthlake.engine import definitions, values
from opentrail.services.healthlake.engine.issues import Issue, content, error, name
from opentrail.services.healthlake.engine.validation import checks, explain, schema
from opentrail.services.healthlake.engine.validation.profiles import NO_PROFILES, Profiles

Level = Literal["strict", "structure-only", "minimal"]
LEVELS: tuple[Level, ...] = ("strict", "structure-only", "minimal")
MAX_ISSUES = 50
Json = dict[str, Any]


@cache
def _compiled(resource_type: str) -> tuple[Json, Any]:
    document = schema.resource_schema(resource_type)
    return document, compile_schema(document)


@cache
def _plain(resource_type: str) -> Any:
    """The validator of the common shape, without contained resources: what it accepts needs no look at local references."""
    return compile_schema(schema.common_shape(schema.resource_schema(resource_type)))


def compile_schema(document: Json) -> Any:
    """A jsonschema-rs validator with linear-time patterns and calendar-true dates."""
    return jsonschema_rs.Draft202012Validator(
        document, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions(), keywords={"x-check": checks.Check}
    )


def _inner(resource: Json, location: str) -> Iterator[tuple[Any, str]]:
    """The resources inside a resource, with their locations."""
    for i, part in enumerate(resource.get("contained", ())):
        yield part, f"{location}/contained[{i}]"
    if resource["resourceType"] == "Bundle":
        for i, entry in enumerate(resource.get("entry", ())):
            if "resource" in entry:
                yield entry["resource"], f"{location}/entry[{i}]/resource"
            if "outcome" in entry.get("response", ()):
                yield entry["response"]["outcome"], f"{location}/entry[{i}]/response/outcome"
    if resource["resourceType"] == "Parameters":
        yield from _parameters(resource.get("parameter", ()), location)


def _parameters(rows: Any, location: str) -> Iterator[tuple[Any, str]]:
    for i, row in enumerate(rows):
        if "resource" in row:
            yield row["resource"], f"{location}/parameter[{i}]/resource"
        yield from _parameters(row.get("part", ()), f"{location}/parameter[{i}]")


def _base(resource: Json, location: str, outermost: bool = True) -> list[Issue]:
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not definitions.is_resource_type(kind):
        return [error("structure", "resourceType {} is not an R4 resource type.", content(kind), location=location)]
    if "contained" in resource or not outermost or not _plain(kind).is_valid(resource):
        document, validator = _compiled(kind)
        if not validator.is_valid(resource):
            return list(explain.issues(document, islice(validator.iter_errors(resource), MAX_ISSUES), location))
        found = checks.local_issues(resource, location) if outermost else []
    else:
        found = []
    found += checks.own_issues(resource, location)
    for part, place in _inner(resource, location):
        found += _base(part, place, outermost=not place.startswith(f"{location}/contained"))
    return found


def _claimed(resource: Json) -> list[str]:
    meta = resource.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    return [url for url in claimed if isinstance(url, str)] if isinstance(claimed, list) else []


def _against_profiles(resource: Json, claimed: list[str], profiles: Profiles, location: str) -> Iterator[Issue]:
    for url in claimed:
        profile = profiles.find(url)
        if profile is None:
            yield Issue("warning", "not-supported", "The profile {} is not loaded; only base R4 was checked.", (content(url),), location)
        elif profile.type != resource["resourceType"]:
            yield error("structure", "The profile {} is for {}.", name(url), name(profile.type), location=location)
        else:
            document, validator = profiles.compiled(profile, compile_schema)
            yield from explain.issues(document, islice(validator.iter_errors(resource), MAX_ISSUES), location)


def validate(resource: object, level: Level = "strict", profiles: Profiles = NO_PROFILES, also: tuple[str, ...] = ()) -> list[Issue]:
    """Everything wrong with a resource, errors and warnings, at most about MAX_ISSUES; empty when nothing is.

    `also` names profiles to check besides those claimed ($validate's `profile`, a store's defaults).
    """
    if not isinstance(resource, dict):
        return [error("structure", "A resource is a JSON object.")]
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not definitions.is_resource_type(kind):
        return [error("structure", "resourceType {} is not an R4 resource type.", content(kind), location="/resourceType")]
    location = "/" + kind
    try:
        found = _base(resource, location)
    except RecursionError:
        return [error("too-costly", "The resource nests too deeply.", location=location)]
    if level == "minimal":
        return [*_storable(resource, location), *(Issue("warning", i.code, i.template, i.args, i.location) for i in found)]
    if level == "strict" and not any(i.is_error for i in found):
        found += _against_profiles(resource, [*_claimed(resource), *also], profiles, location)
    return found[:MAX_ISSUES]


def _storable(resource: Json, location: str) -> Iterator[Issue]:
    identity = resource.get("id", "x")
    if not isinstance(identity, str) or not values.is_id(identity):
        yield error("value", "The id is not a valid FHIR id.", location=location + "/id")


__all__ = ["LEVELS", "Level", "Profiles", "validate"]
