"""The frame around every call: success, modelled error, refusal and crash all leave by this one exit, with a record.

A request for which CloudTrail itself would write none (unknown key, unparsable request) is counted with its reason.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.call import Answer, Call
from opentrail.calls.operation import Audit, HashIds, Service
from opentrail.gateway.protocols import encode, encode_error
from opentrail.gateway.state import Gateway
from opentrail.journal.append import Fresh
from opentrail.journal.read import DATA, MANAGEMENT
from opentrail.kernel import arn, telemetry
from opentrail.kernel.errors import HIDDEN, ServiceError, Unavailable
from opentrail.record.build import Action, Facts, build
from opentrail.record.keep import projector
from opentrail.store.database import Again, Broken, Full, LaneTx, Slow
from opentrail.store.lane import Ticket
from opentrail.store.sql import Unstorable

log = logging.getLogger("opentrail.gateway")

Perform = Callable[[LaneTx], Mapping[str, Any]]
Projector = Callable[[Any], dict[str, Any] | None]
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})


class Outcome(msgspec.Struct):
    """What became of a call: its output, or the error, and the answer in the caller's protocol once it is recorded."""

    output: Mapping[str, Any] | None = None
    error: ServiceError | None = None
    answer: Answer | None = None
    unrecorded: bool = False
    """Set for one of many wrong signatures with the same key from the same source: counted, summed up in the next record."""
    perform: Perform | None = None
    """Set by the perform step of a call that changes state: its second half, which the lane runs."""


async def recorded(gateway: Gateway, call: Call, walk: Callable[[Outcome], Awaitable[None]]) -> Outcome:
    """Runs the steps of a call, writes its record, and returns its outcome only when the record is durable.

    Never raises for what the call did; a journal that cannot be written answers Unavailable.
    """
    outcome = Outcome()
    try:
        await walk(outcome)
    except Exception as error:  # the frame: every end of a call leaves by this exit
        outcome.error = as_answered(call, error)
        outcome.perform = None
    try:
        await _enter_lane(gateway, call, outcome)
    except Unavailable as error:
        outcome.error, outcome.output = error, None
        outcome.answer = encode_error(call, error)
        telemetry.calls_unrecorded.labels("unavailable").inc()
    return outcome


async def _enter_lane(gateway: Gateway, call: Call, outcome: Outcome) -> None:
    if isinstance(outcome.error, Unavailable):
        raise outcome.error
    since = gateway.tools.clock.monotonic()
    if outcome.perform is not None:
        await gateway.lane.submit(Ticket(lambda tx: _perform(gateway, call, outcome, tx), (), 2048, since))
        return
    records = conclude(gateway, call, outcome)
    if records:
        await gateway.lane.submit(Ticket(None, records, sum([fresh.size for fresh in records]), since))


def _perform(gateway: Gateway, call: Call, outcome: Outcome, tx: LaneTx) -> Sequence[Fresh]:
    """The lane's part of a call that changes state: apply, encode, build the record. May be run again."""
    assert outcome.perform is not None
    touched, facts, disclosed = list(call.touched), dict(call.facts), list(call.disclosed)
    outcome.error = None
    try:
        outcome.output = outcome.perform(tx)
        return _concluded(gateway, call, outcome)
    except (Broken, Full, Again):
        call.touched[:], call.facts, call.disclosed = touched, facts, disclosed
        raise
    except Exception as error:  # the frame: what the call wrote is undone, and its failure recorded in the same batch
        tx.undo()
        outcome.output, outcome.error = None, as_answered(call, error)
        return conclude(gateway, call, outcome)


