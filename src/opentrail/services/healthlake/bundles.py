"""ProcessBundle: batches, whose entries stand alone, and transactions, which happen as a whole or not at all.

Either is one call: applied in one transaction, with one record that has a line per entry. Source: R4 http, 3.1.0.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.services.healthlake import bundle_entries, bundle_links, requests, store
from opentrail.services.healthlake.bundle_entries import Result
from opentrail.services.healthlake.bundle_links import Identities, Links, condition, placed
from opentrail.services.healthlake.bundle_plans import Plan, conditional_references, relinked
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.engine.bundle import Entry
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse
from opentrail.services.healthlake.writing import Done, Want, carry_out, settle, settled
from opentrail.store.sql import Tx

MOST_SECONDS = 5.0
"""What the entries of one bundle may take: all other changes wait for them."""


def process(tx: Tx, call: Call, plan: Plan) -> tuple[Output, list[Result]]:
    """ProcessBundle, second half: the answer, and what became of each entry.

    Conditions are judged again; resources are drafted again only where an answer changed.
    """
    found = requests.active(tx, call, plan.datastore)
    plan = replace(plan, until=call.tools.clock.monotonic() + MOST_SECONDS)
    results = _transaction(tx, call, found, plan) if plan.whole else _batch(tx, call, found, plan)
    ordered = [results[place] for place in sorted(results)]
    bundle_entries.tell(call, found, ordered)
    answer: requests.Json = {"resourceType": "Bundle", "id": call.id, "type": f"{plan.bundle.type}-response"}
    if ordered:
        answer["entry"] = [one.entry for one in ordered]
    return {"status": 200, "body": msgspec.json.encode(answer)}, ordered


def _batch(tx: Tx, call: Call, found: store.Datastore, plan: Plan) -> dict[int, Result]:
    results = {one.place: bundle_entries.unread(one) for one in plan.bundle.unread}
    for entry in plan.bundle.entries:
        want = plan.wants[entry.place]
        try:
            if isinstance(want, FhirError):
                raise want
            _in_time(call, plan)
            if want is None:
                results[entry.place] = bundle_entries.read(tx, call, found, entry, plan.conditions.base)
            else:
                results[entry.place] = bundle_entries.changed(entry, carry_out(tx, call, found, want), plan.prefer)
        except FhirError as error:
            results[entry.place] = bundle_entries.refused(entry, error)
    return results


def _in_time(call: Call, plan: Plan) -> None:
    """Refused with 422 once the bundle has had its time."""
    if call.tools.clock.monotonic() > plan.until:
        raise refuse(422, "too-costly", "The entries before took {} seconds, which is all that a bundle may take.", name(MOST_SECONDS))


def _transaction(tx: Tx, call: Call, found: store.Datastore, plan: Plan) -> dict[int, Result]:
    """R4's order: deletions, creates, updates and patches, conditional references, reads. A condition is judged after the deletions and
    before the rest; what a later entry makes must not be what it selects, or two entries would have changed one resource."""
    steps, claimed, done = engine.steps(plan.bundle.entries), Identities(), dict[int, Done]()
    later = [*steps.creates, *steps.updates, *steps.patches]
    for step in (steps.deletes, later):
        matches = {entry.place: bundle_links.match(tx, found, call, plan.conditions, entry) for entry in step if condition(entry)}
        plan = _matched(plan, {**plan.links.matches, **matches})
        for entry in step:
            _claim(claimed, plan, entry)
        if step is steps.deletes:
            done |= _acted(tx, call, found, plan, steps.deletes)
    done |= _acted(tx, call, found, plan, steps.creates)
    _undisturbed(tx, call, found, plan, later, claimed)
    done |= _acted(tx, call, found, plan, steps.updates)
    if texts := conditional_references(plan, steps.patches):
        references = bundle_links.referred(tx, found, call, plan.conditions, texts)
        plan = relinked(plan, replace(plan.links, references={**plan.links.references, **references}))
    done |= _acted(tx, call, found, plan, steps.patches)
    after = _settled(tx, call, found, plan, later, done)
    _undisturbed(tx, call, found, plan, later if after else [*steps.updates, *steps.patches], claimed)
    done |= after
    results = {
        entry.place: bundle_entries.changed(entry, done[entry.place], plan.prefer) for entry in plan.bundle.entries if entry.place in done
    }
    for entry in plan.bundle.entries:
        if entry.place not in done:
            try:
                results[entry.place] = bundle_entries.read(tx, call, found, entry, plan.conditions.base)
            except FhirError as error:
                raise placed(error, entry.place) from error
    return results


def _matched(plan: Plan, matches: dict[int, str]) -> Plan:
    """The plan with what its conditions select in truth."""
    identities = bundle_links.identified(plan.full_urls, plan.bundle.entries, matches)
    return relinked(plan, Links(matches, identities, plan.links.references))


def _claim(claimed: Identities, plan: Plan, entry: Entry) -> None:
    """A create that found its resource, and a condition that selects nothing to delete or patch, change nothing."""
    match = plan.links.matches.get(entry.place, "")
    if entry.action == "create" and match:
        return
    if id := entry.id or match or plan.given.get(entry.place, ""):
        claimed.claim(entry, id)


def _undisturbed(tx: Tx, call: Call, found: store.Datastore, plan: Plan, entries: Iterable[Entry], claimed: Identities) -> None:
    """Refused with 400 when the condition of an entry now selects what another entry made or changed."""
    for entry in entries:
        if entry.place not in claimed.own or not (pairs := condition(entry)):
            continue
        ids = bundle_links.selected(tx, found, call, plan.conditions, entry.type, pairs, entry.place)
        if any(id != claimed.own[entry.place] for id in ids):
            raise engine.overlapping(entry.place)


def _acted(tx: Tx, call: Call, found: store.Datastore, plan: Plan, entries: Iterable[Entry]) -> dict[int, Done]:
    done: dict[int, Done] = {}
    for entry in entries:
        try:
            _in_time(call, plan)
            if (want := plan.wants[entry.place]) is not None:
                assert isinstance(want, Want), "a transaction with a refused entry is refused"
                done[entry.place] = _carried_out(tx, call, found, want, plan.links.matches.get(entry.place))
        except FhirError as error:
            raise placed(error, entry.place) from error
    return done


def _carried_out(tx: Tx, call: Call, found: store.Datastore, want: Want, match: str | None) -> Done:
    """`match`: what its condition selects; None when it has none."""
    after = want if match is None else settled(tx, call, found, want, match)
    return after if isinstance(after, Done) else carry_out(tx, call, found, after)


def _settled(tx: Tx, call: Call, found: store.Datastore, plan: Plan, entries: list[Entry], done: dict[int, Done]) -> dict[int, Done]:
    """What becomes of the entries with conditional references, which are resolved now that all others have acted."""
    written = [entry for entry in entries if not (entry.action == "create" and done[entry.place].status == 200)]
    texts = conditional_references(plan, written)
    if not texts:
        return {}
    references = bundle_links.referred(tx, found, call, plan.conditions, texts)
    for text, place in conditional_references(plan, [entry for entry in written if entry.action in engine.PATCHES]).items():
        if references[text] != plan.links.references[text]:
            raise placed(refuse(412, "conflict", "A conditional reference in a patch selects what a patch changes."), place)
    final = relinked(plan, replace(plan.links, references={**plan.links.references, **references}))
    after: dict[int, Done] = {}
    for entry in written:
        was, now = plan.wants[entry.place], final.wants[entry.place]
        assert isinstance(was, Want), "it was carried out"
        assert isinstance(now, Want), "the same entry"
        if now.unsettled:
            try:
                after[entry.place] = settle(tx, call, found, was, now, done[entry.place])
            except FhirError as error:
                raise placed(error, entry.place) from error
    return after
