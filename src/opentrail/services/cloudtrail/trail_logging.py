"""StartLogging and StopLogging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.services.cloudtrail import keys, names, store, trails
from opentrail.store.sql import Tx


@dataclass(frozen=True, slots=True)
class Switch:
    """The trail as the caller named it, and the signing key that must exist from now on, if it has to be made."""

    given: str
    key: keys.SigningKey | None = None


def prepare_start(call: Call, input: Any) -> Switch:
    """StartLogging: records from this call's own on are delivered."""
    with call.tools.read() as snapshot:
        call.touch(names.TYPE, trails.at_home(snapshot, call, input.Name).arn)
    return Switch(input.Name, keys.prepare(call, call.region))


def apply_start(tx: Tx, call: Call, plan: Switch) -> Output:
    """StartLogging. A trail that is logging already goes on as it was."""
    store.take_turn(tx, call.account)
    trail = trails.at_home(tx, call, plan.given)
    if plan.key is not None:
        keys.keep(tx, plan.key, call.now)
    if not trail.logging:
        store.put(tx, msgspec.structs.replace(trail, logging=True, started=call.now))
    return {}


def prepare_stop(call: Call, input: Any) -> Switch:
    """StopLogging: this call's own record is the last that is delivered."""
    with call.tools.read() as snapshot:
        call.touch(names.TYPE, trails.at_home(snapshot, call, input.Name).arn)
    return Switch(input.Name)


def apply_stop(tx: Tx, call: Call, plan: Switch) -> Output:
    """StopLogging. A trail that is not logging stays as it was."""
    store.take_turn(tx, call.account)
    trail = trails.at_home(tx, call, plan.given)
    if trail.logging:
        store.put(tx, msgspec.structs.replace(trail, logging=False, stopped=call.now))
    return {}
