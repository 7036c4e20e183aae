"""ProcessBundle: batches, whose entries stand alone, and transactions, which happen as a whole or not at all.

Either is one call: applied in one transaction, with one record that has a line per entry. Source: R4 http, 3.1.0.11.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.services.healthlake import bundle_entries, fhir_store, interactions, requests, store
from opentrail.services.healthlake.bundle_entries import Result
from opentrail.services.healthlake.drafts import bounded, draft, unchanged
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.engine.bundle import Entry
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.validation import Level, Profiles
from opentrail.services.healthlake.requests import Json
from opentrail.services.healthlake.writing import Done, Patch, Want, carry_out, settled
from opentrail.store.sql import Snapshot, Tx

MOST_ENTRIES = 500
Wanted = Want | FhirError | None


@dataclass(frozen=True, slots=True)
class Links:
    """What was there when a transaction was read: the match of each conditional entry (by place), and what each reference becomes."""

    matches: Mapping[int, str]
    mapping: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle taken apart. `wants` has the drafted want of each entry that changes something; for a batch also its refusal."""

    datastore: str
    bundle: engine.Bundle
    raw: Sequence[Mapping[str, Any]]
    given: Mapping[int, str]
    full_urls: Mapping[str, str]
    links: Links
    wants: Sequence[Wanted]
    level: Level
    profiles: Profiles
    base: str
    prefer: str
    parsed: dict[tuple[str, requests.Pairs], Search] = field(default_factory=dict)
    """The conditions as searches: asked here and again in the write transaction."""


class _RawEntry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"{}")


class _RawBundle(msgspec.Struct):
    entry: list[_RawEntry] = []


def prepare(call: Call, input: FhirInput, most: int = engine.MAX_TRANSACTION) -> Plan:
    """Takes the bundle apart and drafts its resources against what is there now. `most`: entries of a transaction."""
    bundle = engine.parse_bundle(requests.resource(input), most)
    if len(bundle.entries) > MOST_ENTRIES:
        raise refuse(422, "too-costly", "A bundle may have at most {} entries.", name(MOST_ENTRIES))
    interactions.allow_entries(call, bundle.entries)
    kept = msgspec.json.decode(input.body, type=_RawBundle).entry
    raw = [requests.raw_members(bytes(one.resource)) if entry.resource else {} for entry, one in zip(bundle.entries, kept, strict=True)]
    given, full_urls = engine.identities(bundle.entries, iter(call.tools.ids.uuid, ""))
    level = requests.level(input.validation_level)
    plan = Plan(
        input.datastoreId, bundle, raw, given, full_urls, Links({}, {}), (), level, requests.profiles(call), input.base, input.prefer
    )
    if bundle.type == "transaction":
        with call.tools.read() as snapshot:
            found = store.datastore(snapshot, input.datastoreId)
            if found is not None and (found.account, found.region) == (call.account, call.region):
                plan = replace(plan, links=_links(snapshot, found, call, plan))
    plan = replace(plan, wants=_wants(call, plan))
    bounded(want.made for want in plan.wants if isinstance(want, Want) and want.made)
    return plan


def _links(snapshot: Snapshot, found: store.Datastore, call: Call, plan: Plan) -> Links:
    """Resolves conditional creates, updates and deletes, and conditional references. Refused with 412 when one is ambiguous."""
    matches: dict[int, str] = {}
    mapping, selected = dict(plan.full_urls), dict[str, str]()
    for entry in plan.bundle.entries:
        if condition := _condition(entry):
            match = _only(snapshot, found, call, plan, entry.type, condition, entry.place)
            matches[entry.place] = match
            if match and entry.full_url:
                mapping[entry.full_url] = f"{entry.type}/{match}"
        for text in engine.conditional_references(entry.resource) if entry.resource and entry.action not in engine.PATCHES else ():
            if text not in selected:
                type, _, query = text.partition("?")
                match = _only(snapshot, found, call, plan, type, requests.query(query), entry.place)
                if not match:
                    raise _placed(refuse(412, "not-found", "A conditional reference selects no resource."), entry.place)
                selected[text] = f"{type}/{match}"
    return Links(matches, mapping | selected)


def _condition(entry: Entry) -> requests.Pairs:
    if entry.action in ("conditional-update", "conditional-patch", "conditional-delete"):
        return entry.criteria
    return requests.query(entry.if_none_exist) if entry.action == "create" and entry.if_none_exist else ()


def _only(
    snapshot: Snapshot, found: store.Datastore, call: Call, plan: Plan, type: str, pairs: requests.Pairs, place: int
) -> str:  # fmt: skip
    """The id of the one resource that a condition selects; empty for none."""
    interactions.allow_condition(call, type)
    try:
        if (type, pairs) not in plan.parsed:
            plan.parsed[type, pairs] = requests.criteria(type, pairs, plan.base, requests.milliseconds(call))
        ids = fhir_store.first_ids(snapshot, found.key, plan.parsed[type, pairs])
        if len(ids) > 1:
            raise refuse(412, "multiple-matches", "The condition selects more than one resource.")
    except FhirError as error:
        raise _placed(error, place) from error
    return ids[0] if ids else ""


