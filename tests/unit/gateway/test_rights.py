"""Tags in decisions: read where a policy asks for them and nowhere else, and judged again in the lane when they changed meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from opentrail.calls.call import Call, Request, Target
from opentrail.calls.operation import Right
from opentrail.gateway.rights import Standing, authorize_again, authorize_call, tags_of
from opentrail.identity.store import put_tags, user
from opentrail.kernel.errors import ServiceError
from opentrail.services.iam.service import SERVICE as IAM
from opentrail.store.sql import Snapshot
from tests.databases import Database
from tests.unit.services.identity_world import DOORS, HOME, World

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/class": "secret"}}}
NURSE = f"arn:aws:iam::{HOME}:user/nurse"


@pytest.fixture
def world(main_database: Database) -> World:
    return World(main_database)


def call_of(world: World, key: tuple[str, str]) -> Call:
    """DeleteUser of the nurse, authenticated."""
    credentials = world.load(key)
    call = Call(Request("POST", "/", "", {}, b"", "127.0.0.1", world.now), world.tools, "id")
    call.set_target(Target(IAM, "DeleteUser", "query", IAM.operations["DeleteUser"]))
    call.set_caller(credentials.principal, "eu-west-1")
    call.set_input(SimpleNamespace(UserName="nurse"))
    call.standing = Standing(-1, None, credentials)
    return call


def authorize(world: World, key: tuple[str, str], read: list[str]) -> Call:
    """The call, authorised as the gateway does; `read` gets the ARNs whose tags were read."""

    def told(view: Snapshot, arn: str, account: str) -> Sequence[tuple[str, str]]:
        read.append(arn)
        assert IAM.resource_tags is not None
        return IAM.resource_tags(view, arn, account)

    def glance(load: Any) -> Any:
        with world.database.read() as view:
            return load(view)

    services = {"iam": replace(IAM, resource_tags=told)}
    gateway: Any = SimpleNamespace(services=services, database=SimpleNamespace(dialect="sqlite"), glance=glance)
    call = call_of(world, key)
    asyncio.run(authorize_call(gateway, call))
    return call


def policy(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def test_tags_are_read_where_a_policy_asks_for_them_alone(world: World) -> None:
    world.iam("CreateUser", UserName="nurse")
    plain, asking = world.user("plain", policy(ALLOW)), world.user("asking", policy(ALLOW, DENY))
    read: list[str] = []
    authorize(world, plain, read)
    authorize(world, world.root(), read)
    assert read == []
    authorize(world, asking, read)
    assert read == [NURSE]


def test_tags_that_change_before_the_call_takes_effect_decide(world: World) -> None:
    world.iam("CreateUser", UserName="nurse")
    call = authorize(world, world.user("head", policy(ALLOW, DENY)), [])
    gateway: Any = SimpleNamespace(services=DOORS, database=SimpleNamespace(dialect="sqlite"))
    with world.database.write() as tx:
        lane: Any = _Lane(tx)
        authorize_again(gateway, call, lane)
        nurse = user(tx, HOME, "nurse")
        assert nurse is not None
        put_tags(tx, nurse.id, {"Class": "secret"})
        with pytest.raises(ServiceError, match="AccessDenied"):
            authorize_again(gateway, call, lane)


class _Lane:
    """A transaction whose epoch moved since the call was authorised."""

    epoch = 1

    def __init__(self, tx: Any) -> None:
        self.one, self.all = tx.one, tx.all


def test_what_is_about_to_be_made_has_no_tags(world: World) -> None:
    world.iam("CreateUser", UserName="nurse", Tags=[{"Key": "Class", "Value": "open"}])
    with world.database.read() as view:
        found = tags_of(
            DOORS, view, HOME, [Right("iam:GetUser", NURSE), Right("iam:CreateUser", NURSE + "2", new=True), Right("iam:ListUsers")]
        )
    assert found == {NURSE: {"aws:resourcetag/class": "open", "iam:resourcetag/class": "open"}}
