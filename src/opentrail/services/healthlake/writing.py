"""How resources change: create, update, patch, delete, each by id or by condition, inside a write transaction.

    carry_out(tx, call, found, want) -> Done

Nothing is written before every check has passed: a refused want leaves the transaction as it was, so a batch goes on after it.
A deleted id stays taken, as in HealthLake. Source: https://hl7.org/fhir/R4/http.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from opentrail.calls.call import Call
from opentrail.services.healthlake import access, fhir_store, naming, notes, requests, store
from opentrail.services.healthlake.drafts import Draft, draft, rows_of, stored
from opentrail.services.healthlake.engine import compartments, exact
from opentrail.services.healthlake.engine.issues import Issue, refuse
from opentrail.services.healthlake.engine.patch import patched
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.engine.smart.scopes import Action
from opentrail.services.healthlake.engine.validation import Level
from opentrail.services.healthlake.engine.validation.profiles import NO_PROFILES, Profiles
from opentrail.store.sql import Snapshot, Tx


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch document (with `exact` numbers) and its media type, and the level and profiles by which the result is checked."""

    media: str
    document: Any
    level: Level
    profiles: Profiles = NO_PROFILES


@dataclass(frozen=True, slots=True)
class Want:
    """A checked wish to change. `id` is empty for a create and when `criteria` select; `fresh` is the id a new resource gets."""

    action: Literal["create", "update", "patch", "delete"]
    type: str
    id: str = ""
    fresh: str = ""
    made: Draft | None = None
    patch: Patch | None = None
    patched_from: int = 0
    """The version that `made` is the patch of; 0 when nothing was worked out beforehand."""
    criteria: Search | None = None
    if_match: str = ""
    if_none_match: str = ""
    unsettled: bool = False
    """Some of its references may change before its transaction ends: whom it concerns is judged and told by `settle`."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a want: HTTP status, the version that is now current, its body (None for a deletion) and the draft's issues."""

    status: int
    type: str
    id: str
    version: int
    updated: int
    body: bytes | None
    issues: tuple[Issue, ...] = ()
    flagged: bool = False
    patients: tuple[str, ...] = ()
    """The patients whose compartments hold it, or held it before."""


def carry_out(tx: Tx, call: Call, found: store.Datastore, want: Want) -> Done:
    """Performs a want. Refused as FHIR has it: 400, 404, 409, 410, 412."""
    if want.criteria is not None:
        matches = fhir_store.first_ids(tx, found.key, want.criteria)
        if len(matches) > 1:
            raise refuse(412, "multiple-matches", "The condition selects more than one resource.")
        after = settled(tx, call, found, want, matches[0] if matches else "")
        if isinstance(after, Done):
            return after
        want = after
    if want.action == "create":
        return _create(tx, call, found, want, want.fresh)
    naming.touch(call, found, want.type, want.id)
    before = fhir_store.current(tx, found.key, want.type, want.id)
    access.check_before(tx, call, found, want.action, want.type, want.id, before)
    _check(before, want)
    if before is None and want.action == "update":
        return _create(tx, call, found, want, want.id)
    if before is None:
        raise requests.unknown(want.type, want.id)
    if want.action == "patch":
        want = patch_of(want, before, found.own)
    if want.action == "delete" and before.body is None:
        return Done(204, want.type, want.id, before.version, before.updated, None)
    return _next(tx, call, found, want, before)


def settled(tx: Tx, call: Call, found: store.Datastore, want: Want, match: str) -> Want | Done:
    """The want without its condition, given the one resource that the condition selects, or none."""
    if want.action == "create":
        return existing(tx, call, found, want.type, match) if match else replace(want, criteria=None)
    if want.action in ("delete", "patch"):
        if not match:
            raise refuse(404, "not-found", "The condition selects no resource.")
        return replace(want, criteria=None, id=match)
    if match:
        if want.id not in ("", match):
            raise refuse(409, "conflict", "The id of the resource is not that of the one that the condition selects.")
        return replace(want, criteria=None, id=match)
    if not want.id:
        return replace(want, criteria=None, action="create")
    if fhir_store.current(tx, found.key, want.type, want.id) is not None:
        raise refuse(409, "conflict", "The condition selects no resource, and the id of the given one is taken.")
    return replace(want, criteria=None)


def existing(snapshot: Snapshot, call: Call, found: store.Datastore, type: str, id: str) -> Done:
    """The resource that a conditional create found, as it is."""
    naming.touch(call, found, type, id)
    now = fhir_store.current(snapshot, found.key, type, id)
    assert now is not None, "a search finds what is there"
    patients = naming.touch_patients(call, found, fhir_store.patients_of(snapshot, [(now.pk, type, id)]))
    return Done(200, type, id, now.version, now.updated, now.body, patients=tuple(patients))


