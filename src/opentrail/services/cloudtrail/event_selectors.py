"""PutEventSelectors and GetEventSelectors.

Rules: CloudTrail API reference, EventSelector, AdvancedFieldSelector, InvalidEventSelectorsException; user guide, "Filtering
data events by using advanced event selectors".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.kernel.errors import ServiceError
from opentrail.record.selectors import DATA, MANAGEMENT, NETWORK, AdvancedEventSelector, DataResource, EventSelector, FieldSelector
from opentrail.services.cloudtrail import names, store, trails
from opentrail.services.cloudtrail.versions import TrailConfiguration
from opentrail.store.sql import Snapshot, Tx

MOST_SELECTORS, MOST_RESOURCES, MOST_VALUES = 5, 250, 500
"""Basic selectors, their data resources in all, and values of all conditions of advanced selectors."""

_EXCLUDABLE = ("kms.amazonaws.com", "rdsdata.amazonaws.com")
_DATA_VALUES = {
    "AWS::S3::Object": re.compile(r"arn:aws:s3(:::([^/]+/.*)?)?", re.DOTALL),
    "AWS::Lambda::Function": re.compile(r"arn:aws:lambda(:.*)?", re.DOTALL),
    "AWS::DynamoDB::Table": re.compile(r"arn:aws:dynamodb(:.*)?", re.DOTALL),
}
_FIELDS = {
    MANAGEMENT: ("eventCategory", "eventSource", "readOnly"),
    DATA: (
        "eventCategory",
        "resources.type",
        "readOnly",
        "eventName",
        "eventSource",
        "eventType",
        "resources.ARN",
        "sessionCredentialFromConsole",
        "userIdentity.arn",
    ),
    NETWORK: ("eventCategory", "eventSource", "eventName", "errorCode", "vpcEndpointId"),
}
_NEEDED = {MANAGEMENT: (), DATA: ("resources.type",), NETWORK: ("eventSource",)}
_EQUALS_ONLY = ("eventCategory", "readOnly", "resources.type", "errorCode")
_ONE_VALUE = ("eventCategory", "readOnly", "resources.type")
_VALUES = {
    "readOnly": ("true", "false"),
    "sessionCredentialFromConsole": ("true", "false"),
    "errorCode": ("VpceAccessDenied",),
    "eventCategory": (MANAGEMENT, DATA, NETWORK),
    "resources.type": (*_DATA_VALUES, "AWS::HealthLake::FHIRDatastore"),
}
_OPERATORS = {
    "Equals": "equals",
    "StartsWith": "starts_with",
    "EndsWith": "ends_with",
    "NotEquals": "not_equals",
    "NotStartsWith": "not_starts_with",
    "NotEndsWith": "not_ends_with",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A trail as the caller named it, and the selectors it shall have: of one kind."""

    given: str
    basic: tuple[EventSelector, ...]
    advanced: tuple[AdvancedEventSelector, ...]


def prepare_put(call: Call, input: Any) -> Change:
    """PutEventSelectors: replaces all selectors of a trail, of either kind."""
    with call.tools.read() as snapshot:
        call.touch(names.TYPE, trails.at_home(snapshot, call, input.TrailName).arn)
    if bool(input.EventSelectors) == bool(input.AdvancedEventSelectors):
        raise _invalid("Give either EventSelectors or AdvancedEventSelectors, with at least one selector.")
    return Change(input.TrailName, _basic(input.EventSelectors or ()), _advanced(input.AdvancedEventSelectors or ()))


def apply_put(tx: Tx, call: Call, plan: Change) -> Output:
    """PutEventSelectors."""
    store.take_turn(tx, call.account)
    trail = trails.at_home(tx, call, plan.given)
    changed = msgspec.structs.replace(trail, event_selectors=plan.basic, advanced_event_selectors=plan.advanced, custom_selectors=True)
    store.put(tx, changed)
    return shown(changed)


