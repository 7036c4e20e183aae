"""The table of condition keys is true: every key is one that requests carry, every key that is carried is in the table, and every
operation that gives, removes or meets tags says so. A key that nobody fills would make a policy that denies nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

import opentrail.services
from opentrail.app import SERVICES
from opentrail.calls import tagging
from opentrail.calls.call import Call, Request, Target
from opentrail.calls.operation import Operation, Right, Service
from opentrail.calls.tools import Tools
from opentrail.identity.conditions import FAMILIES, KEYS, known
from opentrail.identity.context import request_keys
from opentrail.kernel.principal import Issuer, Principal, Session, service_principal
from tests.unit.services.identity_world import model, structure

ACCOUNT = "111111111111"
USER = Principal("IAMUser", ACCOUNT, "AIDA", f"arn:aws:iam::{ACCOUNT}:user/nurse", "AKIA", "nurse")
ISSUER = Issuer("Role", "AROA", f"arn:aws:iam::{ACCOUNT}:role/reader", ACCOUNT, "reader")
SESSION = Principal("AssumedRole", ACCOUNT, "AROA:n", "arn:x", "ASIA", session=Session(0, 1, False, ISSUER, "me"))
SERVED = service_principal("cloudtrail.amazonaws.com", ACCOUNT, f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/t")
DOORS = {service.name: service for service in SERVICES}
TAGGING = {"Tags", "TagsList", "tags", "TagKeys", "tagKeys", "Tagging"}
"""Members in which operations take tags, or the keys of tags."""
TAGS: Mapping[str, Any] = {
    "Tags": [{"Key": "Class", "Value": "a"}],
    "TagsList": [{"Key": "Class", "Value": "a"}],
    "tags": [{"tagKey": "Class", "tagValue": "a"}],
    "Tagging": {"TagSet": [{"Key": "Class", "Value": "a"}]},
    "TagKeys": ["Class"],
    "tagKeys": ["Class"],
}
NO_REQUEST_TAGS = {("s3", "PutObject"), ("s3", "CopyObject"), ("s3", "CreateMultipartUpload")}
"""Tags of objects are refused, whatever policies say."""


class _Nothing:
    """A database in which nothing is found."""

    def read(self) -> _Nothing:
        return self

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def one(self, statement: object, **values: object) -> None:
        return None


def filled(shape: Any) -> Any:
    """The least input of a shape: its required members."""
    if shape.type_name == "structure":
        return {name: filled(shape.members[name]) for name in shape.required_members}
    return {"list": [], "map": {}, "string": "x", "blob": b"", "boolean": False, "timestamp": 0}.get(shape.type_name, 1)


def rights(service: Service, operation: Operation, given: Mapping[str, Any], caller: Principal = USER) -> list[Right]:
    """The rights of a call with the least input and the given members."""
    call = Call(Request("POST", "/", "", {}, b"", "127.0.0.1", 0.0), cast(Tools, _Nothing()), "id")
    call.set_target(Target(service, operation.name, "json", operation))
    call.set_caller(caller, "us-east-1")
    shape = model(service.name).operation_model(operation.name).input_shape
    input = structure(shape, {**filled(shape), **given})
    call.set_input(input)
    return list(operation.rights(call, input))


def taking_tags() -> Iterator[tuple[Service, Operation, str]]:
    """Every offered operation with a member that takes tags or their keys."""
    for service in SERVICES:
        for operation in service.operations.values():
            names = model(service.name).operation_names
            shape = model(service.name).operation_model(operation.name).input_shape if operation.name in names else None
            for member in TAGGING & set(shape.members if shape is not None else ()):
                if (service.name, operation.name) not in NO_REQUEST_TAGS:
                    yield service, operation, member


TAKING = list(taking_tags())
IDS = [f"{service.name}-{operation.name}" for service, operation, _ in TAKING]


@pytest.mark.parametrize(("service", "operation", "member"), TAKING, ids=IDS)
def test_tags_in_a_request_are_condition_keys_of_its_rights(service: Service, operation: Operation, member: str) -> None:
    found = rights(service, operation, {member: TAGS[member]})
    wanted = {"aws:tagkeys": ["Class"], **({} if member.lower() == "tagkeys" else {"aws:requesttag/class": "a"})}
    assert all(wanted.items() <= dict(right.keys).items() for right in found), found
    if operation.name.startswith("Create"):
        made, tagged = (right.action.partition(":")[2] for right in found)
        assert made == operation.name
        assert re.fullmatch("Tag(Resource|User|Role)|AddTags", tagged)
        assert [right.action.partition(":")[2] for right in rights(service, operation, {})] == [operation.name]


def test_the_services_whose_resources_have_tags_say_which() -> None:
    taking = {service.name for service, _, _ in TAKING} - {"sts"}  # whose sessions are no resources
    assert {service.name for service in SERVICES if service.resource_tags is not None} == taking


def produced() -> set[str]:
    """Every key that some request carries."""
    headers = {"user-agent": "boto3", "referer": "r"}
    request = Request("GET", "/", "", headers, b"", "127.0.0.1", 0.0)
    keys = {key for who in (USER, SESSION, SERVED) for key in request_keys(request, who, {"t": "v"}, "eu-west-1", "127.0.0.1")}
    keys |= set(tagging.of_resource("iam", [("t", "v")]))
    for service, operation, given in (
        ("iam", "CreateUser", {"Tags": TAGS["Tags"]}),
        ("healthlake", "StartFHIRImportJob", {}),
        ("s3", "CreateBucket", {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}),
        ("s3", "PutObject", {"ACL": "private", "StorageClass": "STANDARD"}),
        ("s3", "ListObjectsV2", {"Prefix": "p", "Delimiter": "/", "MaxKeys": 1}),
        ("sts", "AssumeRole", {"ExternalId": "e", "SourceIdentity": "me"}),
    ):
        for right in rights(DOORS[service], DOORS[service].operations[operation], given):
            keys |= right.keys.keys()
    return keys


def test_every_key_of_the_table_is_carried_by_some_request() -> None:
    carried = produced()
    assert carried >= KEYS
    assert [family for family in FAMILIES if not any(key.startswith(family) for key in carried)] == []


def test_every_key_that_the_code_fills_is_in_the_table() -> None:
    assert {key for key in produced() if not known(key)} == set()
    written = {
        key
        for file in Path(opentrail.services.__file__ or "").parent.rglob("*.py")
        for key in re.findall(r'"([a-z0-9]+:[a-z/-]+)"(?::|\] =)', file.read_text("utf-8"))
    }
    assert "iam:passedtoservice" in written
    assert {key for key in written if not known(key) and not known(key + "x")} == set()


def test_tags_whose_keys_differ_in_case_alone_are_all_seen() -> None:
    tags = [("Class", "open"), ("class", "secret")]
    assert tagging.of_request(tags) == {"aws:requesttag/class": ["open", "secret"], "aws:tagkeys": ["Class", "class"]}
    assert tagging.of_resource("iam", tags[:1]) == {"aws:resourcetag/class": "open", "iam:resourcetag/class": "open"}
