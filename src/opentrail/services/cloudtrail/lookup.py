"""LookupEvents: Event history, strictly consistent with every call already answered.

The index answers up to its position, the journal's newest records are read after it up to the head seen first; both are
merged, newest first. A page is complete or refused: while the index is far behind, the call answers ThrottlingException at
once, so that the wait is the client's (whose SDK repeats the call) and no thread's. The page token holds the head of the
first page and the last record given, so that paging neither skips nor repeats while records arrive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby, islice, product
from typing import Any, NamedTuple

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.journal import disclosures
from opentrail.journal import read as journal
from opentrail.journal.read import MANAGEMENT, Entry
from opentrail.kernel import paging
from opentrail.kernel.errors import ServiceError
from opentrail.services.cloudtrail.history import search, store
from opentrail.services.cloudtrail.history.facts import Facts, facts
from opentrail.services.cloudtrail.history.search import Hit
from opentrail.services.cloudtrail.history.terms import ATTRIBUTES, Pairs, matches, term
from opentrail.store.sql import Snapshot

PAGE = 50
"""Records of one page at most, and unless asked for fewer."""

TAIL = 20_000
"""Records after the index's position that one call reads at most."""

MOST_HASHED = 3
"""Names of resources that one call combines at most where ids are hashed."""

_DAY = 86400


class Place(NamedTuple):
    """Where a page begins: the journal's head when the first page was asked for, and the last record given."""

    head: int
    time: int
    position: int


class Query(NamedTuple):
    """What is asked for: a record is found by any of the alternatives. Times are inclusive whole seconds."""

    alternatives: Sequence[Pairs]
    low: int
    high: int
    limit: int
    place: Place | None


