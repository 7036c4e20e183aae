"""AWS Query: a form in (Action, Version, nested names such as Tags.member.1.Key), XML out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import Shape

from opentrail.calls.call import Answer, Request
from opentrail.contract import OperationContract
from opentrail.gateway.protocols import faults, scalars, xml
from opentrail.kernel.errors import ServiceError

FIELDS = 20_000
"""Fields of one form."""

Tree = dict[str, Any]
"""A form by the dots of its names: a node is its text or its parts; "" holds the text of a node that has both."""


def fields(request: Request) -> dict[str, str]:
    """The form's fields, of the query string and the body; later ones win. Raises ServiceError."""
    code = "MalformedQueryString"
    try:
        body = request.body.decode("utf-8")
        pairs: list[tuple[str, str]] = []
        for text in (request.query, body):
            pairs += parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
    except UnicodeDecodeError:
        raise ServiceError(code, "The request is not valid UTF-8.") from None
    except ValueError:
        raise ServiceError(code, "The request has more than {limit} fields.", limit=FIELDS) from None
    return dict(pairs)


def decode(request: Request, contract: OperationContract, labels: Mapping[str, str]) -> Any:
    """The input struct of a request. Raises ServiceError."""
    contract.refuse_event_stream()
    shape = contract.model.input_shape
    tree: Tree = {}
    for name, text in fields(request).items():
        _plant(tree, name, text)
    return contract.from_value(_structure(shape, tree, "") if shape is not None else {})


def _plant(tree: Tree, name: str, text: str) -> None:
    parts = name.split(".")
    if len(parts) > 64:
        raise ServiceError("MalformedInput", "A field's name has more than {limit} parts.", limit=64)
    if not all(parts):
        raise ServiceError("MalformedInput", "A field's name has an empty part.")
    for part in parts:
        tree = tree.setdefault(part, {})
    tree[""] = text


def _value(shape: Shape, tree: Tree, name: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, tree, name)
    if kind == "list":
        items = tree if shape.serialization.get("flattened") else tree.get(shape.member.serialization.get("name", "member"), {})
        return [_value(shape.member, item, name) for item in _numbered(items, name)]
    if kind == "map":
        entries = tree if shape.serialization.get("flattened") else tree.get("entry", {})
        return dict(_pair(shape, item, name) for item in _numbered(entries, name))
    if "" not in tree:
        raise ServiceError("MalformedInput", "The value of {name} must be {kind}.", name=name, kind=f"of type {kind}")
    return scalars.read(shape, tree[""], name, "MalformedInput")


def _structure(shape: Shape, tree: Tree, name: str) -> dict[str, Any]:
    found = {}
    for member, inner in shape.members.items():
        wire = inner.serialization.get("name", member)
        if inner.type_name == "list" and inner.serialization.get("flattened"):
            wire = inner.member.serialization.get("name", wire)
        if wire in tree:
            found[member] = _value(inner, tree[wire], member)
    return found


def _numbered(tree: Tree, name: str) -> list[Tree]:
    """The items of a list in the order of their numbers, which may have gaps, as AWS takes them."""
    numbers = [part for part in tree if part]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in numbers):
        raise ServiceError("MalformedInput", "The items of {name} must be numbered.", name=name)
    return [tree[part] for part in sorted(numbers, key=int)]


def _pair(shape: Shape, tree: Tree, name: str) -> tuple[Any, Any]:
    key = tree.get(shape.key.serialization.get("name", "key"))
    value = tree.get(shape.value.serialization.get("name", "value"))
    if key is None or value is None:
        raise ServiceError("MalformedInput", "Each entry of {name} needs a key and a value.", name=name)
    return _value(shape.key, key, name), _value(shape.value, value, name)


def encode(contract: OperationContract, output: Mapping[str, Any], request_id: str) -> Answer:
    """The answer of a call that succeeded."""
    name, shape = contract.name, contract.model.output_shape
    out = [f'<{name}Response xmlns="{contract.model.metadata.get("xmlNamespace", "")}">']
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{name}Result")
        out.append(f"<{wrapper}>")
        xml.write_members(out, shape, output, "iso8601")
        out.append(f"</{wrapper}>")
    out.append(f"<ResponseMetadata><RequestId>{xml.escape(request_id)}</RequestId></ResponseMetadata></{name}Response>")
    return _answer(200, out, request_id)


def encode_error(contract: OperationContract | None, error: ServiceError, request_id: str) -> Answer:
    """The answer of a call that failed."""
    fault = faults.fault(contract, error)
    namespace = contract.model.metadata.get("xmlNamespace", "") if contract is not None else ""
    out = [f'<ErrorResponse xmlns="{namespace}"><Error>' if namespace else "<ErrorResponse><Error>"]
    out.append(f"<Type>{'Receiver' if fault.status >= 500 else 'Sender'}</Type><Code>{xml.escape(fault.code)}</Code>")
    out.append(f"<Message>{xml.escape(fault.text)}</Message>")
    for member, value in fault.members.items():
        xml.write(out, xml.element_name(member, fault.shapes[member]), fault.shapes[member], value, "iso8601")
    out.append(f"</Error><RequestId>{xml.escape(request_id)}</RequestId></ErrorResponse>")
    return _answer(fault.status, out, request_id)


def _answer(status: int, out: list[str], request_id: str) -> Answer:
    body = "".join(out).encode()
    return Answer(status, (("content-type", "text/xml"), ("x-amzn-requestid", request_id)), body)
