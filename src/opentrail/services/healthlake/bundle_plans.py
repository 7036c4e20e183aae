"""The first half of ProcessBundle: a bundle taken apart, and its resources drafted against what is there."""

from __future__ import annotations

import binascii
import math
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.services.healthlake import bundle_links, interactions, requests, store
from opentrail.services.healthlake.bundle_entries import taken_apart
from opentrail.services.healthlake.bundle_links import Conditions, Links, condition, placed
from opentrail.services.healthlake.drafts import bounded, draft
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.engine import exact
from opentrail.services.healthlake.engine.bundle import Entry
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse
from opentrail.services.healthlake.engine.validation import Level, Profiles
from opentrail.services.healthlake.writing import Patch, Want

MOST_CONDITIONAL = 1_000
"""Conditional references of a transaction that differ: each is a search."""

Wanted = Want | FhirError | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle taken apart. By place: `raw` the undecoded members of what entries write, `given` the ids that new resources get,
    `patches` those of a transaction, `wants` what each entry wants (None for reads; in a batch the refusal of one that cannot be).
    `mentions` what each entry of a transaction points to. `full_urls`: which resource each fullUrl is, if no condition selects another.
    `until`: when, by the monotonic clock, its entries should have acted."""

    datastore: str
    bundle: engine.Bundle
    raw: Mapping[int, Mapping[str, Any]]
    given: Mapping[int, str]
    full_urls: Mapping[str, str]
    conditions: Conditions
    level: Level
    profiles: Profiles
    prefer: str
    links: Links = field(default_factory=Links)
    patches: Mapping[int, Patch] = field(default_factory=dict)
    mentions: Mapping[int, Sequence[str]] = field(default_factory=dict)
    wants: Mapping[int, Wanted] = field(default_factory=dict)
    until: float = math.inf

    @property
    def whole(self) -> bool:
        """Whether it is a transaction, which happens as a whole."""
        return self.bundle.type == "transaction"


class _RawEntry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"{}")


class _RawBundle(msgspec.Struct):
    entry: msgspec.Raw = msgspec.Raw(b"[]")


def prepare(call: Call, input: FhirInput) -> Plan:
    """Takes the bundle apart and drafts its resources against what is there now."""
    bundle = taken_apart(input)
    interactions.allow_entries(call, bundle.entries)
    given, full_urls = engine.identities(bundle.entries, iter(call.tools.ids.uuid, ""))
    plan = Plan(
        input.datastoreId, bundle, raw_of(input.body, bundle), given, full_urls, Conditions(input.base, requests.milliseconds(call)),
        requests.level(input.validation_level), requests.profiles(call), input.prefer,
    )  # fmt: skip
    if plan.whole:
        plan = replace(plan, links=Links(identities=full_urls), patches=_patches(plan))
        plan = replace(plan, mentions={entry.place: _mentioned(plan, entry) for entry in bundle.entries})
        texts = conditional_references(plan, bundle.entries)
        if len(texts) > MOST_CONDITIONAL:
            text = "There are {} different conditional references; the limit is {}."
            raise refuse(422, "too-costly", text, name(len(texts)), name(MOST_CONDITIONAL))
        with call.tools.read() as snapshot:
            found = store.datastore(snapshot, input.datastoreId)
            if found is not None and (found.account, found.region) == (call.account, call.region):
                links = bundle_links.expected(snapshot, found, call, plan.conditions, bundle.entries, plan.links, texts)
                plan = replace(plan, links=links)
    plan = replace(plan, wants={entry.place: _wanted(plan, entry) for entry in bundle.entries})
    bounded(want.made for want in plan.wants.values() if isinstance(want, Want) and want.made)
    return plan


def raw_of(body: bytes, bundle: engine.Bundle) -> dict[int, Mapping[str, Any]]:
    """The members of what entries write, undecoded. The body was read before: this reads the same values, whatever their types."""
    rows = msgspec.json.decode(msgspec.json.decode(body, type=_RawBundle).entry, type=list[msgspec.Raw])
    writes = (entry.place for entry in bundle.entries if entry.action in (*engine.WRITES, *engine.PATCHES))
    return {place: requests.raw_members(bytes(msgspec.json.decode(rows[place], type=_RawEntry).resource)) for place in writes}


def _patches(plan: Plan) -> dict[int, Patch]:
    found: dict[int, Patch] = {}
    for entry in plan.bundle.entries:
        if entry.action in engine.PATCHES:
            try:
                found[entry.place] = _patch(plan, entry)
            except FhirError as error:
                raise placed(error, entry.place) from error
    return found


def _mentioned(plan: Plan, entry: Entry) -> Sequence[str]:
    if (patch := plan.patches.get(entry.place)) is not None:
        return engine.mentioned(patch.document, entry.full_url, patch=True)
    return engine.mentioned(entry.resource, entry.full_url) if entry.action in engine.WRITES else ()


def conditional_references(plan: Plan, entries: Iterable[Entry]) -> dict[str, int]:
    """The conditional references of what entries write and of patches, by text, with the place of the first that has it."""
    found: dict[str, int] = {}
    for entry in entries:
        for text in engine.conditional_references(plan.mentions[entry.place]):
            found.setdefault(text, entry.place)
    return found


def relinked(plan: Plan, links: Links) -> Plan:
    """The plan with other links: what they change in an entry is drafted again."""
    fresh, old, new = replace(plan, links=links), plan.links.mapping, links.mapping
    moved = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    if not moved:
        return fresh
    wants = {entry.place: _wanted(fresh, entry) for entry in plan.bundle.entries if not moved.isdisjoint(plan.mentions[entry.place])}
    return replace(fresh, wants={**plan.wants, **wants})


def linked(
    before: requests.Json, raw: Mapping[str, Any], mapping: Mapping[str, str], full_url: str = ""
) -> tuple[requests.Json, Mapping[str, Any]]:
    """A resource and its undecoded members with references rewritten; members in which there are none stay undecoded."""
    if not mapping:
        return before, raw
    found = engine.rewritten(before, mapping, full_url)
    touched = {key: exact.decode(text) for key, text in raw.items() if found[key] != before[key]}
    return found, {**raw, **engine.rewritten(touched, mapping, full_url)}


def _linked_patch(plan: Plan, entry: Entry) -> Patch:
    patch, mapping = plan.patches[entry.place], plan.links.mapping
    return replace(patch, document=engine.rewritten(patch.document, mapping, entry.full_url, patch=True)) if mapping else patch


def _wanted(plan: Plan, entry: Entry) -> Wanted:
    try:
        return _want(plan, entry)
    except FhirError as error:
        if plan.whole:
            raise placed(error, entry.place) from error
        return error


def _want(plan: Plan, entry: Entry) -> Want | None:
    pairs = () if plan.whole else condition(entry)
    criteria = requests.criteria(entry.type, pairs, plan.conditions.base, plan.conditions.now) if pairs else None
    if entry.action in ("delete", "conditional-delete"):
        return Want("delete", entry.type, entry.id, criteria=criteria, if_match=entry.if_match)
    if entry.action in engine.PATCHES:
        patch = _linked_patch(plan, entry) if plan.whole else _patch(plan, entry)
        return Want("patch", entry.type, entry.id, patch=patch, criteria=criteria, if_match=entry.if_match)
    if entry.action not in engine.WRITES:
        return None
    resource, raw = linked(entry.resource or {}, plan.raw[entry.place], plan.links.mapping, entry.full_url)
    id = requests.check_id(str(resource["id"])) if entry.action != "create" and "id" in resource else ""
    made = draft(
        {key: value for key, value in resource.items() if key != "id"} if not id else resource, plan.level,
        raw, plan.profiles, own=store.own(plan.datastore),
    )  # fmt: skip
    return Want(
        "create" if entry.action == "create" else "update", entry.type, id, plan.given.get(entry.place, ""), made, criteria=criteria,
        if_match=entry.if_match, if_none_match=entry.if_none_match, unsettled=plan.whole and bool(conditional_references(plan, [entry])),
    )  # fmt: skip


def _patch(plan: Plan, entry: Entry) -> Patch:
    """The patch in an entry: a Parameters resource, or a Binary that holds a JSON Patch."""
    resource = {key: exact.decode(text) for key, text in plan.raw[entry.place].items()}
    if resource.get("resourceType") != "Binary":
        return Patch("application/fhir+json", resource, plan.level, plan.profiles)
    try:
        text = b64decode(resource.get("data", ""), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise refuse(400, "value", "The data of the Binary is not base64.") from None
    return Patch(str(resource.get("contentType", "")), requests.patch_document(text), plan.level, plan.profiles)