def as_answered(call: Call, error: Exception) -> ServiceError:
    """The error that the caller gets. A fault of ours is logged with its place, never with its text."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, Unstorable):
        return ServiceError("ValidationException", "A text of the request holds a NUL character, which cannot be stored.")
    if isinstance(error, Broken | Full | Slow | Again):
        return Unavailable("The database cannot serve the call: {reason}", reason=error)
    name = f"{call.target.service.name}.{call.target.name}" if call.resolved else "unresolved call"
    log.error("request %s: %s failed", call.id, name, exc_info=error)
    return ServiceError("InternalFailure", "The request failed because of an internal error. Request id: {id}", status=500, id=call.id)


def conclude(gateway: Gateway, call: Call, outcome: Outcome) -> list[Fresh]:
    """The records of a finished call, and its answer in `outcome`. A call whose answer or record cannot be built ends as a
    fault of ours, with a record that keeps none of its parameters: no call may end the lane, or end unrecorded."""
    try:
        return _concluded(gateway, call, outcome)
    except Exception as error:  # the frame
        outcome.output, outcome.error = None, as_answered(call, error)
        return _concluded(gateway, call, outcome, keep=False)


def _concluded(gateway: Gateway, call: Call, outcome: Outcome, keep: bool = True) -> list[Fresh]:
    """Encodes the answer and builds the records of a finished call: one for the caller's account, one more for each other
    account whose resource was called. None for a request that CloudTrail would not record."""
    error = outcome.error
    outcome.answer = encode_error(call, error) if error is not None else encode(call, outcome.output or {})
    if not call.resolved or not call.authenticated or outcome.unrecorded:
        telemetry.calls_unrecorded.labels(error.code if error is not None else "anonymous").inc()
        return []
    facts = _facts(gateway, call, outcome, keep)
    category = DATA if facts.action.data else MANAGEMENT
    owners = {resource[2] for resource in facts.resources if resource[2]} - {facts.recipient} if facts.resources else ()
    resources = facts.resources
    if owners:
        facts.shared_event_id = gateway.tools.ids.uuid()
        if facts.error_code in DENIED:  # whose they are is not for who may not reach them
            facts.resources = [(name, type, HIDDEN if owner in owners else owner) for name, type, owner in resources]
    disclosed = tuple(call.disclosed)
    records = [Fresh(int(facts.time), facts.recipient, facts.region, category, build(facts), disclosed)]
    for owner in sorted(owners):
        facts.recipient, facts.foreign, facts.event_id, facts.resources = owner, True, gateway.tools.ids.uuid(), resources
        if facts.error_code in DENIED:  # the message names the caller and what policy it lacks
            facts.resources, facts.error_message = [one for one in resources if one[2] == owner], "Access Denied"
        records.append(Fresh(int(facts.time), owner, facts.region, category, build(facts), disclosed))
    return records


def _facts(gateway: Gateway, call: Call, outcome: Outcome, keep: bool) -> Facts:
    target, request, error = call.target, call.request, outcome.error
    operation = target.operation
    told = _told(target.service, target.name)
    denied = error is not None and error.code in DENIED
    account = call.account
    if error is not None and keep and call.input is not None and target.service.aim is not None:
        target.service.aim(call, call.input)
    resources: Sequence[tuple[str, str, str]] = ()
    if call.touched:
        resources = [(touched.arn, touched.type, touched.account or account) for touched in call.touched]
    elif denied:
        resources = _aimed_at(gateway, call)
    # In the order of Facts' fields: by name it would cost a microsecond more, on every call.
    return Facts(
        told.action,
        call.caller,
        gateway.tools.clock.now(),
        operation.global_region or call.region if operation else call.region,
        request.peer,
        request.header("user-agent"),
        call.id,
        gateway.tools.ids.uuid(),
        account,
        _kept(call, told) if call.input is not None and keep and not denied else None,
        told.keep_output(outcome.output) if error is None and outcome.output else None,
        call.facts or None,
        error.code if error is not None else "",
        error.for_record() if error is not None else "",
        resources,
        "",
        False,
        request.header("host"),
        request.scheme == "https",
    )


def _kept(call: Call, told: _Told) -> dict[str, Any] | None:
    """What the record keeps of the input."""
    found = told.keep(call.input)
    if found and told.hash_ids is not None and call.tools.settings.hash_resource_ids:
        told.hash_ids(found, call.tools.sealer.pseudonym_in)
    return found


def _aimed_at(gateway: Gateway, call: Call) -> list[tuple[str, str, str]]:
    """The resources of a call that was denied, which reached none: what the rights are about that it needed."""
    operation = call.target.operation
    data = operation is not None and bool(operation.data_type)
    found: dict[str, tuple[str, str, str]] = {}
    for text, owner in call.aimed:
        named, parts = gateway.services.get(arn.service_of(text)), arn.parse(text)
        if named is not None and parts is not None:
            own = call.account if parts.account == call.account else ""
            found |= {name: (name, type, owner or own) for type, name in named.named(text, data)}
    return list(found.values())


class _Told(NamedTuple):
    """What records of an operation say of it and keep of its input and output, and how they hash ids of the input."""

    action: Action
    keep: Projector
    keep_output: Projector
    hash_ids: HashIds | None


@lru_cache(maxsize=2048)
def _told(service: Service, name: str) -> _Told:
    """Without an audit entry nothing is kept."""
    operation, audit = service.operations.get(name), service.audit.get(name, Audit())
    if operation is None:
        action = Action(service.event_source, name, name.startswith(_READS), data=False)
    else:
        action = Action(service.event_source, operation.event_name or name, operation.read_only, bool(operation.data_type))
    keep = projector(audit.keep, audit.hide, audit.rename, audit.times, audit.shapes)
    return _Told(action, keep, projector(audit.keep_output, times=audit.times), audit.hash_ids)


_READS = ("Get", "List", "Describe", "Head", "Lookup", "Search", "Detect", "Infer", "Select")
