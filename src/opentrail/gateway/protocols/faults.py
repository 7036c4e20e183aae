"""An error as its service's model declares it: wire code, status, message member and further members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentrail.contract import OperationContract
from opentrail.kernel.errors import ServiceError


class Fault(NamedTuple):
    """`name` is the shape's name (JSON), `code` the code on the wire (Query, XML); `members` are set in the model only."""

    name: str
    code: str
    status: int
    text: str
    message_member: str
    members: Mapping[str, Any]
    shapes: Mapping[str, Any]


def fault(contract: OperationContract | None, error: ServiceError) -> Fault:
    """What `error` is on the wire. A declared error has the model's status where that names one, else the error's own."""
    declared = contract.errors.get(error.code) if contract is not None else None
    text = error.for_caller()
    if declared is None:
        return Fault(error.code, error.code, error.status, text, "message", {}, {})
    members = {name: value for name, value in error.members.items() if name in declared.members and name != declared.message}
    status = declared.status or error.status
    return Fault(declared.name, declared.code, status, text, declared.message, members, declared.members)
