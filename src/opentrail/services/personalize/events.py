"""Streamed data: PutEvents, PutItems, PutUsers, PutActions, PutActionInteractions. Durable when answered, and counted in the very next
recommendation.

Rows are read from the request, and checked against the schema, before the write transaction; that sees only whether the schema is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Apply, Input, Output, Prepare
from opentrail.services.personalize import data, datasets, event_trackers, resources, store, streams
from opentrail.services.personalize.engine.entities import properties_row
from opentrail.services.personalize.engine.schemas import Field, Schema
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.streams import Streamed
from opentrail.store.sql import Snapshot, Tx

LONGEST_ID, LONGEST_STRING, LONGEST_TEXT = 256, 1_000, 20_000
_TICK = 1e-5
_RANGES = {"int": 2**31, "long": 2**63}

Row = dict[str, Any]


class Plan(NamedTuple):
    """Rows that fit a dataset's schema: `schema` is its ARN when they were read. A row comes with id, user if known, and session."""

    input: Input
    dataset: str
    schema: str
    rows: list[tuple[str, str | None, str, Row]]


def _planned(
    snapshot: Snapshot, call: Call, input: Input, find: Callable[[Snapshot, Call, Input], Resource], read: Callable[[Schema, Input], Any]
) -> Plan:
    dataset = find(snapshot, call, input)
    return Plan(input, dataset.arn, dataset.uses or "", read(datasets.schema_of(snapshot, dataset), input))


def _halves(
    find: Callable[[Snapshot, Call, Input], Resource],
    read: Callable[[Schema, Input], list[tuple[str, str | None, str, Row]]],
    write: Callable[[Tx, Call, Plan, Resource], None],
) -> tuple[Prepare, Apply]:
    """The two halves of an operation that puts rows into the dataset that `find` finds."""

    def prepare(call: Call, input: Input) -> Plan:
        with call.tools.read() as snapshot:
            return _planned(snapshot, call, input, find, read)

    def apply(tx: Tx, call: Call, plan: Plan) -> Output:
        dataset = find(tx, call, plan.input)
        if (dataset.arn, dataset.uses) != (plan.dataset, plan.schema):
            # Another schema since the first half: rare enough to read the rows again here.
            plan = _planned(tx, call, plan.input, find, read)
        write(tx, call, plan, dataset)
        return {}

    return prepare, apply


def _tracked(kind: str) -> Callable[[Snapshot, Call, Input], Resource]:
    """Finds the dataset of a kind in the group of the call's event tracker."""

    def find(snapshot: Snapshot, call: Call, input: Input) -> Resource:
        tracker = store.user(snapshot, input.trackingId)
        if tracker is None or (tracker.kind, tracker.account, tracker.region) != (event_trackers.KIND, call.account, call.region):
            raise resources.invalid("The trackingId is that of no event tracker.")
        call.touch(resources.KINDS[tracker.kind].type, tracker.arn)
        found = datasets.of_group(snapshot, tracker.parent or "", kind)
        if found is None:
            raise resources.invalid("The dataset group {group} has no {kind} dataset.", group=tracker.parent, kind=kind)
        return found

    return find


def _named(kind: str) -> Callable[[Snapshot, Call, Input], Resource]:
    """Finds the dataset of a kind that the call names."""

    def find(snapshot: Snapshot, call: Call, input: Input) -> Resource:
        if not input.datasetArn.endswith(f"/{kind}"):
            raise resources.invalid("The dataset {arn} is not of type {kind}.", arn=input.datasetArn, kind=kind)
        return resources.find(snapshot, call, datasets.KIND, input.datasetArn)

    return find


def _event_rows(schema: Schema, input: Input) -> list[tuple[str, str | None, str, Row]]:
    return [(one.eventId or "", input.userId, input.sessionId, _event_row(schema, one)) for one in input.eventList]


def _event_row(schema: Schema, event: Any) -> Row:
    source = event.metricAttribution.eventAttributionSource if event.metricAttribution else None
    given = {"ITEM_ID": event.itemId, "TIMESTAMP": int(event.sentAt), "EVENT_VALUE": event.eventValue, "EVENT_ATTRIBUTION_SOURCE": source}
    return _interaction(schema, event, given)


def _action_rows(schema: Schema, input: Input) -> list[tuple[str, str | None, str, Row]]:
    return [(one.eventId or "", one.userId, one.sessionId, _action_row(schema, one)) for one in input.actionInteractions]


