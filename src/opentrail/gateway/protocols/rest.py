"""What REST-JSON and REST-XML share: members in the path, the query string and the headers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from botocore.model import Shape, StructureShape

from opentrail.calls.call import Answer, Download, Request
from opentrail.contract import OperationContract
from opentrail.gateway.protocols import scalars
from opentrail.kernel.errors import ServiceError

_QUOTED = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|\Z)')


def unquote(text: str, plus: bool = False) -> str:
    """Percent-decoded text; `plus` reads + as a space, as query strings do. Raises ServiceError when it is not UTF-8."""
    try:
        return unquote_to_bytes(text.replace("+", " ") if plus else text).decode("utf-8")
    except UnicodeDecodeError:
        raise ServiceError("InvalidURI", "Couldn't parse the specified URI.") from None


def query(text: str) -> dict[str, list[str]]:
    """The query string's names and values, names in their first order. Raises ServiceError."""
    found: dict[str, list[str]] = {}
    for part in text.split("&")[:1000] if text else ():
        name, _, value = part.partition("=")
        found.setdefault(unquote(name, plus=True), []).append(unquote(value, plus=True))
    return found


def located(contract: OperationContract, shape: StructureShape, request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
    """The members that do not travel in the body, as plain values. Raises ServiceError."""
    found: dict[str, Any] = {}
    asked: dict[str, list[str]] | None = None
    code = contract.invalid_code
    for member, inner in shape.members.items():
        location = inner.serialization.get("location")
        if location is None:
            continue
        wire = inner.serialization.get("name", member)
        if location == "uri" and wire in labels:
            found[member] = scalars.read(inner, labels[wire], member, code)
        elif location == "querystring":
            asked = query(request.query) if asked is None else asked
            if wire in asked:
                found[member] = _asked(inner, asked[wire], member, code)
        elif location == "header" and (text := request.headers.get(wire.lower())) is not None:
            found[member] = _header(inner, text, member, code)
        elif location == "headers":
            prefix = wire.lower()
            found[member] = {name[len(prefix) :]: text for name, text in request.headers.items() if name.startswith(prefix)}
    return found


def _asked(shape: Shape, texts: list[str], member: str, code: str) -> Any:
    if shape.type_name == "list":
        return [scalars.read(shape.member, text, member, code) for text in texts]
    return scalars.read(shape, texts[-1], member, code)


def _header(shape: Shape, text: str, member: str, code: str) -> Any:
    if shape.type_name == "list":
        parts = re.split(r",(?=\s*\w{3}, )", text) if shape.member.type_name == "timestamp" else _split(text)
        return [scalars.read(shape.member, part.strip(), member, code) for part in parts]
    if shape.serialization.get("jsonvalue"):
        try:
            return base64.b64decode(text, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise ServiceError(code, "The value of {name} must be base64 text.", name=member) from None
    return scalars.read(shape, text, member, code)


def _split(text: str) -> list[str]:
    """The items of a list in a header; quoted ones may hold commas."""
    items, at = list[str](), 0
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match is None:
            return [*items, text[at:]]
        quoted, bare = match.groups()
        items.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare.strip())
        at = match.end()
    return items


def payload(shape: StructureShape) -> str:
    """The member that is the whole body; empty when the body holds the members without a location."""
    return str(shape.serialization.get("payload", ""))


def body_text(request: Request, code: str) -> str:
    """The body as text. Raises ServiceError."""
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise ServiceError(code, "The request body is not valid UTF-8.") from None


def headers(shape: StructureShape, output: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The output's members that travel in headers."""
    found: list[tuple[str, str]] = []
    for member, inner in shape.members.items():
        location, value = inner.serialization.get("location"), output.get(member)
        if value is None or location not in ("header", "headers"):
            continue
        wire = inner.serialization.get("name", member).lower()
        if location == "headers":
            found += [(wire + name, _line(str(text))) for name, text in value.items()]
        elif inner.type_name == "list":
            found.append((wire, ",".join(_line(_item(inner.member, item)) for item in value)))
        elif inner.serialization.get("jsonvalue"):
            found.append((wire, base64.b64encode(value.encode()).decode()))
        else:
            found.append((wire, _line(scalars.write(inner, value, "rfc822"))))
    return found


def _item(shape: Shape, value: Any) -> str:
    text = scalars.write(shape, value, "rfc822")
    quoted = shape.type_name == "string" and ("," in text or '"' in text)
    return '"' + text.replace('"', '\\"') + '"' if quoted else text


def _line(text: str) -> str:
    """A header value is one line: what would end it becomes a space."""
    return re.sub(r"[\r\n\x00]+", " ", text)


def status(contract: OperationContract, shape: StructureShape | None, output: Mapping[str, Any]) -> int:
    """The status of a success: the output's own member for it, else the model's, else 200."""
    if shape is not None:
        for member, inner in shape.members.items():
            if inner.serialization.get("location") == "statusCode" and output.get(member) is not None:
                return int(output[member])
    return int(contract.model.http.get("responseCode", 200))


def raw(value: Any) -> bytes | Download:
    """A payload of text or bytes; a Download passes."""
    return value.encode("utf-8") if isinstance(value, str) else value if isinstance(value, Download) else bytes(value or b"")


def answer(code: int, lines: list[tuple[str, str]], body: bytes | Download, kind: str) -> Answer:
    """The answer, `kind` as its content type unless the output set one."""
    named = kind and body != b"" and not any(name == "content-type" for name, _ in lines)
    return Answer(code, tuple([("content-type", kind), *lines] if named else lines), body)


dumps = msgspec.json.Encoder().encode