def lookup_events(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """LookupEvents: management events of the caller's account in the called region, newest first, up to 50 a page.

    Several attributes mean that all of them must match (AWS takes one).
    """
    query = checked(call, input)
    head = journal.head(snapshot).position if query.place is None else query.place.head
    with call.tools.history() as index:
        page = list(islice(_found(snapshot, index, call, query, head), query.limit + 1))
    output: dict[str, Any] = {"Events": [shown(entry, record) for entry, record in page[: query.limit]]}
    if len(page) > query.limit:
        last = page[query.limit - 1][0]
        place = Place(head, last.time, last.position)
        output["NextToken"] = paging.issue(call.tools.sealer, "LookupEvents", _bound(call, input), place)
    return output


def checked(call: Call, input: Any) -> Query:
    """The query in an input. Raises the errors of LookupEvents' model."""
    if input.EventCategory is not None:
        if input.EventCategory != "insight":
            raise ServiceError("InvalidEventCategoryException", "EventCategory must be insight, or absent for management events.")
        raise ServiceError("UnsupportedOperationException", "EventCategory insight is not offered by this server.")
    limit = PAGE if input.MaxResults is None else input.MaxResults
    if not 1 <= limit <= PAGE:
        raise ServiceError("InvalidMaxResultsException", "MaxResults must be from 1 to {most}.", most=PAGE)
    low, high = _range(call, input)
    return Query(_alternatives(call, _pairs(input)), low, high, limit, _place(call, input))


def _alternatives(call: Call, pairs: Pairs) -> Sequence[Pairs]:
    """The pairs as they are, and with hashed ids in the names of resources where records have these in their place."""
    if not call.tools.settings.hash_resource_ids:
        return (pairs,)
    names = [(key, value) for key, value in pairs if key == "ResourceName"]
    if len(names) > MOST_HASHED:
        raise ServiceError("InvalidLookupAttributesException", "At most {most} resource names are allowed.", most=MOST_HASHED)
    others = tuple(pair for pair in pairs if pair not in names)
    either = product(*(((key, value), (key, call.tools.sealer.pseudonym_in(value))) for key, value in names))
    return [(*others, *chosen) for chosen in either]


def _range(call: Call, input: Any) -> tuple[int, int]:
    start, end = input.StartTime, input.EndTime
    if start is not None and start > call.now:
        raise ServiceError("InvalidTimeRangeException", "StartTime must not lie in the future.")
    if start is not None and end is not None and start > end:
        raise ServiceError("InvalidTimeRangeException", "StartTime must not be later than EndTime.")
    kept = math.ceil(call.now) - call.tools.settings.journal_days * _DAY
    return max(kept, 0 if start is None else math.ceil(start)), 2**40 if end is None else min(2**40, math.floor(end))


def _pairs(input: Any) -> Pairs:
    found = []
    for attribute in input.LookupAttributes or ():
        key, value = attribute.AttributeKey, attribute.AttributeValue
        if key not in ATTRIBUTES:
            raise ServiceError("InvalidLookupAttributesException", "AttributeKey must be one of {keys}.", keys=", ".join(ATTRIBUTES))
        if value is None or not 1 <= len(value) <= 2000:
            raise ServiceError("InvalidLookupAttributesException", "AttributeValue of {key} must have 1 to 2000 characters.", key=key)
        if key == "ReadOnly" and value not in ("true", "false"):
            raise ServiceError("InvalidLookupAttributesException", "AttributeValue of ReadOnly must be true or false.")
        found.append((key, value))
    pairs = tuple(sorted(set(found)))
    if len(pairs) > store.MOST_TERMS:
        raise ServiceError("InvalidLookupAttributesException", "At most {most} LookupAttributes are allowed.", most=store.MOST_TERMS)
    return pairs


def _bound(call: Call, input: Any) -> object:
    """What a page token holds for: the same question in the same account and region."""
    return [call.account, call.region, _pairs(input), input.StartTime, input.EndTime]


def _place(call: Call, input: Any) -> Place | None:
    if input.NextToken is None:
        return None
    try:
        return paging.redeem(call.tools.sealer, "LookupEvents", _bound(call, input), input.NextToken, Place)
    except paging.BadToken:
        raise ServiceError("InvalidNextTokenException", "The token is not valid, or the other parameters have changed.") from None


def _found(snapshot: Snapshot, index: Snapshot, call: Call, query: Query, head: int) -> Iterator[tuple[Entry, Facts]]:
    """The records asked for, newest first. The index's hits are read in batches of a page, and only if they are reached.

    Raises ThrottlingException when the index is more than TAIL behind the head.
    """
    done = store.indexed_to(index)
    if head - done > TAIL:
        raise ServiceError("ThrottlingException", "Event history is being indexed and not complete at present; try again later.")
    before = None if query.place is None else Hit(query.place.time, query.place.position)
    waiting = journal.after(snapshot, done, TAIL, head) if done < head else ()
    tail = {Hit(entry.time, entry.position): found for entry in waiting for found in _wanted(snapshot, entry, call, query, before)}
    indexed = (hit for hit in _indexed(index, call, query, before) if hit.position <= head)
    for batch in _batches(merge(sorted(tail, reverse=True), indexed, reverse=True), query.limit + 1):
        entries = journal.at(snapshot, [hit.position for hit in batch if hit not in tail])
        for hit in batch:
            if hit in tail:
                yield tail[hit]
            elif hit.position in entries:
                yield from _wanted(snapshot, entries[hit.position], call, query, before)


def _indexed(index: Snapshot, call: Call, query: Query, before: Hit | None) -> Iterator[Hit]:
    """What the index has of any alternative, newest first, each once."""
    found = []
    for pairs in query.alternatives:
        terms = [term(call.account, call.region, key, value) for key, value in pairs] or [term(call.account, call.region)]
        found.append(search.newest_first(index, terms, query.low, query.high, before))
    return found[0] if len(found) == 1 else (hit for hit, _ in groupby(merge(*found, reverse=True)))


def _wanted(
    snapshot: Snapshot, entry: Entry, call: Call, query: Query, before: Hit | None
) -> Iterator[tuple[Entry, Facts]]:  # fmt: skip
    """The entry, if it is asked for."""
    if entry.category != MANAGEMENT or entry.account != call.account or entry.region != call.region:
        return
    if query.low <= entry.time <= query.high and (before is None or (entry.time, entry.position) < before):
        record = facts(entry.record)

        def names(value: str) -> bool:
            return disclosures.names(snapshot, entry.position, entry.record, value)

        if any(matches(record, pairs, names) for pairs in query.alternatives):
            yield entry, record


def _batches(hits: Iterable[Hit], count: int) -> Iterator[list[Hit]]:
    rest = iter(hits)
    while batch := list(islice(rest, count)):
        yield batch


def shown(entry: Entry, record: Facts) -> dict[str, Any]:
    """A record as LookupEvents answers it. Resources are named by their ARN."""
    output: dict[str, Any] = {
        "EventId": record.eventID,
        "EventName": record.eventName,
        "ReadOnly": "true" if record.readOnly else "false",
        "EventTime": entry.time,
        "EventSource": record.eventSource,
        "Resources": [_resource(resource.type, resource.ARN) for resource in record.resources],
        "CloudTrailEvent": entry.record.decode(),
    }
    if record.userIdentity.accessKeyId:
        output["AccessKeyId"] = record.userIdentity.accessKeyId
    if record.user_name:
        output["Username"] = record.user_name
    return output


def _resource(type: str, arn: str) -> dict[str, str]:
    return {"ResourceType": type, "ResourceName": arn} if type else {"ResourceName": arn}
