"""One request being served. Each step of the gateway writes its own section once; the incoming request is never edited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from opentrail.journal.disclosures import Disclosed, listed
from opentrail.kernel.principal import Principal

if TYPE_CHECKING:
    from opentrail.calls.operation import Operation, Service
    from opentrail.calls.tools import Tools


class Request(msgspec.Struct, frozen=True):
    """What came in, as it came.

    `path` and `query` are the raw, still percent-encoded texts; `headers` maps lower-case names to values (repeated
    headers joined by a comma); `peer` is the client's address; `received` seconds since 1970; `body` is empty for
    streamed operations.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    received: float
    scheme: str = "http"

    def header(self, name: str) -> str:
        """The header's value, empty when absent."""
        return self.headers.get(name, "")


class Upload(msgspec.Struct, frozen=True):
    """A streamed request body after it was spooled to disk, fsynced: its file and what was measured on the way."""

    file: Path
    size: int
    sha256: str
    md5: str


class Download(msgspec.Struct, frozen=True):
    """A streamed answer body: `length` bytes of `file` from `start`."""

    file: Path
    start: int
    length: int


class Answer(msgspec.Struct, frozen=True):
    """What leaves: encoded for the caller's protocol. `headers` hold what the protocol and the output set."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Download = b""


class Target(msgspec.Struct, frozen=True):
    """What is called: the service, the operation, and the protocol spoken. `operation` is None for one not offered.
    `place` is what the path says: label values, or the parts of a FHIR request."""

    service: Service
    name: str
    protocol: str
    operation: Operation | None
    place: Any = None


class Touched(msgspec.Struct, frozen=True):
    """One resource of a call, as the record's `resources` names it."""

    type: str
    arn: str
    account: str = ""


class Call(msgspec.Struct):
    """One request on its way. Steps fill the sections in order: target, caller, input; then the outcome is recorded."""

    request: Request
    tools: Tools
    id: str
    """The request id, which the answer and the record carry."""

    _target: Target | None = None
    _caller: Principal | None = None
    _region: str = ""
    _input: Any = None
    facts: dict[str, Any] = {}
    """additionalEventData of the record: transport facts and what the operation adds. Never content."""
    grant: Any = None
    """What the caller's bearer token allows, in the terms of the service that took it; None for signed and service-made calls."""
    standing: Any = None
    """What identity knows of the caller's rights, and the state epoch of that knowledge. Set by authenticate."""
    spooled: Path | None = None
    """The file of a streamed body, removed after the call unless an operation moved it."""
    touched: list[Touched] = []
    """The resources of the record."""
    _known: set[Touched] = set()
    aimed: Sequence[tuple[str, str]] = ()
    """Of a call that was denied: the ARNs to which it needed rights, each with the account of its owner, where a policy of the resource
    tells it."""
    disclosed: list[Disclosed] = []
    """The lists that are too long for the record, to lie beside it."""

    @property
    def target(self) -> Target:
        assert self._target is not None, "resolve comes first"
        return self._target

    @property
    def resolved(self) -> bool:
        return self._target is not None

    def set_target(self, target: Target) -> None:
        assert self._target is None, "a call has one target"
        self._target = target

    @property
    def caller(self) -> Principal:
        assert self._caller is not None, "authenticate comes first"
        return self._caller

    @property
    def authenticated(self) -> bool:
        return self._caller is not None

    def set_caller(self, caller: Principal, region: str) -> None:
        """Says who calls, and which region: the credential scope's."""
        assert self._caller is None, "a call has one caller"
        self._caller, self._region = caller, region

    @property
    def input(self) -> Any:
        return self._input

    def set_input(self, value: Any) -> None:
        assert self._input is None, "a call has one input"
        self._input = value

    @property
    def region(self) -> str:
        """The region that is called: the credential scope's."""
        return self._region

    @property
    def account(self) -> str:
        """The caller's account, in which its own resources are made."""
        return self.caller.account

    @property
    def now(self) -> float:
        """When the request came, in seconds since 1970: one time for everything the call does."""
        return self.request.received

    def touch(self, type: str, *arns: str) -> None:
        """Names resources that this call reads or changes, for the record; each once, however often they are named."""
        if len(self._known) != len(self.touched):
            self._known = set(self.touched)
        for arn in arns:
            if (one := Touched(type, arn)) not in self._known:
                self._known.add(one)
                self.touched.append(one)

    def disclose(self, name: str, items: Iterable[str], under: str = "", beside: bool = False) -> None:
        """Lists in additionalEventData what this call returned or changed: its count and the items, or as many as there is room
        for, a SHA-256, and the whole list beside the record (with `beside` in any case). With `under` the items are names of
        resources, `<under>/<item>`, and Event history finds the call by a list beside its record. At most four lists a call;
        see journal.disclosures for what an item may hold."""
        assert name not in self.facts, "a list is told once"
        self.facts[name], text = listed(items, under, beside)
        if text:
            self.disclosed.append(Disclosed(name, text))
