"""HL7's R4 (4.0.1) definitions as compact tables, read once from package data.

`tools/build_fhir_definitions.py` writes the data. An element is a row: path, min, max (0 = unbounded), types, reference
targets, content reference, value set of a required binding, in summary.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

FHIR_VERSION = "4.0.1"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type; `path` starts with the type's name, `name` is its last part without `[x]`."""

    path: str
    name: str
    min: int
    max: int
    types: tuple[str, ...]
    targets: tuple[str, ...]
    same_as: str
    bound: str
    summary: bool
    choice: bool

    @property
    def many(self) -> bool:
        """Whether JSON holds it as an array."""
        return self.max != 1


def load(name: str) -> Any:
    """The decoded content of data/<name>.json.gz."""
    packed = files(__package__).joinpath(f"data/{name}.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed))


@cache
def types() -> dict[str, dict[str, Any]]:
    """Every data type and resource type by name, as stored."""
    found: dict[str, dict[str, Any]] = load("elements")
    return found


@cache
def resource_types() -> tuple[str, ...]:
    """The names of all concrete resource types, sorted."""
    return tuple(sorted(k for k, v in types().items() if v["kind"] == "resource" and not v["abstract"]))


@cache
def is_resource_type(name: str) -> bool:
    """Whether `name` is a concrete R4 resource type."""
    return name in resource_types()


@cache
def is_primitive(name: str) -> bool:
    """Whether `name` is a primitive data type."""
    entry = types().get(name)
    return entry is not None and entry["kind"] == "primitive-type"


def element(row: list[Any]) -> Element:
    """An `Element` from its stored row."""
    path, low, high, kinds, targets, same_as, bound, summary = row
    name = path.rsplit(".", 1)[1]
    choice = name.endswith("[x]")
    return Element(path, name.removesuffix("[x]"), low, high, tuple(kinds), tuple(targets), same_as, bound, bool(summary), choice)


@cache
def elements(type_name: str) -> tuple[Element, ...]:
    """All elements of a type in definition order, nested ones included; empty for an unknown type."""
    entry = types().get(type_name)
    return tuple(element(row) for row in entry["elements"]) if entry else ()


@cache
def children(path: str) -> dict[str, Element]:
    """The direct children of a type or backbone path, by name without `[x]`."""
    depth = path.count(".") + 1
    return {e.name: e for e in elements(path.split(".")[0]) if e.path.startswith(path + ".") and e.path.count(".") == depth}


def json_name(name: str, type_name: str) -> str:
    """The JSON property of a choice element `name` with the given type: value + Quantity = valueQuantity."""
    return name + type_name[0].upper() + type_name[1:]


@cache
def properties(path: str) -> dict[str, tuple[Element, str]]:
    """JSON property -> (element, type or backbone path) of a type or backbone path; primitives' `_name` twins not included."""
    found: dict[str, tuple[Element, str]] = {}
    for child in children(path).values():
        for kind in child.types or ("",):
            target = child.same_as or (child.path if kind in ("BackboneElement", "Element") else kind)
            found[json_name(child.name, kind) if child.choice else child.name] = (child, target)
    return found


@cache
def simple_quantities() -> frozenset[str]:
    """The paths of the elements whose Quantity is a SimpleQuantity."""
    return frozenset(path for entry in types().values() for path in entry["simple"])


@cache
def search_parameters() -> tuple[dict[str, Any], ...]:
    """All R4 SearchParameters: url, code, type, base, expression, target, component."""
    return tuple(load("search_parameters"))


@cache
def compartments() -> dict[str, dict[str, list[str]]]:
    """Compartment -> resource type -> codes of the parameters that place a resource in it."""
    found: dict[str, dict[str, list[str]]] = load("compartments")
    return found


@cache
def bindings() -> dict[str, list[list[str]]]:
    """Value set url -> [[system, code], ...] of every required binding whose codes can be listed."""
    found: dict[str, list[list[str]]] = load("bindings")
    return found


@cache
def index_paths() -> dict[str, int]:
    """Index path key -> its number in stored rows."""
    found: dict[str, int] = load("index_paths")
    return found
