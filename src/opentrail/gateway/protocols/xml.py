"""XML in and out by a model's shapes, for the Query and REST-XML protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from botocore.model import Shape
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from opentrail.gateway.protocols import scalars
from opentrail.kernel.errors import ServiceError

DEPTH = 32
ELEMENTS = 100_000
XSI = "http://www.w3.org/2001/XMLSchema-instance"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'

_SPECIAL = re.compile(r'[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]')
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}


def escape(text: str) -> str:
    """`text` for element content or a quoted attribute. What XML 1.0 cannot carry becomes U+FFFD."""
    return _SPECIAL.sub(lambda match: _ESCAPED.get(match.group(), "\ufffd"), text)


def write(out: list[str], name: str, shape: Shape, value: Any, time_format: str, namespace: str = "") -> None:
    """Appends the element `name` holding `value`. None and absent members are left out."""
    if value is None:
        return
    kind = shape.type_name
    opening = f'{name} xmlns="{namespace}"' if namespace else name
    if kind == "structure":
        out.append(f"<{opening}{_attributes(shape, value)}>")
        write_members(out, shape, value, time_format)
        out.append(f"</{name}>")
    elif kind == "list":
        _list(out, name, opening, shape, value, time_format)
    elif kind == "map":
        _map(out, name, opening, shape, value, time_format)
    else:
        out.append(f"<{opening}>{escape(scalars.write(shape, value, time_format))}</{name}>")


def write_members(out: list[str], shape: Shape, value: Mapping[str, Any], time_format: str) -> None:
    """Appends the members of a structure that travel in the body."""
    for member, inner in shape.members.items():
        held = value.get(member)
        if held is not None and not inner.serialization.get("xmlAttribute") and "location" not in inner.serialization:
            write(out, element_name(member, inner), inner, held, time_format)


def element_name(member: str, shape: Shape) -> str:
    """The element of a structure's member: its own name; a flattened list bears its items' name when they have one."""
    if shape.type_name == "list" and shape.serialization.get("flattened") and shape.member.serialization.get("name"):
        return str(shape.member.serialization["name"])
    return str(shape.serialization.get("name", member))


def _attributes(shape: Shape, value: Mapping[str, Any]) -> str:
    text = ""
    for member, inner in shape.members.items():
        if inner.serialization.get("xmlAttribute") and value.get(member) is not None:
            name = inner.serialization["name"]
            prefix = name.partition(":")[0] if ":" in name else ""
            text += f' xmlns:{prefix}="{XSI}"' if prefix else ""
            text += f' {name}="{escape(str(value[member]))}"'
    return text


def _list(out: list[str], name: str, opening: str, shape: Shape, value: Any, time_format: str) -> None:
    if shape.serialization.get("flattened"):
        for item in value:
            write(out, name, shape.member, item, time_format)
        return
    out.append(f"<{opening}>")
    for item in value:
        write(out, shape.member.serialization.get("name", "member"), shape.member, item, time_format)
    out.append(f"</{name}>")


def _map(out: list[str], name: str, opening: str, shape: Shape, value: Mapping[str, Any], time_format: str) -> None:
    flat = shape.serialization.get("flattened")
    entry = name if flat else "entry"
    out.append("" if flat else f"<{opening}>")
    for key, item in value.items():
        out.append(f"<{entry}>")
        write(out, shape.key.serialization.get("name", "key"), shape.key, key, time_format)
        write(out, shape.value.serialization.get("name", "value"), shape.value, item, time_format)
        out.append(f"</{entry}>")
    out.append("" if flat else f"</{name}>")


class _Bounded(TreeBuilder):
    """Builds a tree of limited depth and size."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._count = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        self._depth += 1
        self._count += 1
        if self._depth > DEPTH or self._count > ELEMENTS:
            raise ParseError("too deep or too large")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(body: bytes, code: str) -> Element:
    """The root element. No DTD, no entity, bounded. Raises ServiceError(code)."""
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(body)
        root: Element | None = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        root = None
    if root is None:
        raise ServiceError(code, "The XML you provided was not well-formed or did not validate against our published schema.")
    return root


def read(shape: Shape, node: Element, name: str, code: str) -> Any:
    """The plain value of an element. Unknown elements are ignored. Raises ServiceError(code)."""
    kind = shape.type_name
    if kind == "structure":
        return read_members(shape, node, code)
    if kind == "list":
        inner = shape.member.serialization.get("name", "member")
        return [read(shape.member, child, name, code) for child in node if _local(child.tag) == inner]
    if kind == "map":
        return dict(_pair(shape, child, name, code) for child in node if _local(child.tag) == "entry")
    if len(node):
        raise ServiceError(code, "The value of {name} must be {kind}.", name=name, kind=f"of type {kind}")
    return scalars.read(shape, node.text or "", name, code)


def read_members(shape: Shape, node: Element, code: str) -> dict[str, Any]:
    """The members of a structure that travel in the body."""
    children: dict[str, list[Element]] = {}
    for child in node:
        children.setdefault(_local(child.tag), []).append(child)
    found: dict[str, Any] = {}
    for member, inner in shape.members.items():
        traits = inner.serialization
        if "location" in traits:
            continue
        if traits.get("xmlAttribute"):
            local = traits["name"].rpartition(":")[2]
            held = [text for key, text in node.attrib.items() if _local(key) == local]
            if held:
                found[member] = held[0]
            continue
        # Clients write a flattened list under the member's own name; answers bear the items' name. Both are read.
        nodes = children.get(traits.get("name", member)) or children.get(element_name(member, inner))
        if not nodes:
            continue
        if traits.get("flattened") and inner.type_name == "list":
            found[member] = [read(inner.member, each, member, code) for each in nodes]
        elif traits.get("flattened") and inner.type_name == "map":
            found[member] = dict(_pair(inner, each, member, code) for each in nodes)
        else:
            found[member] = read(inner, nodes[-1], member, code)
    return found


def _pair(shape: Shape, node: Element, name: str, code: str) -> tuple[Any, Any]:
    parts = {_local(child.tag): child for child in node}
    key = parts.get(shape.key.serialization.get("name", "key"))
    value = parts.get(shape.value.serialization.get("name", "value"))
    if key is None or value is None:
        raise ServiceError(code, "Each entry of {name} needs a key and a value.", name=name)
    return read(shape.key, key, name, code), read(shape.value, value, name, code)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
