"""Step 6, perform: a read-only operation reads a snapshot; one that changes state prepares, and leaves its rest to the lane."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Long, Read
from opentrail.gateway.body import Source
from opentrail.gateway.recording import Outcome
from opentrail.gateway.rights import authorize_again
from opentrail.gateway.state import Gateway
from opentrail.kernel.errors import Unavailable
from opentrail.store.database import LaneTx
from opentrail.store.sql import Snapshot


async def perform(gateway: Gateway, call: Call, source: Source | None, outcome: Outcome) -> None:
    """Fills `outcome.output`, or `outcome.perform` with what the lane is to run."""
    operation = call.target.operation
    assert operation is not None, "resolve refuses what is not offered"
    inner = source is None
    if operation.read is not None:
        glances = gateway.database.dialect == "sqlite" and not inner
        if operation.point and glances:
            outcome.output = gateway.glance(partial(_read, call, operation.read))
            return
        if operation.brief is not None and glances:
            try:
                outcome.output = gateway.glance(partial(_read, call, operation.brief))
                return
            except Long:
                pass
        outcome.output = await gateway.read(partial(_read, call, operation.read), inner)
        return
    if operation.compute is not None:
        outcome.output = await gateway.compute(partial(operation.compute, call, call.input))
        return
    reason = gateway.admits(True)
    if reason:
        raise Unavailable("No call that changes state is served: {reason}", reason=reason)
    plan = await gateway.run(lambda: operation.prepare(call, call.input), inner) if operation.prepares else call.input
    outcome.perform = partial(_apply, gateway, call, plan)


def _read(call: Call, read: Read, view: Snapshot) -> Mapping[str, Any]:
    return read(view, call, call.input)


def _apply(gateway: Gateway, call: Call, plan: Any, tx: LaneTx) -> Mapping[str, Any]:
    """The second half, in the lane: judges the rights again when they moved since, then applies the plan."""
    operation = call.target.operation
    assert operation is not None
    assert operation.apply is not None
    authorize_again(gateway, call, tx)
    return operation.apply(tx, call, plan)
