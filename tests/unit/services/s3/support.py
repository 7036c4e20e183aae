"""A small server around the operations: inputs built from the service's model, each call with a transaction of its own."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import msgspec

from opentrail.calls.call import Call, Download, Request, Target, Upload
from opentrail.calls.tools import Tools
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.services.s3 import blobs, tables
from opentrail.services.s3.service import service
from opentrail.store.sql import Sql
from tests.databases import Database

MODEL = botocore.session.get_session().get_service_model("s3")
TABLES = [tables.bucket, tables.object_, tables.upload, tables.part, tables.garbage]
OWNER, OTHER = "111122223333", "444455556666"


@cache
def input_type(shape_name: str) -> type[msgspec.Struct]:
    """A struct with every member of a structure, each None unless given."""
    shape = MODEL.shape_for(shape_name)
    return msgspec.defstruct(shape_name, [(name, Any, None) for name in shape.members])


def built(shape: Any, value: Any) -> Any:
    """A plain value as the structs of a shape."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return input_type(shape.name)(**{name: built(shape.members[name], inner) for name, inner in value.items()})
    if shape.type_name == "list" and isinstance(value, list):
        return [built(shape.member, inner) for inner in value]
    return value


class Ticking:
    """A clock that tests move."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Numbered:
    """Identifiers in sequence."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def uuid(self) -> str:
        return f"00000000-0000-4000-a000-{next(self._next):012d}"

    def hex(self, digits: int) -> str:
        return hashlib.sha256(str(next(self._next)).encode()).hexdigest().ljust(digits, "0")[:digits]

    def base32(self, characters: int) -> str:
        return "A" * characters

    def secret(self, size: int) -> bytes:
        return bytes(size)


class Server:
    """The operations over a database and a folder."""

    def __init__(self, database: Database, folder: Path, now: float) -> None:
        self.database = database
        self.clock = Ticking(now)
        self.folder = folder
        (folder / "spool").mkdir(parents=True)
        self.tools = Tools(
            clock=self.clock,
            ids=Numbered(),
            sealer=Sealer(bytes(32)),
            settings=Settings(),
            calls=None,  # type: ignore[arg-type]
            read=database.read,
            history=database.read,
            delivery=database.read,
            blobs=folder,
        )
        self.service = service(lambda document: None)
        self.last: Call | None = None

    def begin(self, name: str, account: str, region: str, body: bytes, headers: Mapping[str, str]) -> Call:
        request = Request("GET", "/", "", headers, body, "127.0.0.1", self.clock.now())
        call = Call(request, self.tools, "request")
        call.set_target(Target(self.service, name, "rest-xml", self.service.operations[name]))
        call.set_caller(Principal("IAMUser", account, arn=f"arn:aws:iam::{account}:user/alice"), region)
        self.last = call
        return call

    def input(self, name: str, values: Mapping[str, Any]) -> Any:
        """The operation's input as the gateway hands it in; a Body of bytes is spooled."""
        plain = dict(values)
        if isinstance(plain.get("Body"), bytes):
            plain["Body"] = self.spooled(plain["Body"])
        return built(MODEL.operation_model(name).input_shape, plain)

    def spooled(self, body: bytes) -> Upload:
        file = self.folder / "spool" / self.tools.ids.hex(32)
        file.write_bytes(body)
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return Upload(file, len(body), hashlib.sha256(body).hexdigest(), md5)

    def do(
        self,
        name: str,
        /,
        account: str = OWNER,
        region: str = "us-east-1",
        raw: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Any:
        """Performs one operation as the gateway does."""
        call = self.begin(name, account, region, raw, headers or {})
        operation = self.service.operations[name]
        input = self.input(name, values)
        call.set_input(input)
        assert operation.rights(call, input), "every operation of S3 needs a right"
        if operation.read is not None:
            with self.database.read() as snapshot:
                return operation.read(snapshot, call, input)
        assert operation.apply is not None, "an operation reads or applies"
        try:
            plan = operation.prepare(call, input)
            with self.database.write() as tx:
                return operation.apply(tx, call, plan)
        finally:
            if isinstance(values.get("Body"), bytes):
                input.Body.file.unlink(missing_ok=True)

    def body(self, output: Mapping[str, Any]) -> bytes:
        """The bytes of a streamed answer."""
        download: Download = output["Body"]
        with download.file.open("rb") as file:
            file.seek(download.start)
            return file.read(download.length)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.database.read() as snapshot:
            return snapshot.all(Sql(text))

    def files(self) -> set[str]:
        """The names of all files in the folder, spool included."""
        return {path.name for path in self.folder.rglob("*") if path.is_file()}

    def sweep(self) -> blobs.Swept:
        def turn(work: Any) -> None:
            with self.database.write() as tx:
                work(tx)

        return blobs.sweep(self.folder, self.database.read, turn, self.clock.now())
