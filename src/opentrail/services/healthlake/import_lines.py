"""One part of an import's file, read in a worker process: every line parsed, validated and indexed, ready to be stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from opentrail.kernel.errors import ServiceError
from opentrail.services.healthlake import packages, requests
from opentrail.services.healthlake.drafts import Draft, draft
from opentrail.services.healthlake.engine import compartments, definitions, ndjson, values
from opentrail.services.healthlake.engine.issues import FhirError, content, operation_outcome, refuse
from opentrail.services.healthlake.engine.validation import Level
from opentrail.services.healthlake.engine.validation.profiles import Profiles

Task = tuple[Level, Path, str, ndjson.Part]
"""The level, the data folder (of the loaded profiles), the end of the data store's address (`store.own`), and the part."""
TOO_LONG = "A resource has at most {} bytes."


class Ready(NamedTuple):
    """A resource that may be stored. Its JSON is `head`, the server's own members of meta, `tail`; `rows` are `IndexRows.lists`, `size`
    is its line's."""

    line: int
    type: str
    id: str
    head: bytes
    tail: bytes
    rows: tuple[list[Any], ...]
    flagged: bool
    patients: list[str]
    size: int


class Refused(NamedTuple):
    """A line that cannot be stored, and why: the status and the OperationOutcome."""

    line: int
    status: int
    outcome: dict[str, Any]


def read(task: Task) -> list[Ready | Refused]:
    """What becomes of the lines of a part, in their order."""
    level, data, own, part = task
    if part.too_long:
        return [refused(part.first, 413, "too-long", TOO_LONG, ndjson.MOST_LINE)]
    profiles = packages.profiles(data)
    return [_line(level, profiles, own, number, text) for number, text in ndjson.lines(part)]


def refused(line: int, status: int, code: str, template: str, *arguments: object) -> Refused:
    """A refusal with one issue; the arguments are the caller's own."""
    error = refuse(status, code, template, *map(content, arguments))
    return Refused(line, status, operation_outcome(error.issues))


def _line(level: Level, profiles: Profiles, own: str, number: int, text: bytes) -> Ready | Refused:
    try:
        resource = requests.parse(text)
        kind, id = resource.get("resourceType"), resource.get("id")
        if not isinstance(kind, str) or not definitions.is_resource_type(kind):
            raise refuse(400, "structure", "resourceType {} is not a resource type of FHIR R4.", content(kind), location="/resourceType")
        if not isinstance(id, str) or not values.is_id(id):
            text_of = "An imported resource needs an id: 1 to 64 of A-Z, a-z, 0-9, - and ."
            raise refuse(400, "required" if id is None else "value", text_of, location=f"/{kind}/id")
        made = draft(resource, level, requests.raw_members(text), profiles, own=own)
    except FhirError as error:
        return Refused(number, error.status, operation_outcome(error.issues))
    except ServiceError as error:
        return refused(number, error.status, "structure", "{}", error.for_caller())
    patients = compartments.patients(kind, id, made.rows)
    return Ready(number, kind, id, *_json(made, id), made.rows.lists, made.flagged, patients, len(text))


_OWN_META = ("versionId", "lastUpdated")


def _json(made: Draft, id: str) -> tuple[bytes, bytes]:
    """The stored JSON before and after the server's own members of meta; `body` puts it together."""
    meta = {key: value for key, value in made.meta.items() if key not in _OWN_META}
    head = msgspec.json.encode({"resourceType": made.type, "id": id, "meta": meta})[:-2] + (b"," if meta else b"")
    members = msgspec.json.encode(made.members)[1:]
    return head, b"}," + members if made.members else b"}}"


def body(ready: Ready, version: int, updated: str) -> bytes:
    """The JSON that is stored; see drafts.stored."""
    return b"%s%s%s" % (ready.head, b'"versionId":"%d","lastUpdated":"%s"' % (version, updated.encode()), ready.tail)
