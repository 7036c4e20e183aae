"""Streamed data: PutEvents, PutItems, PutUsers. Durable when answered, and counted in the very next recommendation."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import datasets, event_trackers, resources, store, streams
from opentrail.services.personalize.engine.entities import properties_row
from opentrail.services.personalize.engine.schemas import Field, Schema
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.streams import Streamed
from opentrail.store.sql import Snapshot, Tx

LONGEST_ID, LONGEST_STRING, LONGEST_TEXT = 256, 1_000, 20_000
_RANGES = {"int": 2**31, "long": 2**63}

Row = dict[str, Any]


def put_events(tx: Tx, call: Call, input: Input) -> Output:
    """PutEvents. Of several events of one group with the same eventId the first counts."""
    tracker = store.user(tx, input.trackingId)
    if tracker is None or (tracker.kind, tracker.account, tracker.region) != (event_trackers.KIND, call.account, call.region):
        raise resources.invalid("The trackingId is that of no event tracker.")
    call.touch(resources.KINDS[tracker.kind].type, tracker.arn)
    group = tracker.parent or ""
    found = [one for one in store.children(tx, group, datasets.KIND) if one.arn.endswith("/INTERACTIONS")]
    if not found:
        raise resources.invalid("The dataset group {group} has no Interactions dataset.", group=group)
    schema = datasets.schema_of(tx, found[0])
    user = input.userId or streams.user_of(tx, group, input.sessionId)
    written = []
    for number, event in enumerate(input.eventList):
        row = _event_row(schema, event)
        id = f"{group}/{event.eventId}" if event.eventId else f"{call.id}-{number}"
        written.append(Streamed(id, group, user, input.sessionId, row["TIMESTAMP"], _text(row)))
    streams.add(tx, written)
    return {}


def _event_row(schema: Schema, event: Any) -> Row:
    given = {
        "ITEM_ID": event.itemId,
        "TIMESTAMP": int(event.sentAt),
        "EVENT_TYPE": event.eventType,
        "EVENT_VALUE": event.eventValue,
        "IMPRESSION": "|".join(event.impression) if event.impression else None,
        "RECOMMENDATION_ID": event.recommendationId,
        "EVENT_ATTRIBUTION_SOURCE": event.metricAttribution.eventAttributionSource if event.metricAttribution else None,
    }
    row: Row = properties_row(schema, event.properties) if event.properties else {}
    row |= {name: value for name, value in given.items() if value is not None and schema.field(name) is not None}
    return checked(schema, row, "USER_ID")


def put_items(tx: Tx, call: Call, input: Input) -> Output:
    """PutItems."""
    return _put(tx, call, input.datasetArn, "ITEMS", "ITEM_ID", [(one.itemId, one.properties) for one in input.items])


def put_users(tx: Tx, call: Call, input: Input) -> Output:
    """PutUsers."""
    return _put(tx, call, input.datasetArn, "USERS", "USER_ID", [(one.userId, one.properties) for one in input.users])


def _put(tx: Tx, call: Call, arn: str, kind: str, key: str, given: list[tuple[str, str | None]]) -> Output:
    dataset = resources.find(tx, call, datasets.KIND, arn)
    if not arn.endswith(f"/{kind}"):
        raise resources.invalid("The dataset {arn} is not of type {kind}.", arn=arn, kind=kind)
    schema = datasets.schema_of(tx, dataset)
    for name, properties in given:
        row: Row = properties_row(schema, properties) if properties else {}
        streams.put(tx, arn, name, call.now, _text(checked(schema, {**row, key: name})))
    return {}


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
