"""What people did and who they are never enters a record, in none of the 79 operations: whatever the model marks, this list decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.model import Shape

from opentrail.calls.operation import Service
from opentrail.contract.models import model
from opentrail.kernel.errors import HIDDEN
from opentrail.record.keep import projector, recased
from opentrail.services.personalize import service

SERVICES = (service.SERVICE, service.RUNTIME, service.EVENTS)
CONTENT = frozenset(
    {
        "userId", "sessionId", "itemId", "actionId", "eventId", "inputList", "eventType", "eventValue", "sentAt", "timestamp", "impression",
        "properties", "recommendationId", "eventAttributionSource", "context", "filterValues", "filterExpression", "metadataColumns",
        "percentPromotedItems", "tagKey", "tagValue", "tagKeys",
    }
)  # fmt: skip
"""Members whose values say who did what, or that users fill with such; by name, wherever they stand in an input."""
SETTINGS = {
    ("CreateSolution", "eventType"),
    ("CreateSolution", "solutionConfig"),
    ("UpdateSolution", "solutionUpdateConfig"),
    ("CreateMetricAttribution", "metrics"),
    ("UpdateMetricAttribution", "addMetrics"),
}
"""Inputs where eventType is a setting of a solution or a metric, not what somebody did."""
CANARY = "canary-of-a-person"

OPERATIONS = [(one, name) for one in SERVICES for name in model(one.name).operation_names]


def test_there_are_79_operations_and_all_are_answered() -> None:
    assert len(OPERATIONS) == 79
    assert [name for one, name in OPERATIONS if name not in one.operations] == []


def filled(shape: Shape, text: str) -> Any:
    """A value of the shape with the text everywhere, map keys included."""
    if shape.type_name == "structure":
        return {name: filled(member, text) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [filled(shape.member, text)]
    if shape.type_name == "map":
        return {text: filled(shape.value, text)}
    return text


def named(shape: Shape) -> Iterator[str]:
    """The names of all members at any depth."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield name
            yield from named(member)
    elif shape.type_name == "list":
        yield from named(shape.member)
    elif shape.type_name == "map":
        yield from named(shape.value)


def sensitive(operation: str, shape: Shape) -> set[str]:
    """The top members of an input that are content or hold some."""
    found = {name for name, member in shape.members.items() if CONTENT & {name, *named(member)}}
    return {name for name in found if (operation, name) not in SETTINGS}


@pytest.mark.parametrize(("service", "name"), OPERATIONS, ids=[f"{one.name}.{name}" for one, name in OPERATIONS])
def test_content_is_hidden(service: Service, name: str) -> None:
    shape, audit = model(service.name).operation_model(name).input_shape, service.audit[name]
    assert shape is not None
    hidden = sensitive(name, shape)
    value: Mapping[str, Any] = {member: filled(inner, CANARY if member in hidden else "plain") for member, inner in shape.members.items()}
    record = projector(audit.keep, audit.hide, audit.rename, audit.times)(value) or {}
    assert CANARY not in repr(record)
    assert {member: record.get(recased(member)) for member in hidden} == dict.fromkeys(hidden, HIDDEN)


@pytest.mark.parametrize(("service", "name"), OPERATIONS, ids=[f"{one.name}.{name}" for one, name in OPERATIONS])
def test_answers_keep_names_of_resources_only(service: Service, name: str) -> None:
    audit = service.audit[name]
    if service.operations[name].read_only:
        assert audit.keep_output == ()
    assert {path for path in audit.keep_output if not path.endswith("Arn")} <= {"trackingId", "domain"}