def get_event_selectors(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """GetEventSelectors: the selectors of a trail."""
    return shown(trails.existing(snapshot, call, input.TrailName))


def shown(trail: TrailConfiguration) -> dict[str, Any]:
    """The selectors as both operations answer them."""
    if trail.advanced_event_selectors:
        return {"TrailARN": trail.arn, "AdvancedEventSelectors": [_plain(selector) for selector in trail.advanced_event_selectors]}
    return {"TrailARN": trail.arn, "EventSelectors": [_plain(selector) for selector in trail.event_selectors]}


def _plain(selector: EventSelector | AdvancedEventSelector) -> Any:
    return msgspec.json.decode(msgspec.json.encode(selector))


def _invalid(template: str, /, **arguments: Any) -> ServiceError:
    return ServiceError("InvalidEventSelectorsException", template, **arguments)


def _basic(given: Sequence[Any]) -> tuple[EventSelector, ...]:
    if len(given) > MOST_SELECTORS:
        raise _invalid("A trail has at most {most} event selectors.", most=MOST_SELECTORS)
    found = tuple(_event_selector(selector) for selector in given)
    if sum(len(resource.values) for selector in found for resource in selector.data_resources) > MOST_RESOURCES:
        raise _invalid("A trail has at most {most} data resources in all its event selectors.", most=MOST_RESOURCES)
    return found


def _event_selector(given: Any) -> EventSelector:
    read_write = given.ReadWriteType or "All"
    if read_write not in ("All", "ReadOnly", "WriteOnly"):
        raise _invalid("ReadWriteType must be All, ReadOnly or WriteOnly.")
    excluded = tuple(given.ExcludeManagementEventSources or ())
    if any(source not in _EXCLUDABLE for source in excluded):
        raise _invalid("ExcludeManagementEventSources can contain {sources} only.", sources=" and ".join(_EXCLUDABLE))
    resources = tuple(_data_resource(resource) for resource in given.DataResources or ())
    return EventSelector(read_write, given.IncludeManagementEvents is not False, resources, excluded)


def _data_resource(given: Any) -> DataResource:
    allowed = _DATA_VALUES.get(given.Type)
    if allowed is None:
        raise _invalid("DataResources.Type must be one of {types}.", types=", ".join(_DATA_VALUES))
    values = tuple(given.Values or ())
    for value in values:
        if not allowed.fullmatch(value):
            raise _invalid("Value {value} for DataResources.Values is invalid.", value=value)
    return DataResource(given.Type, values)


def _advanced(given: Sequence[Any]) -> tuple[AdvancedEventSelector, ...]:
    found = tuple(
        AdvancedEventSelector(tuple(_field_selector(field) for field in selector.FieldSelectors or ()), selector.Name) for selector in given
    )
    for selector in found:
        _check_fields(selector)
    if sum(len(values) for selector in found for field in selector.field_selectors for values in _conditions(field).values()) > MOST_VALUES:
        raise _invalid("A trail has at most {most} values in all conditions of its advanced event selectors.", most=MOST_VALUES)
    return found


def _field_selector(given: Any) -> FieldSelector:
    return FieldSelector(given.Field, **{name: tuple(getattr(given, member) or ()) for member, name in _OPERATORS.items()})


def _conditions(field: FieldSelector) -> dict[str, tuple[str, ...]]:
    """The operators of a field selector that have values."""
    return {member: values for member, name in _OPERATORS.items() if (values := getattr(field, name))}


def _check_fields(selector: AdvancedEventSelector) -> None:
    fields = {field.field: field for field in selector.field_selectors}
    if len(fields) < len(selector.field_selectors):
        raise _invalid("A field occurs more than once in an advanced event selector.")
    if "eventCategory" not in fields:
        raise _invalid("An advanced event selector needs a field selector for eventCategory.")
    _check_field(fields["eventCategory"])
    category = fields["eventCategory"].equals[0]
    for name, field in fields.items():
        if name not in _FIELDS[category]:
            raise _invalid("The field {field} cannot be used with eventCategory {category}.", field=name, category=category)
        _check_field(field)
    for name in _NEEDED[category]:
        if name not in fields or not fields[name].equals:
            raise _invalid("eventCategory {category} needs the field {field} with Equals.", field=name, category=category)


def _check_field(field: FieldSelector) -> None:
    conditions = _conditions(field)
    if not conditions:
        raise _invalid("The field {field} has no condition.", field=field.field)
    if field.field in _EQUALS_ONLY and set(conditions) != {"Equals"}:
        raise _invalid("The field {field} can be used with Equals only.", field=field.field)
    if field.field in _ONE_VALUE and len(field.equals) != 1:
        raise _invalid("The field {field} takes exactly one value.", field=field.field)
    allowed = _VALUES.get(field.field)
    if allowed and any(value not in allowed for values in conditions.values() for value in values):
        raise _invalid("The field {field} can have the values {values} only.", field=field.field, values=", ".join(allowed))
