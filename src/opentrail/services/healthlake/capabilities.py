"""GetCapabilities: the CapabilityStatement, true to what is offered."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.kernel.ambient import stamp
from opentrail.services.healthlake import requests
from opentrail.services.healthlake.engine.capability import capability_statement
from opentrail.store.sql import Snapshot


@lru_cache(maxsize=16)
def _statement(url: str, date: str) -> bytes:
    return msgspec.json.encode(capability_statement(url, "", date))


def capabilities(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetCapabilities, dated at the data store's creation."""
    found = requests.active(snapshot, call, input.datastoreId)
    return {"status": 200, "body": _statement(input.base, stamp(found.created))}
