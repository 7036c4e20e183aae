"""Every operation of the models has an audit entry, and every leaf of what is offered is kept or dropped by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from opentrail.services.cloudtrail.audit import OFFERED
from opentrail.services.cloudtrail.service import SERVICE, SERVICES


def leaves(shape: Any, path: str = "") -> Iterator[str]:
    if shape is None:
        return
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        yield from leaves(shape.member, path + "[]")
    else:
        yield path


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_operation_of_the_model_has_an_entry(service: Any) -> None:
    model = botocore.session.get_session().get_service_model(service.name)
    assert set(service.audit) == set(model.operation_names)
    assert set(service.operations) <= set(model.operation_names)


def test_what_is_offered_is_what_is_audited_in_full() -> None:
    assert set(SERVICE.operations) == set(OFFERED)


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_every_leaf_is_kept_or_dropped(name: str) -> None:
    model = botocore.session.get_session().get_service_model("cloudtrail").operation_model(name)
    audit = OFFERED[name]
    assert sorted(leaves(model.input_shape)) == sorted((*audit.keep, *audit.drop))
    if audit.drop_output != ("*",):
        assert sorted(leaves(model.output_shape)) == sorted((*audit.keep_output, *audit.drop_output))
    assert SERVICE.operations[name].read_only == (audit.drop_output == ("*",))
