"""GetCallerIdentity: open to everyone whose signature holds."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output
from opentrail.store.sql import Snapshot


def get_caller_identity(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Says who calls."""
    caller = call.caller
    return {"UserId": caller.principal_id, "Account": caller.account, "Arn": caller.arn}


OPERATIONS = (Operation("GetCallerIdentity", lambda call, input: (), read=get_caller_identity, point=True),)
