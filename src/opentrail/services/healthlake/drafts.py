"""A resource on its way into the store: checked, with its index rows, ready to be given a version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from opentrail.services.healthlake.engine import exact, values
from opentrail.services.healthlake.engine.issues import FhirError, Issue, name, refuse
from opentrail.services.healthlake.engine.search.rows import IndexRows, index_rows, lenient_rows
from opentrail.services.healthlake.engine.validation import Level, validate
from opentrail.services.healthlake.engine.validation.flags import flagged
from opentrail.services.healthlake.engine.validation.profiles import NO_PROFILES, Profiles

Json = dict[str, Any]
MOST_ROWS = 20_000
"""Rows of the search index that one call may write: what holds up other calls for a fifth of a second at most."""
SERVER_OWN = ("resourceType", "id", "meta")


@dataclass(frozen=True, slots=True)
class Draft:
    """`members` are the top-level members but those the server writes; undecoded ones are stored as they came."""

    type: str
    members: Mapping[str, Any]
    meta: Json
    rows: IndexRows
    issues: tuple[Issue, ...]
    flagged: bool


def draft(
    resource: Json, level: Level, raw: Mapping[str, Any] | None = None, profiles: Profiles = NO_PROFILES, *, own: str
) -> Draft:  # fmt: skip
    """Validates and indexes a resource for the data store whose address ends with `own`. `raw`: its members as they are to be stored,
    those undecoded that keep their text; members that are decoded there have `exact` numbers. Refused with 400 and all issues, or 422,
    as the level and the loaded profiles have it."""
    issues = validate(resource, level, profiles)
    if any(issue.is_error for issue in issues):
        raise FhirError(400, *issues)
    members = raw or resource
    meta = exact.value(members.get("meta", {}))
    if not isinstance(meta, dict):
        raise refuse(400, "structure", "meta must be an object.")
    if level == "minimal":
        rows, unread = lenient_rows(resource, own)
        issues = [*issues, *unread]
        members = flagged({**members, "extension": exact.value(members.get("extension", []))}, issues)
    else:
        rows = index_rows(resource, own)
    kept = {key: value for key, value in members.items() if key not in SERVER_OWN}
    made = Draft(resource["resourceType"], kept, meta, rows, tuple(issues), level == "minimal" and bool(issues))
    bounded((made,))
    return made


def bounded(drafts: Iterable[Draft]) -> None:
    """Refused with 422: what one call writes has more search values than the lane should wait for."""
    rows = sum(made.rows.count for made in drafts)
    if rows > MOST_ROWS:
        raise refuse(422, "too-costly", "There are {} search values in what is sent; the limit is {}.", name(rows), name(MOST_ROWS))


def stored(made: Draft, id: str, version: int, updated: int) -> bytes:
    """The JSON that is stored and answered: the draft with its id and the server's own meta members."""
    meta = {**made.meta, "versionId": str(version), "lastUpdated": values.moment(updated)}
    return msgspec.json.encode({"resourceType": made.type, "id": id, "meta": meta, **made.members})


def rows_of(body: bytes | None, own: str) -> IndexRows:
    """The index rows of a body that lies in the data store whose address ends with `own`, whatever the level it was stored at; none for
    a deletion."""
    return IndexRows() if body is None else lenient_rows(msgspec.json.decode(body), own)[0]
