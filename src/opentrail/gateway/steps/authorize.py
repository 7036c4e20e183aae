"""Step 4, authorize: every right that the call needs is granted by policy, or the call ends here."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.gateway.body import Source
from opentrail.gateway.recording import Outcome
from opentrail.gateway.rights import authorize_call
from opentrail.gateway.state import Gateway


async def authorize(gateway: Gateway, call: Call, source: Source | None, outcome: Outcome) -> None:
    """Raises ServiceError (AccessDenied) unless the call is allowed."""
    await authorize_call(gateway, call)
