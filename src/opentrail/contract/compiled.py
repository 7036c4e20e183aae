"""The contract of one operation: its input type, how to decode and check an input, and its declared errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
from botocore.model import OperationModel, Shape, StructureShape

from opentrail.contract import models, walk
from opentrail.contract.types import Types
from opentrail.kernel.errors import Content, ServiceError

DEPTH = 64
"""Levels of nesting that a body may have."""

_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """A declared error: its name in the model, code on the wire, status (0 when the model has none), message member."""

    name: str
    code: str
    status: int
    message: str
    members: Mapping[str, Shape]


@dataclass(frozen=True, slots=True, eq=False)
class OperationContract:
    """What is known of one operation. `input_type` is a msgspec struct with the model's member names, all keyword-only:
    optional absent members are None, times epoch seconds, blobs bytes, JSON values text.
    """

    service: str
    name: str
    model: OperationModel
    input_type: type[msgspec.Struct]
    errors: Mapping[str, ErrorShape]
    """By name and by code."""
    invalid_code: str
    """The code of a validation error."""
    unreadable_code: str
    """The code of an input that cannot be read at all."""
    unchecked: tuple[str, ...]
    streamed: str
    """The input member that the gateway fills with an Upload; empty when there is none."""
    streamed_out: str
    """The output member that is a Download; empty when there is none."""
    tokens: tuple[str, ...]
    """Idempotency tokens that are to be filled when absent."""
    event_stream: bool
    open_enums: bool
    body: str
    """What the paths of members in an XML body begin with: there a broken rule is a body that is not well made; empty elsewhere."""
    _decoder: msgspec.json.Decoder[Any]
    _finish: Callable[[Any], bool] | None
    _recursive: bool
    _shape: StructureShape | None = field(repr=False)

    def from_json(self, body: bytes) -> Any:
        """The input in a JSON text. Raises ServiceError: unreadable, or every violation."""
        self.refuse_event_stream()
        body = body or b"{}"
        too_deep(body, self.unreadable_code)
        try:
            value = self._decoder.decode(body)
            if not self._recursive and (self._finish is None or self._finish(value)):
                return value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            pass
        return self._explain(self._untyped(body))

    def from_value(self, value: dict[str, Any]) -> Any:
        """The input from plain Python values (blobs as bytes, times as numbers). Raises ServiceError."""
        self.refuse_event_stream()
        try:
            made = msgspec.convert(value, self.input_type)
            if not self._recursive and (self._finish is None or self._finish(made)):
                return made
        except (msgspec.ValidationError, RecursionError, ValueError):
            pass
        return self._explain(value)

    def refuse_event_stream(self) -> None:
        """Raises ServiceError when the operation speaks in an event stream, which is not served."""
        if self.event_stream:
            raise ServiceError("NotImplemented", "{name} uses an event stream, which is not served here.", status=501, name=self.name)

    def _untyped(self, body: bytes) -> Any:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            raise ServiceError(self.unreadable_code, "The request body is not valid JSON.") from None

    def _explain(self, value: Any) -> Any:
        """Raises the ServiceError of a value that failed; returns the input when the walk finds a way through."""
        assert self._shape is not None or self.input_type is not None
        try:
            if self._shape is None:
                if not isinstance(value, dict):
                    raise walk.Mistyped("", "an object")
                return self.input_type()
            found = walk.violations(self._shape, value, self.unchecked, self.streamed, self.open_enums)
        except walk.Mistyped as error:
            if not error.path:
                raise ServiceError(self.unreadable_code, "The input must be {kind}.", kind=error.kind) from None
            where: object = Content(error.path) if error.personal else error.path
            raise ServiceError(self.unreadable_code, "The value at '{path}' must be {kind}.", path=where, kind=error.kind) from None
        except RecursionError:
            raise ServiceError(self.unreadable_code, "The input is nested too deeply.") from None
        if found:
            in_body = bool(self.body) and all(one.path.startswith(self.body) for one in found)
            raise walk.message(found, self.unreadable_code if in_body else self.invalid_code)
        try:
            made = msgspec.convert(value, self.input_type)
        except msgspec.ValidationError:
            raise ServiceError(self.unreadable_code, "The input cannot be read.") from None
        if self._finish is not None:
            self._finish(made)
        return made


def too_deep(body: bytes, code: str) -> None:
    """Raises ServiceError when a JSON text nests deeper than `DEPTH`."""
    if body.count(b"[") + body.count(b"{") <= DEPTH:
        return
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    brackets = b"".join(text.split(b'"')[::2]).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(DEPTH):  # each time the innermost level goes
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or brackets.count(b"[") > DEPTH:
        raise ServiceError(code, "The request body is nested deeper than {levels} levels.", levels=DEPTH)


@cache
def operation(service: str, name: str, invalid_code: str = "", unchecked: tuple[str, ...] = ()) -> OperationContract:
    """The contract of an operation of a botocore model, compiled on first use.

    `invalid_code` is the service's code for validation errors; operations that do not declare it, and services that
    name none, use their protocol's. Members in `unchecked` are left to the service, which has an error of its own for
    them. Raises LookupError for an unknown service or operation.
    """
    known = models.model(service)
    if name not in known.operation_names:
        raise LookupError(f"{service} has no operation {name}")
    model = known.operation_model(name)
    shape, out = model.input_shape, model.output_shape
    protocol = known.metadata["protocol"]
    streamed = _streamed(shape)
    types = Types(open_enums=protocol == "rest-xml")
    input = types.struct(f"{name}Input", shape, unchecked, streamed)
    errors = _errors(model)
    return OperationContract(
        service=service,
        name=name,
        model=model,
        input_type=input,
        errors=errors,
        invalid_code=_invalid_code(protocol, invalid_code, errors),
        unreadable_code={"query": "MalformedInput", "rest-xml": "MalformedXML"}.get(protocol, "SerializationException"),
        unchecked=unchecked,
        streamed=streamed,
        streamed_out=_streamed(out),
        tokens=tuple(k for k, v in shape.members.items() if v.metadata.get("idempotencyToken")) if shape is not None else (),
        event_stream=bool(model.has_event_stream_input or model.has_event_stream_output),
        open_enums=protocol == "rest-xml",
        body=_body(shape) if protocol == "rest-xml" else "",
        _decoder=msgspec.json.Decoder(input),
        _finish=_finisher(shape, set(unchecked)) if types.special and shape is not None else None,
        _recursive=types.recursive,
        _shape=shape,
    )


def _invalid_code(protocol: str, wished: str, errors: Mapping[str, ErrorShape]) -> str:
    usual = {"query": "ValidationError", "rest-xml": "InvalidArgument"}.get(protocol, "ValidationException")
    return wished if wished in errors else usual


def _body(shape: StructureShape | None) -> str:
    """What the paths of members in the body begin with, where one member is the body."""
    name = shape.serialization.get("payload", "") if shape is not None else ""
    return f"{name[:1].lower()}{name[1:]}." if name else ""


def _streamed(shape: StructureShape | None) -> str:
    payload = shape.serialization.get("payload", "") if shape is not None else ""
    return payload if payload and shape is not None and shape.members[payload].serialization.get("streaming") else ""


def _errors(model: OperationModel) -> dict[str, ErrorShape]:
    found: dict[str, ErrorShape] = {}
    for shape in model.error_shapes:
        message = next((member for member in shape.members if member.lower() == "message"), "message")
        trait = shape.metadata.get("error", {})
        error = ErrorShape(shape.name, trait.get("code", shape.name), int(trait.get("httpStatusCode", 0)), message, shape.members)
        found[error.code] = found[error.name] = error
    return found


def _finisher(shape: Shape, skip: set[str] = frozenset(), above: tuple[str, ...] = ()) -> Callable[[Any], bool] | None:  # type: ignore[assignment]
    """What to look at after decoding: unions have one member, JSON values become text. None: nothing below `shape`.

    The function returns False when a rule is broken, for the walk to explain.
    """
    if shape.type_name in ("list", "map"):
        each = _finisher(shape.member if shape.type_name == "list" else shape.value, above=above)
        if each is None:
            return None
        return lambda value: all(each(item) for item in (value.values() if isinstance(value, dict) else value))
    if shape.type_name != "structure" or shape.name in above:
        return None
    parts: dict[str, Callable[[Any], bool]] = {}
    for name, member in shape.members.items():
        if name not in skip and (part := _finisher(member, above=(*above, shape.name))) is not None:
            parts[name] = part
    values = {name: member for name, member in shape.members.items() if member.serialization.get("jsonvalue")}
    union = tuple(shape.members) if shape.is_tagged_union else ()
    if not parts and not values and not union:
        return None
    required = set(shape.required_members)

    def finish(value: Any) -> bool:
        for name, part in parts.items():
            held = getattr(value, name)
            if held is not None and not part(held):
                return False
        for name, member in values.items():
            held = getattr(value, name)
            if held is None:
                if name in required:
                    return False
                continue
            text = walk.json_text(held)
            if not member.metadata.get("min", 0) <= len(text) <= member.metadata.get("max", len(text)):
                return False
            setattr(value, name, text)
        return not union or sum(getattr(value, name) is not None for name in union) == 1

    return finish