def _action_row(schema: Schema, event: Any) -> Row:
    return _interaction(schema, event, {"ACTION_ID": event.actionId, "TIMESTAMP": int(event.timestamp)})


def _interaction(schema: Schema, event: Any, given: Row) -> Row:
    given |= {
        "EVENT_TYPE": event.eventType,
        "IMPRESSION": "|".join(event.impression) if event.impression else None,
        "RECOMMENDATION_ID": event.recommendationId,
    }
    row: Row = properties_row(schema, event.properties) if event.properties else {}
    row |= {name: value for name, value in given.items() if value is not None and schema.field(name) is not None}
    return checked(schema, row, "USER_ID")


def _add(tx: Tx, call: Call, plan: Plan, dataset: Resource) -> None:
    """Of several events of one dataset with the same eventId the first counts."""
    scope = data.scope(dataset)
    sessions: dict[tuple[str | None, str], list[tuple[str, Row]]] = {}
    for number, (event, user, session, row) in enumerate(plan.rows):
        id = f"{scope}/{event}" if event else f"{call.id}-{number}"
        sessions.setdefault((user, session), []).append((id, row))
    for (user, session), rows in sessions.items():
        whose = user or streams.user_of(tx, scope, session)
        streams.add(tx, [Streamed(id, scope, whose, session, row["TIMESTAMP"], _text(row)) for id, row in rows])


def _put(tx: Tx, call: Call, plan: Plan, dataset: Resource) -> None:
    # Calls are written in another order than they came in; whoever reads must see that there is something new.
    stamp = max(call.now, streams.updated(tx, dataset.arn) + _TICK)
    for id, _, _, row in plan.rows:
        streams.put(tx, dataset.arn, id, stamp, _text(row))


def _entity_rows(key: str, member: str, id: str) -> Callable[[Schema, Input], list[tuple[str, str | None, str, Row]]]:
    def read(schema: Schema, input: Input) -> list[tuple[str, str | None, str, Row]]:
        rows: list[tuple[str, str | None, str, Row]] = []
        for one in getattr(input, member):
            row: Row = properties_row(schema, one.properties) if one.properties else {}
            rows.append((getattr(one, id), None, "", checked(schema, {**row, key: getattr(one, id)})))
        return rows

    return read


prepare_events, put_events = _halves(_tracked("INTERACTIONS"), _event_rows, _add)
prepare_action_interactions, put_action_interactions = _halves(_tracked("ACTION_INTERACTIONS"), _action_rows, _add)
prepare_items, put_items = _halves(_named("ITEMS"), _entity_rows("ITEM_ID", "items", "itemId"), _put)
prepare_users, put_users = _halves(_named("USERS"), _entity_rows("USER_ID", "users", "userId"), _put)
prepare_actions, put_actions = _halves(_named("ACTIONS"), _entity_rows("ACTION_ID", "actions", "actionId"), _put)


def checked(schema: Schema, row: Row, but: str = "") -> Row:
    """A row that fits the schema (the field `but` comes later). Raises ServiceError naming field and rule, never the value."""
    for field in schema.fields:
        value = row.get(field.name)
        if value is None:
            if not field.nullable and field.name != but:
                raise resources.invalid("Field {name}: a value is required.", name=field.name)
        elif not _fits(field, value):
            raise resources.invalid("Field {name}: the value must be a {kind} within its limits.", name=field.name, kind=field.kind)
    return row


def _fits(field: Field, value: Any) -> bool:
    if field.kind == "string":
        longest = LONGEST_ID if field.name.endswith("_ID") else LONGEST_TEXT if field.textual else LONGEST_STRING
        return isinstance(value, str) and bool(value) and len(value) <= longest
    if field.kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    most = _RANGES.get(field.kind)
    if most is None:
        return math.isfinite(value)
    return isinstance(value, int) and (0 if field.name == "TIMESTAMP" else 1 - most) <= value < most


def _text(row: Row) -> str:
    return msgspec.json.encode(row).decode()


def own_row(snapshot: Snapshot, dataset: Resource, id: str) -> Row | None:
    """The attributes of an item or user that was put."""
    body = streams.entity(snapshot, dataset.arn, id)
    found: Row | None = msgspec.json.decode(body) if body else None
    return found
