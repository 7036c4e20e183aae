"""Every operation of IAM and STS has an entry, every leaf of an offered one is named, and secrets are in none that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from opentrail.calls.operation import NOTHING, Service
from opentrail.services.iam.service import SERVICE as IAM
from opentrail.services.sts.service import SERVICE as STS
from tests.unit.services.identity_world import model

SECRETS = ("SecretAccessKey", "SessionToken", "TokenCode", "SAMLAssertion", "WebIdentityToken", "ContextAssertion")


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


@pytest.mark.parametrize("service", [IAM, STS], ids=lambda service: service.name)
def test_every_operation_of_the_model_has_an_entry(service: Service) -> None:
    names = set(model(service.name).operation_names)
    assert set(service.audit) == names
    assert {name for name, audit in service.audit.items() if audit is not NOTHING} == set(service.operations)


@pytest.mark.parametrize(("service", "name"), [(service, name) for service in (IAM, STS) for name in service.operations])
def test_every_leaf_is_kept_or_dropped(service: Service, name: str) -> None:
    operation, audit = model(service.name).operation_model(name), service.audit[name]
    for shape, keep, drop in (
        (operation.input_shape, audit.keep, audit.drop),
        (operation.output_shape, audit.keep_output, audit.drop_output),
    ):
        found = set(leaves(shape))
        if drop == ("*",):
            assert not keep
            continue
        assert found == set(keep) | set(drop)
        assert not set(keep) & set(drop)
        assert not [path for path in keep if path.rpartition(".")[2] in SECRETS]
