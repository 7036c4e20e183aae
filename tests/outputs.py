"""Whether an output is what the model declares; for tests, never on the path of a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import Shape

from opentrail.contract.compiled import OperationContract

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "character": (str,), "blob": (bytes,), "boolean": (bool,), "integer": (int,), "long": (int,),
    "float": (int, float), "double": (int, float), "timestamp": (int, float),
}  # fmt: skip


def check_output(contract: OperationContract, output: Mapping[str, Any]) -> list[str]:
    """What is wrong with `output`, by path: members the model has not, values of another type, absent required members."""
    shape = contract.model.output_shape
    if shape is None:
        return [f"{name}: the operation has no output" for name in output]
    return list(_wrong(shape, output, "", contract.streamed_out))


def _wrong(shape: Shape, value: Any, path: str, streamed: str = "") -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, Mapping):
            yield f"{path}: must be a mapping"
            return
        yield from (f"{path}.{name}: not in the model" for name in value if name not in shape.members)
        yield from (f"{path}.{name}: required" for name in shape.required_members if value.get(name) is None)
        for name, member in shape.members.items():
            if value.get(name) is not None and name != streamed:
                yield from _wrong(member, value[name], f"{path}.{name}")
    elif kind == "list":
        if not isinstance(value, (list, tuple)):
            yield f"{path}: must be a list"
            return
        for n, item in enumerate(value):
            yield from _wrong(shape.member, item, f"{path}[{n}]")
    elif kind == "map":
        if not isinstance(value, Mapping):
            yield f"{path}: must be a mapping"
            return
        for key, item in value.items():
            yield from _wrong(shape.key, key, f"{path}{{}}")
            yield from _wrong(shape.value, item, f"{path}{{}}")
    elif not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: must be {kind}, is {type(value).__name__}"
