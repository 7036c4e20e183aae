"""ListPublicKeys."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.kernel.errors import ServiceError
from opentrail.services.cloudtrail import keys
from opentrail.store.sql import Snapshot


def list_public_keys(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """ListPublicKeys: the keys of this account and region that are valid at any moment of the range; without one, now.

    Most are in the main database; those that the digests' process had to make by itself are in its own.

    The token is reserved: AWS accepts and ignores any, and all keys are in the one page.
    """
    end = call.now if input.EndTime is None else input.EndTime
    start = min(call.now, end) if input.StartTime is None else input.StartTime
    if start > end:
        raise ServiceError("InvalidTimeRangeException", "StartTime must not be later than EndTime.")
    found = keys.keys_between(snapshot, call.account, call.region, start, end)
    with call.tools.delivery() as own:
        found += keys.keys_between(own, call.account, call.region, start, end)
    return {
        "PublicKeyList": [
            {
                "Value": key.public_der,
                "ValidityStartTime": key.valid_from,
                "ValidityEndTime": key.valid_to,
                "Fingerprint": key.fingerprint,
            }
            for key in found
        ]
    }
