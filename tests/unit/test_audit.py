"""What records keep, over all services: every operation has an entry, every leaf of an offered one is kept, hidden or dropped.

So a new member of a model fails here instead of leaking into the trail or vanishing from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from opentrail.app import SERVICES
from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import NOTHING, Audit, Service
from opentrail.contract.models import model
from opentrail.services.healthlake.audit import FHIR_OPERATIONS

FHIR_CONTENT = {
    "parameters", "body", "base", "if_match", "if_none_match", "if_none_exist", "if_modified_since", "prefer", "content_type",
    "idempotency_key", "validation_level", "parsed",
}  # fmt: skip
SECRETS = ("SecretAccessKey", "SessionToken", "TokenCode", "SAMLAssertion", "WebIdentityToken", "ContextAssertion", "SSECustomerKey")
CONTENT = ("Body", "Metadata{}", "nextToken", "NextToken", "ContinuationToken", "Text")


def leaves(shape: Any, path: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """The paths of everything that holds a value."""
    if shape is None or shape.name in above:
        return
    here = (*above, shape.name)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from leaves(member, f"{path}.{name}" if path else name, here)
    elif shape.type_name == "list":
        yield from leaves(shape.member, path + "[]", here)
    elif shape.type_name == "map":
        yield from leaves(shape.value, path + "{}", here)
    else:
        yield path


def covers(entry: str, leaf: str) -> bool:
    """Whether an entry names a leaf itself, everything below a structure (`A.*`), or a structure that is hidden or dropped."""
    entry = entry.removesuffix(".*")
    return entry in ("*", leaf) or (leaf.startswith(entry) and leaf[len(entry)] in ".[{")


def unnamed(shape: Any, entries: Iterable[str]) -> list[str]:
    named = list(entries)
    return [leaf for leaf in leaves(shape) if not any(covers(entry, leaf) for entry in named)]


def strange(shape: Any, entries: Iterable[str]) -> list[str]:
    """Entries that name nothing of the model."""
    found = list(leaves(shape))
    return [entry for entry in entries if entry != "*" and not any(covers(entry, leaf) for leaf in found)]


OFFERED = [(service, name) for service in SERVICES for name in service.operations if not (service.fhir and name in FHIR_OPERATIONS)]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_operation_of_the_model_has_an_entry_and_no_other(service: Service) -> None:
    known = set(model(service.name).operation_names) | (set(FHIR_OPERATIONS) if service.fhir else set())
    assert set(service.audit) == known
    assert set(service.operations) <= known
    fhir = set(FHIR_OPERATIONS) if service.fhir else set()
    assert {name for name, audit in service.audit.items() if audit != NOTHING} - fhir <= set(service.operations)


@pytest.mark.parametrize(("service", "name"), OFFERED, ids=[f"{service.name}.{name}" for service, name in OFFERED])
def test_every_leaf_of_an_offered_operation_is_kept_hidden_or_dropped(service: Service, name: str) -> None:
    operation, audit = model(service.name).operation_model(name), service.audit[name]
    given, answered = (*audit.keep, *audit.hide, *audit.drop), (*audit.keep_output, *audit.drop_output)
    assert unnamed(operation.input_shape, given) == []
    assert unnamed(operation.output_shape, answered) == []
    assert strange(operation.input_shape, given) == []
    assert strange(operation.output_shape, answered) == []
    assert set(audit.times) <= {*leaves(operation.input_shape), *leaves(operation.output_shape)}
    assert not set(audit.keep) & {*audit.drop, *audit.hide}
    assert not set(audit.keep_output) & set(audit.drop_output)
    assert set(audit.times) <= {*audit.keep, *audit.keep_output}


@pytest.mark.parametrize(("service", "name"), OFFERED, ids=[f"{service.name}.{name}" for service, name in OFFERED])
def test_secrets_and_content_are_never_kept(service: Service, name: str) -> None:
    operation, audit = model(service.name).operation_model(name), service.audit[name]
    for shape, entries in ((operation.input_shape, audit.keep), (operation.output_shape, audit.keep_output)):
        for leaf in leaves(shape):
            last = leaf.rpartition(".")[2]
            assert not (last in (*SECRETS, *CONTENT) and any(covers(entry, leaf) for entry in entries)), leaf


@pytest.mark.parametrize(("service", "name"), OFFERED, ids=[f"{service.name}.{name}" for service, name in OFFERED])
def test_answers_of_reads_are_not_kept(service: Service, name: str) -> None:
    """CloudTrail writes responseElements for calls that change something; sts:AssumeRole and its like are its one exception."""
    operation: Any = service.operations[name]
    assert not (operation.read_only and service.audit[name].keep_output) or service.name == "sts"


@pytest.mark.parametrize("name", FHIR_OPERATIONS)
def test_fhir_keeps_ids_and_no_content(name: str) -> None:
    audit: Audit = next(service for service in SERVICES if service.fhir).audit[name]
    assert {*audit.keep, *FHIR_CONTENT} == set(FhirInput.__struct_fields__)
    assert audit.keep_output == ()


def test_a_new_member_of_a_model_would_be_found() -> None:
    service = next(service for service in SERVICES if service.name == "cloudtrail")
    shape = model("cloudtrail").operation_model("CreateTrail").input_shape
    audit = service.audit["CreateTrail"]
    assert unnamed(shape, audit.keep[1:]) == [audit.keep[0]]
    assert strange(shape, ("Name", "Nmae")) == ["Nmae"]
