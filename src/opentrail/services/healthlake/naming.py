"""What the record of a FHIR call says about whose data it touched: who saw which patient is the auditor's question.

`resources` names the data store, the resource of a call by id, and the patients whose compartments hold what was returned or
changed, so that LookupEvents by resource name finds every such call. Searches, histories and bundles also list what they
returned in additionalEventData, as far as the record has room; beyond that a count and a SHA-256 of the full list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from opentrail.calls.call import Call
from opentrail.services.healthlake import datastores, store

RESOURCE = "AWS::HealthLake::FHIRResource"
MOST_NAMED = 600
"""Resources that a record names at most, so that it stays below CloudTrail's 256 KB; a page of a search rarely has a hundred."""
LIST_BYTES = 8 * 1024
"""Room of one list in additionalEventData, which may have 28 KB in all."""


def touch(call: Call, found: store.Datastore, type: str, id: str) -> None:
    """Names one resource."""
    call.touch(RESOURCE, f"{datastores.store_arn(found)}/{type}/{id}")


def touch_patients(call: Call, found: store.Datastore, patients: Iterable[str]) -> list[str]:
    """Names the patients, each once, as far as the record has room; returns all of them."""
    every = list(dict.fromkeys(patients))
    place, room = datastores.store_arn(found), max(0, MOST_NAMED - len(call.touched))
    call.touch(RESOURCE, *(f"{place}/Patient/{id}" for id in every[:room]))
    return every


def returned(call: Call, found: store.Datastore, resources: Iterable[str], patients: Iterable[str]) -> None:
    """Says which resources (`Type/id`) a page or bundle returned, and which patients they concern."""
    call.facts["returned"] = listed(resources)
    call.facts["patients"] = listed(touch_patients(call, found, patients))


def listed(items: Iterable[str]) -> dict[str, object]:
    """A list as the record has room for: its count, as many items as fit, and a SHA-256 of the whole when some do not.

    The hash is over all items in order, each followed by a line feed.
    """
    every = list(items)
    room, kept = LIST_BYTES, 0
    for item in every:
        room -= len(item) + 3
        if room < 0:
            break
        kept += 1
    facts: dict[str, object] = {"count": len(every), "items": every[:kept]}
    if kept < len(every):
        facts["sha256"] = hashlib.sha256("".join(item + "\n" for item in every).encode()).hexdigest()
    return facts
