"""Python loads this in every process of a server that test_members starts: it notes which members of inputs services read.

Each process writes the set of (service, operation, structure, member) as JSON lines to the folder in OPENTRAIL_TESTS_READS.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from opentrail.contract import types

_PLACE = "opentrail.services."
_seen: set[tuple[str, str, str, str]] = set()
_operation = ""


class Noting(msgspec.Struct):
    """An input whose members are noted when code of a service reads them."""

    def __getattribute__(self, name: str) -> Any:
        _note(sys._getframe(1).f_globals["__name__"], self, name)
        return object.__getattribute__(self, name)


def _note(reader: str, input: Any, name: str) -> None:
    if reader.startswith(_PLACE):
        operation, _, structure = type(input).__name__.partition(":")
        _seen.add((reader.removeprefix(_PLACE).partition(".")[0], operation, structure, name))


def _struct(name: str, members: dict[str, Any], required: set[str]) -> type[msgspec.Struct]:
    plain = _plain(name, members, required)
    fields = [(one.name, one.type, *(() if one.required else (None,))) for one in msgspec.structs.fields(plain)]
    return msgspec.defstruct(f"{_operation}:{name}", fields, kw_only=True, bases=(Noting,), module=types.__name__)


def _input(self: types.Types, name: str, shape: Any, unchecked: tuple[str, ...], streamed: str) -> type[msgspec.Struct]:
    global _operation
    _operation = name.removesuffix("Input")
    return _whole(self, name, shape, unchecked, streamed)


def _asdict(value: Any) -> dict[str, Any]:
    """As msgspec.structs.asdict, which reads every member."""
    reader = sys._getframe(1).f_globals["__name__"]
    for name in value.__struct_fields__:
        _note(reader, value, name)
    return _plain_asdict(value)


def _to_builtins(value: Any, **more: Any) -> Any:
    """As msgspec.to_builtins, which reads every member at any depth."""
    reader = sys._getframe(1).f_globals["__name__"]
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Noting):
            for name in one.__struct_fields__:
                _note(reader, one, name)
                todo.append(object.__getattribute__(one, name))
        elif isinstance(one, list):
            todo += one
    return _plain_to_builtins(value, **more)


def _write() -> None:
    if _seen:
        Path(os.environ["OPENTRAIL_TESTS_READS"], str(os.getpid())).write_text(json.dumps(sorted(_seen)))


if "OPENTRAIL_TESTS_READS" in os.environ:
    _plain, types._struct = types._struct, _struct
    _whole, types.Types.struct = types.Types.struct, _input  # type: ignore[method-assign]
    _plain_asdict, msgspec.structs.asdict = msgspec.structs.asdict, _asdict
    _plain_to_builtins, msgspec.to_builtins = msgspec.to_builtins, _to_builtins
    atexit.register(_write)