def _placed(error: FhirError, place: int) -> FhirError:
    """The refusal with the entry in its locations."""
    return FhirError(error.status, *(replace(one, location=f"/Bundle/entry[{place}]{one.location}") for one in error.issues))


def _wants(call: Call, plan: Plan) -> list[Wanted]:
    """The want of each entry by place: None for reads; in a batch the refusal of one that cannot be."""
    found: list[Wanted] = []
    for entry in plan.bundle.entries:
        try:
            found.append(_want(call, plan, entry))
        except FhirError as error:
            if plan.bundle.type == "transaction":
                raise _placed(error, entry.place) from error
            found.append(error)
    return found


def _want(call: Call, plan: Plan, entry: Entry) -> Want | None:
    own = plan.bundle.type == "batch"
    condition = _condition(entry)
    selected = requests.criteria(entry.type, condition, plan.base, requests.milliseconds(call)) if own and condition else None
    if entry.action in ("delete", "conditional-delete"):
        return Want("delete", entry.type, entry.id, criteria=selected, if_match=entry.if_match)
    if entry.action in engine.PATCHES:
        patch = _patch(entry.resource or {}, plan)
        return Want("patch", entry.type, entry.id, patch=patch, criteria=selected, if_match=entry.if_match)
    if entry.action not in ("create", "update", "conditional-update"):
        return None
    before = entry.resource or {}
    resource = engine.rewritten(before, dict(plan.links.mapping)) if plan.links.mapping else before
    id = requests.check_id(str(resource["id"])) if entry.action != "create" and "id" in resource else ""
    made = draft(
        {key: value for key, value in resource.items() if key != "id"} if not id else resource, plan.level,
        unchanged(plan.raw[entry.place], before, resource), plan.profiles, own=store.own(plan.datastore),
    )  # fmt: skip
    action = "create" if entry.action == "create" else "update"
    fresh = plan.given.get(entry.place, "")
    return Want(action, entry.type, id, fresh, made, criteria=selected, if_match=entry.if_match, if_none_match=entry.if_none_match)  # type: ignore[arg-type]


def _patch(resource: Json, plan: Plan) -> Patch:
    """The patch in an entry: a Parameters resource, or a Binary that holds a JSON Patch."""
    if resource.get("resourceType") != "Binary":
        return Patch("application/fhir+json", resource, plan.level, plan.profiles)
    try:
        text = b64decode(resource.get("data", ""), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise refuse(400, "value", "The data of the Binary is not base64.") from None
    return Patch(str(resource.get("contentType", "")), requests.parse(b'{"patch":' + text + b"}")["patch"], plan.level, plan.profiles)


def process(tx: Tx, call: Call, plan: Plan) -> tuple[Output, list[Result]]:
    """ProcessBundle, second half: the answer, and what became of each entry.

    Conditions are judged again; resources are drafted again only where an answer changed.
    """
    found = requests.active(tx, call, plan.datastore)
    results: dict[int, Result] = {}
    if plan.bundle.type == "transaction":
        links = _links(tx, found, call, plan)
        if links != plan.links:
            plan = replace(plan, links=links)
            plan = replace(plan, wants=_wants(call, plan))
        for entry in engine.ordered(plan.bundle.entries):
            try:
                results[entry.place] = _one(tx, call, found, plan, entry)
            except FhirError as error:
                raise _placed(error, entry.place) from error
    else:
        for entry in plan.bundle.entries:
            try:
                results[entry.place] = _one(tx, call, found, plan, entry)
            except FhirError as error:
                results[entry.place] = bundle_entries.refused(entry, error)
    ordered = [results[entry.place] for entry in plan.bundle.entries]
    bundle_entries.tell(call, found, ordered)
    answer: Json = {"resourceType": "Bundle", "id": call.id, "type": f"{plan.bundle.type}-response"}
    if ordered:
        answer["entry"] = [one.entry for one in ordered]
    return {"status": 200, "body": msgspec.json.encode(answer)}, ordered


def _one(tx: Tx, call: Call, found: store.Datastore, plan: Plan, entry: Entry) -> Result:
    want = plan.wants[entry.place]
    if isinstance(want, FhirError):
        raise want
    if want is None:
        return bundle_entries.read(tx, call, found, entry, plan.base)
    if entry.place in plan.links.matches:
        after = settled(tx, call, found, want, plan.links.matches[entry.place])
        done = after if isinstance(after, Done) else carry_out(tx, call, found, after)
    else:
        done = carry_out(tx, call, found, want)
    return bundle_entries.changed(entry, done, plan.prefer)
