"""What a FHIR $export asks for, and which resources are part of it. Source: FHIR Bulk Data Access 2.0, HealthLake's guide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from opentrail.services.healthlake.engine import compartments, definitions, values
from opentrail.services.healthlake.engine.issues import content, name, refuse

FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
LISTS = ("_type", "_security", "_tag")
NOT_OFFERED = ("_typeFilter", "_elements", "patient", "includeAssociatedData", "organizeOutputBy", "allowPartialManifests")
"""Parameters of the Bulk Data guide that are refused; records may name them."""
PARAMETERS = ("_outputFormat", "_type", "_since", "_until", "_security", "_tag")
MOST_TOKENS = 100


class Asked(msgspec.Struct, omit_defaults=True):
    """What is asked for. No `types`: all; times are milliseconds, `until` 0 for no end; `tags` and `security` are tokens as
    searches write them; `group` is the id of a Group, `patients` says that only what concerns a patient counts."""

    types: tuple[str, ...] = ()
    since: int = 0
    until: int = 0
    tags: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    patients: bool = False
    group: str = ""


def parse(pairs: Iterable[tuple[str, str]], patients: bool = False, group: str = "") -> Asked:
    """The parameters of an $export; those that are lists may be repeated. Refused with 400."""
    given: dict[str, str] = {}
    for key, value in pairs:
        if key not in PARAMETERS:
            refused = name(key) if key in NOT_OFFERED else content(key)
            raise refuse(400, "not-supported", "The parameter {} is not offered by $export.", refused)
        if key in given and key not in LISTS:
            raise refuse(400, "invalid", "{} may be given once.", name(key))
        given[key] = f"{given[key]},{value}" if key in given else value
    if given.get("_outputFormat") not in (None, "", *FORMATS):
        raise refuse(400, "not-supported", "_outputFormat must be one of {}.", name(", ".join(FORMATS)))
    types = tuple(dict.fromkeys(_list(given, "_type")))
    for type in types:
        if not definitions.is_resource_type(type):
            raise refuse(400, "value", "_type: {} is not a resource type of FHIR R4.", content(type))
    wanted = Asked(
        types=types,
        since=_time(given, "_since", 0),
        until=_time(given, "_until", 1),
        tags=_list(given, "_tag"),
        security=_list(given, "_security"),
        patients=patients or bool(group),
        group=group,
    )
    if wanted.patients and types and not set(types) <= {"Patient", *compartments.types_in("Patient")}:
        raise refuse(400, "value", "_type: only types that are in a patient's compartment can be exported at this level.")
    return wanted


def _list(given: Mapping[str, str], key: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in given.get(key, "").split(",") if part.strip())
    if len(found) > MOST_TOKENS:
        raise refuse(400, "too-long", "{} has at most {} values.", name(key), name(MOST_TOKENS))
    return found


def _time(given: Mapping[str, str], key: str, end: int) -> int:
    """The first (0) or last (1) millisecond of a time; 0 when there is none."""
    text = given.get(key, "").replace(" ", "+")
    if not text:
        return 0
    found = values.date_interval(text)
    if found is None:
        raise refuse(400, "value", "{} must be a FHIR instant.", name(key))
    return found[end]


def types_of(wanted: Asked, there: Iterable[str]) -> list[str]:
    """The types to export of those that the data store holds, by name."""
    inside = {"Patient", *compartments.types_in("Patient")}
    return sorted(type for type in there if (not wanted.types or type in wanted.types) and (not wanted.patients or type in inside))


def is_part(wanted: Asked, updated: int, body: bytes, patients: Iterable[str], members: frozenset[str]) -> bool:
    """Whether a resource, last changed at `updated`, is part of the export. `members` are the patients of the group."""
    if updated < wanted.since or (wanted.until and updated > wanted.until):
        return False
    if wanted.group and members.isdisjoint(patients):
        return False
    if wanted.patients and not wanted.group and not any(True for _ in patients):
        return False
    if not wanted.tags and not wanted.security:
        return True
    meta = _meta(body)
    return _matches(wanted.tags, meta.get("tag")) and _matches(wanted.security, meta.get("security"))


class _WithMeta(msgspec.Struct):
    meta: Any = None


_decoder = msgspec.json.Decoder(_WithMeta)


def _meta(body: bytes) -> Mapping[str, Any]:
    meta = _decoder.decode(body).meta
    return meta if isinstance(meta, dict) else {}


def _matches(tokens: tuple[str, ...], codings: object) -> bool:
    """Whether one of the codings has one of the tokens: `code`, `system|code`, `system|`, `|code`."""
    rows = [one for one in codings if isinstance(one, dict)] if isinstance(codings, list) else []
    return not tokens or any(_one(token, row.get("system"), row.get("code")) for token in tokens for row in rows)


def _one(token: str, system: object, code: object) -> bool:
    wanted_system, bar, wanted_code = token.partition("|")
    if not bar:
        return code == token
    return (system or "") == wanted_system and (not wanted_code or code == wanted_code)


def members(group: Mapping[str, Any], own: str) -> frozenset[str]:
    """The ids of the patients in a Group of the data store whose address ends with `own`, without those that are inactive."""
    found = set()
    rows = group.get("member", ())
    for row in rows if isinstance(rows, list) else ():
        entity = row.get("entity") if isinstance(row, dict) else None
        reference = entity.get("reference") if isinstance(entity, dict) else None
        if isinstance(reference, str) and row.get("inactive") is not True:
            base, kind, id = values.reference_parts(reference, own)
            if kind == "Patient" and not base:
                found.add(id)
    return frozenset(found)


def ndjson_line(body: bytes) -> bytes:
    """A stored resource as one line: what was sent with line breaks is written without."""
    text = msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body
    return text + b"\n"
