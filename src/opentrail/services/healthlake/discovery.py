"""GetSmartConfiguration: what a SMART app asks first, without credentials. It says nothing but what the data store's owner put there."""

from __future__ import annotations

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.services.healthlake import datastores, providers, store
from opentrail.services.healthlake.engine.issues import refuse
from opentrail.store.sql import Snapshot


def smart_configuration(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetSmartConfiguration: the Metadata of the data store's identity provider. Refused with 404 where there is none."""
    found = store.datastore(snapshot, input.datastoreId)
    if found is None or providers.provider(found, call.tools.settings.token_issuers) is None:
        raise refuse(404, "not-found", "There is no SMART on FHIR data store here.")
    if call.authenticated and call.account == found.account:
        call.touch(datastores.TYPE, datastores.store_arn(found))
    kept = providers.configuration(found)
    assert kept is not None, "a provider has one"
    return {"status": 200, "body": msgspec.json.encode(kept["Metadata"]), "headers": {"cache-control": "no-cache"}}
