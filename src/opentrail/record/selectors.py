"""Event selectors: which records a trail wants. Pure; `compile` turns selectors into one function over a record's view.

Rules: CloudTrail user guide, "Logging management events", "Logging data events", "Filtering data events by using advanced
event selectors". Selectors are alternatives. The fields of one advanced selector must all match; of one field the positive
operators are alternatives and the negative ones must all hold. Comparison is exact and case-sensitive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from opentrail.record.schema import View

Matches = Callable[[View], bool]

MANAGEMENT, DATA, NETWORK = "Management", "Data", "NetworkActivity"


class DataResource(msgspec.Struct, frozen=True, rename="pascal"):
    """Data events of one resource type, by ARN prefixes."""

    type: str
    values: tuple[str, ...] = ()


class EventSelector(msgspec.Struct, frozen=True, rename="pascal"):
    """A basic event selector. `read_write_type` is All, ReadOnly or WriteOnly."""

    read_write_type: str = "All"
    include_management_events: bool = True
    data_resources: tuple[DataResource, ...] = ()
    exclude_management_event_sources: tuple[str, ...] = ()


class FieldSelector(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """The conditions of an advanced selector on one field."""

    field: str
    equals: tuple[str, ...] = ()
    starts_with: tuple[str, ...] = ()
    ends_with: tuple[str, ...] = ()
    not_equals: tuple[str, ...] = ()
    not_starts_with: tuple[str, ...] = ()
    not_ends_with: tuple[str, ...] = ()


class AdvancedEventSelector(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """An advanced event selector. Every field selector must match."""

    field_selectors: tuple[FieldSelector, ...]
    name: str | None = None


DEFAULT = (EventSelector(),)
"""What a trail has before PutEventSelectors: every management event, no data events."""


def compile(basic: Sequence[EventSelector], advanced: Sequence[AdvancedEventSelector]) -> Matches:
    """The function that says whether a record is wanted. A trail has basic or advanced selectors, never both."""
    tests = [_basic(selector) for selector in basic] + [_advanced(selector) for selector in advanced]
    if len(tests) == 1:
        return tests[0]
    return lambda view: any(test(view) for test in tests)


def _basic(selector: EventSelector) -> Matches:
    wants_management = selector.include_management_events
    read_only = {"All": None, "ReadOnly": True, "WriteOnly": False}[selector.read_write_type]
    excluded = frozenset(selector.exclude_management_event_sources)
    prefixes = tuple((resource.type, resource.values) for resource in selector.data_resources)

    def matches(view: View) -> bool:
        if read_only is not None and view.readOnly is not read_only:
            return False
        if view.eventCategory == MANAGEMENT:
            return wants_management and view.eventSource not in excluded
        return view.eventCategory == DATA and any(
            resource.type == type and resource.ARN.startswith(values) for resource in view.resources for type, values in prefixes
        )

    return matches


_FIELDS: dict[str, Callable[[View], Sequence[str]]] = {
    "eventCategory": lambda view: (view.eventCategory,),
    "eventSource": lambda view: (view.eventSource,),
    "eventName": lambda view: (view.eventName,),
    "eventType": lambda view: (view.eventType,),
    "readOnly": lambda view: ("true" if view.readOnly else "false",),
    "errorCode": lambda view: (view.errorCode,),
    "sessionCredentialFromConsole": lambda view: (view.sessionCredentialFromConsole or "false",),
    "userIdentity.arn": lambda view: (view.userIdentity.arn,),
    "vpcEndpointId": lambda view: (view.vpcEndpointId,),
}


def _advanced(selector: AdvancedEventSelector) -> Matches:
    fields = {condition.field: condition for condition in selector.field_selectors}
    simple = [(_FIELDS[name], _condition(c)) for name, c in fields.items() if not name.startswith("resources.")]
    of_resource = [_of_resource(name, _condition(c)) for name, c in fields.items() if name.startswith("resources.")]

    def matches(view: View) -> bool:
        if not all(holds(value) for read, holds in simple for value in read(view)):
            return False
        return not of_resource or any(all(test(r.type, r.ARN) for test in of_resource) for r in view.resources)

    return matches


def _of_resource(name: str, holds: Callable[[str], bool]) -> Callable[[str, str], bool]:
    """`resources.type` and `resources.ARN` are about one and the same resource of the record."""
    if name == "resources.type":
        return lambda type, arn: holds(type)
    return lambda type, arn: holds(arn)


def _condition(c: FieldSelector) -> Callable[[str], bool]:
    positive = bool(c.equals or c.starts_with or c.ends_with)
    equals, not_equals = frozenset(c.equals), frozenset(c.not_equals)

    def holds(value: str) -> bool:
        if positive and not (value in equals or value.startswith(c.starts_with) or value.endswith(c.ends_with)):
            return False
        return not (value in not_equals or value.startswith(c.not_starts_with) or value.endswith(c.not_ends_with))

    return holds
