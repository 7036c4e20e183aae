"""GetCapabilities: the CapabilityStatement, true to what is offered."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Output
from opentrail.kernel.ambient import stamp
from opentrail.services.healthlake import providers, requests
from opentrail.services.healthlake.engine.capability import SIGNED, capability_statement, smart_security
from opentrail.store.sql import Snapshot


@lru_cache(maxsize=16)
def _statement(url: str, date: str, authorize: str, token: str) -> bytes:
    security = smart_security(authorize, token) if token else SIGNED
    return msgspec.json.encode(capability_statement(url, "", date, security=security))


def capabilities(snapshot: Snapshot, call: Call, input: FhirInput) -> Output:
    """GetCapabilities, dated at the data store's creation."""
    found = requests.active(snapshot, call, input.datastoreId)
    taken = providers.provider(found, call.tools.settings.token_issuers)
    named = (providers.configuration(found) or {}).get("Metadata", {}) if taken is not None else {}
    body = _statement(input.base, stamp(found.created), named.get("authorization_endpoint", ""), named.get("token_endpoint", ""))
    return {"status": 200, "body": body}
