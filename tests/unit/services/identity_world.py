"""A server's identity without its gateway: a migrated database, an account with a root key, and calls made as the gateway makes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import botocore.session

from opentrail.calls.call import Call, Request, Target
from opentrail.calls.operation import Output, Service
from opentrail.calls.tools import Calls, Tools
from opentrail.gateway.rights import ask_for_tags, judge, tags_of
from opentrail.identity.bootstrap import ensure_accounts
from opentrail.identity.credentials import Credentials, load_credentials
from opentrail.identity.store import access_keys
from opentrail.kernel.ambient import SystemClock, SystemIds
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.services.iam.service import SERVICE as IAM
from opentrail.services.sts.service import SERVICE as STS
from tests.databases import Database

DOORS = {"iam": IAM, "sts": STS}
HOME, AWAY = "111111111111", "222222222222"
_models: dict[str, Any] = {}


def model(name: str) -> Any:
    """botocore's model of a service."""
    if name not in _models:
        _models[name] = botocore.session.get_session().get_service_model(name)
    return _models[name]


def structure(shape: Any, value: Any) -> Any:
    """A plain value as operations get it: structures with every member, absent ones None."""
    if shape.type_name == "structure":
        return SimpleNamespace(
            **{name: structure(member, (value or {}).get(name)) for name, member in shape.members.items()} if value is not None else {}
        )
    if shape.type_name == "list" and value is not None:
        return [structure(shape.member, each) for each in value]
    return value


class World:
    """Two accounts; `call` authorises and performs one operation as some key's holder."""

    def __init__(self, database: Database) -> None:
        self.database, self.now = database, 1_790_000_000.0
        self.sealer, self.ids = Sealer(bytes(32)), SystemIds()
        with database.write() as tx:
            ensure_accounts(tx, self.sealer, self.ids, self.now, (HOME, AWAY))
        self.tools = Tools(
            SystemClock(), self.ids, self.sealer, Settings(), cast(Calls, None), database.read, database.read, database.read, Path()
        )
        self.last: Call | None = None

    def root(self, account: str = HOME) -> tuple[str, str]:
        with self.database.read() as snapshot:
            return access_keys(snapshot, account)[0].id, ""

    def load(self, key: tuple[str, str]) -> Credentials:
        with self.database.read() as snapshot:
            credentials = load_credentials(snapshot, self.sealer, *key)
        credentials.check_life(self.now)
        return credentials

    def call(self, key: tuple[str, str], service: Service, name: str, **input: Any) -> Output:
        """The operation's output. Raises ServiceError as the gateway would answer it, Rejected for a bad key."""
        credentials = self.load(key)
        shape = model(service.name).operation_model(name).input_shape
        given = structure(shape, input) if shape is not None else SimpleNamespace()
        operation = service.operations[name]
        call = self.last = Call(Request("POST", "/", "", {}, b"", "127.0.0.1", self.now), self.tools, "id")
        call.set_target(Target(service, name, "query", operation))
        call.set_caller(credentials.principal, "eu-west-1")
        call.set_input(given)
        self.authorize(call, credentials)
        if operation.read is not None:
            with self.database.read() as snapshot:
                return operation.read(snapshot, call, given)
        assert operation.apply is not None
        plan = operation.prepare(call, given)
        with self.database.write() as tx:
            return operation.apply(tx, call, plan)

    def authorize(self, call: Call, credentials: Credentials) -> None:
        operation, service = call.target.operation, call.target.service
        assert operation is not None
        rights = operation.rights(call, call.input)
        with self.database.read() as snapshot:
            find = service.resource_policy
            policies = [find(snapshot, right.resource) if find is not None else None for right in rights]
            tags = tags_of(DOORS, snapshot, call.account, rights) if ask_for_tags(credentials, policies) else {}
        judge(call, credentials, rights, policies, tags)

    def iam(self, name: str, key: tuple[str, str] | None = None, **input: Any) -> Mapping[str, Any]:
        return self.call(key or self.root(), IAM, name, **input)

    def sts(self, name: str, key: tuple[str, str], **input: Any) -> Mapping[str, Any]:
        return self.call(key, STS, name, **input)

    def user(self, name: str, *documents: str, account: str = HOME) -> tuple[str, str]:
        """A user with a key and policies; returns the key."""
        root = self.root(account)
        self.iam("CreateUser", root, UserName=name)
        for number, document in enumerate(documents):
            self.iam("PutUserPolicy", root, UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return self.iam("CreateAccessKey", root, UserName=name)["AccessKey"]["AccessKeyId"], ""


def session(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Access key and session token of an answer of STS."""
    return answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"]


def code(error: ServiceError) -> tuple[str, int]:
    return error.code, error.status
