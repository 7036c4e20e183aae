"""What the record of a FHIR call says about whose data it touched: who saw which patient is the auditor's question.

`resources` names the data store, the resource of a call by id, and the patients whose compartments hold what was returned or
changed, so that LookupEvents by resource name finds every such call. Searches, histories and bundles also list what they
returned in additionalEventData, as far as the record has room; beyond that a count, a SHA-256 and the full list beside it.
Ids stand in records as they are, or as keyed hashes with the setting `hash_resource_ids`.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentrail.calls.call import Call
from opentrail.services.healthlake import datastores, store

RESOURCE = "AWS::HealthLake::FHIRResource"
MOST_NAMED = 600
"""Resources that a record names at most, so that it stays below CloudTrail's 256 KB; a page of a search rarely has a hundred."""


def recorded(call: Call, id: str) -> str:
    """A resource's id as records show it."""
    return call.tools.sealer.pseudonym(id) if call.tools.settings.hash_resource_ids else id


def recorded_name(call: Call, name: str) -> str:
    """`Type/id`, with whatever follows behind another slash, as records show it."""
    type, _, rest = name.partition("/")
    id, slash, more = rest.partition("/")
    return f"{type}/{recorded(call, id)}{slash}{more}"


def touch(call: Call, found: store.Datastore, type: str, id: str) -> None:
    """Names one resource."""
    call.touch(RESOURCE, f"{datastores.store_arn(found)}/{type}/{recorded(call, id)}")


def touch_patients(call: Call, found: store.Datastore, patients: Iterable[str]) -> list[str]:
    """Names the patients, each once, as far as the record has room; returns all of them."""
    every = list(dict.fromkeys(patients))
    place, room = datastores.store_arn(found), max(0, MOST_NAMED - len(call.touched))
    call.touch(RESOURCE, *(f"{place}/Patient/{recorded(call, id)}" for id in every[:room]))
    return every


def tell_patients(call: Call, found: store.Datastore, patients: Iterable[str]) -> None:
    """Names the patients of a call that concerns one resource; lists them when the record has no room to name all."""
    every = touch_patients(call, found, patients)
    if len(call.touched) >= MOST_NAMED:
        _list_patients(call, found, every)


def returned(call: Call, found: store.Datastore, resources: Iterable[str], patients: Iterable[str]) -> None:
    """Says which resources (`Type/id`, perhaps with a version) a page or bundle returned, and which patients they concern."""
    call.disclose("returned", (recorded_name(call, one) for one in resources))
    _list_patients(call, found, touch_patients(call, found, patients))


def _list_patients(call: Call, found: store.Datastore, every: list[str]) -> None:
    """The list beside the record is what finds patients whom `resources` has no room for."""
    under, unnamed = f"{datastores.store_arn(found)}/Patient", len(call.touched) >= MOST_NAMED
    call.disclose("patients", (recorded(call, id) for id in every), under, beside=unnamed)
