"""What the record of a FHIR call says about whose data it touched: who saw which patient is the auditor's question.

`resources` names the data store, the resource of a call by id, and the patients whose compartments hold what was returned or
changed, so that LookupEvents by resource name finds every such call. Searches, histories and bundles also list what they
returned in additionalEventData, as far as the record has room; beyond that a count, a SHA-256 and the full list beside it.
Ids stand in records as they are, or as keyed hashes with the setting `hash_resource_ids`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.services.healthlake import datastores, store
from opentrail.services.healthlake.engine import definitions, values

RESOURCE = "AWS::HealthLake::FHIRResource"
_STORE = re.compile(r"[0-9a-f]{32}")
MOST_NAMED = 600
"""Resources that a record names at most, so that it stays below CloudTrail's 256 KB; a page of a search rarely has a hundred."""


def recorded(call: Call, ids: Iterable[str]) -> Iterable[str]:
    """Resources' ids as records show them."""
    return map(call.tools.sealer.pseudonym, ids) if call.tools.settings.hash_resource_ids else ids


def recorded_names(call: Call, names: Iterable[str]) -> Iterable[str]:
    """`Type/id`, with whatever follows behind another slash, as records show them."""
    if not call.tools.settings.hash_resource_ids:
        return names
    parts = ((*name.split("/", 2), "")[:3] for name in names)
    return (f"{type}/{call.tools.sealer.pseudonym(id)}{more and '/'}{more}" for type, id, more in parts)


def shown(call: Call, name: str) -> str:
    """One `Type/id`, or a bare type, as records show it."""
    return "".join(recorded_names(call, [name])) if "/" in name else name


def touch(call: Call, found: store.Datastore, type: str, id: str) -> None:
    """Names one resource."""
    place = datastores.store_arn(found)
    call.touch(RESOURCE, *(f"{place}/{name}" for name in recorded_names(call, [f"{type}/{id}"])))


def aim(call: Call, input: object) -> None:
    """Names the data store and the resource in the path of a FHIR call that was refused, whether or not they are there."""
    if not isinstance(input, FhirInput) or not _STORE.fullmatch(input.datastoreId):
        return
    place, type, id = datastores.arn_of_id(call, input.datastoreId), input.resourceType or "", input.resourceId or ""
    call.touch(datastores.TYPE, place)
    if definitions.is_resource_type(type) and values.is_id(id):
        call.touch(RESOURCE, *(f"{place}/{name}" for name in recorded_names(call, [f"{type}/{id}"])))


def touch_patients(call: Call, found: store.Datastore, patients: Iterable[str]) -> list[str]:
    """Names the patients, each once, as far as the record has room; returns all of them."""
    every = list(dict.fromkeys(patients))
    place, room = datastores.store_arn(found), max(0, MOST_NAMED - len(call.touched))
    call.touch(RESOURCE, *(f"{place}/Patient/{id}" for id in recorded(call, every[:room])))
    return every


def tell_patients(call: Call, found: store.Datastore, patients: Iterable[str]) -> None:
    """Names the patients of a call that concerns one resource; lists them when the record has no room to name all."""
    every = touch_patients(call, found, patients)
    if len(call.touched) >= MOST_NAMED:
        _list_patients(call, found, every)


def returned(call: Call, found: store.Datastore, resources: Iterable[str], patients: Iterable[str]) -> None:
    """Says which resources (`Type/id`, perhaps with a version) a page or bundle returned, and which patients they concern."""
    call.disclose("returned", recorded_names(call, resources))
    _list_patients(call, found, touch_patients(call, found, patients))


def _list_patients(call: Call, found: store.Datastore, every: list[str]) -> None:
    """The list beside the record is what finds patients whom `resources` has no room for."""
    under, unnamed = f"{datastores.store_arn(found)}/Patient", len(call.touched) >= MOST_NAMED
    call.disclose("patients", recorded(call, every), under, beside=unnamed)