def _check(before: fhir_store.Current | None, want: Want) -> None:
    """If-Match and If-None-Match against the newest version."""
    if want.if_match:
        wanted = requests.matched_versions(want.if_match)
        if before is None or before.body is None or (wanted is not None and before.version not in wanted):
            raise refuse(412, "conflict", "If-Match does not name the current version.")
    if want.if_none_match:
        if want.if_none_match != "*":
            raise refuse(400, "invalid", "If-None-Match must be * on an update.")
        if before is not None:
            raise refuse(412, "conflict", "A resource with this id exists or existed.")


def patch_of(want: Want, before: fhir_store.Current, own: str) -> Want:
    """The want with the draft that its patch makes of the current version; `own` as for `draft`."""
    assert want.patch is not None, "a patch has one"
    if before.body is None:
        raise requests.gone(before.updated)
    if want.patched_from == before.version:
        return want
    now = msgspec.json.encode(patched(exact.decode(before.body), want.patch.media, want.patch.document))
    made = draft(requests.parse(now), want.patch.level, requests.raw_members(now), want.patch.profiles, own=own)
    return replace(want, made=made, patched_from=before.version)


def _create(tx: Tx, call: Call, found: store.Datastore, want: Want, id: str) -> Done:
    made = want.made
    assert made is not None, "what is created was drafted"
    naming.touch(call, found, want.type, id)
    patients = [] if want.unsettled else _concerned(tx, call, found, want.type, id, (made.rows,), "c")
    updated = requests.milliseconds(call)
    body = stored(made, id, 1, updated)
    method = "POST" if want.action == "create" else "PUT"
    fhir_store.insert(tx, found.key, want.type, id, method, updated, body, made.rows)
    notes.ask(tx, call, found, want.type, id, 1, body)
    return Done(201, want.type, id, 1, updated, body, made.issues, made.flagged, tuple(patients))


def _next(tx: Tx, call: Call, found: store.Datastore, want: Want, before: fhir_store.Current) -> Done:
    """The version after `before`. Time never runs backwards within a resource."""
    made, old = want.made, rows_of(before.body, found.own)
    new = made.rows if made else IndexRows()
    if made is not None and not want.unsettled:
        patients = _concerned(tx, call, found, want.type, want.id, (old, new), "u")
    else:
        patients = naming.touch_patients(call, found, compartments.patients(want.type, want.id, old))
    updated, number = max(requests.milliseconds(call), before.updated), before.version + 1
    body = stored(made, want.id, number, updated) if made else None
    method = {"update": "PUT", "patch": "PATCH", "delete": "DELETE"}[want.action]
    fhir_store.replace(tx, found.key, want.type, want.id, method, before, updated, body, old, new)
    status = 204 if body is None else 200 if before.body is not None else 201
    notes.ask(tx, call, found, want.type, want.id, number, body)
    if made is None:
        return Done(status, want.type, want.id, number, updated, None, patients=tuple(patients))
    return Done(status, want.type, want.id, number, updated, body, made.issues, made.flagged, tuple(patients))


def _concerned(tx: Tx, call: Call, found: store.Datastore, type: str, id: str, rows: Sequence[IndexRows], action: Action) -> list[str]:
    """The patients whom a resource concerns, before and as it is about to be (the last of `rows`); refused with 403 when the call does
    not reach all of these."""
    access.check_after(tx, call, found, type, id, rows[-1], action)
    return naming.touch_patients(call, found, (patient for one in rows for patient in compartments.patients(type, id, one)))


def settle(tx: Tx, call: Call, found: store.Datastore, was: Want, now: Want, done: Done) -> Done:
    """Puts right, within the version that this transaction wrote, the references that were not known when it was written: `was` is what
    was carried out, `now` what is wanted in truth."""
    assert was.made is not None, "what is settled was drafted"
    assert now.made is not None, "what is settled was drafted"
    patients = _concerned(tx, call, found, done.type, done.id, (now.made.rows,), "c" if done.version == 1 else "u")
    concerned = tuple(dict.fromkeys([*done.patients, *patients]))
    if now.made is was.made:
        return replace(done, patients=concerned)
    body = stored(now.made, done.id, done.version, done.updated)
    fhir_store.amend(tx, found.key, done.type, done.id, body, was.made.rows, now.made.rows)
    return replace(done, body=body, issues=now.made.issues, flagged=now.made.flagged, patients=concerned)
