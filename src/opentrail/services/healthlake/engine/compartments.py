"""Compartments: which patients (practitioners, ...) a resource concerns. Source: the CompartmentDefinitions of R4."""

from functools import cache

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.search.paths import number, parameters
from opentrail.services.healthlake.engine.search.rows import IndexRows


@cache
def paths_into(compartment: str, resource_type: str) -> frozenset[int]:
    """The numbers of the reference paths that place a resource of a type in a compartment."""
    codes = definitions.compartments()[compartment].get(resource_type, [])
    found = [parameters(resource_type).get(code) for code in codes]
    return frozenset(number(key) for p in found if p is not None and p.kind == "reference" for key in p.paths)


@cache
def types_in(compartment: str) -> tuple[str, ...]:
    """The resource types that can be in a compartment, besides the one it is named after."""
    return tuple(kind for kind in definitions.resource_types() if paths_into(compartment, kind))


def members(compartment: str, resource_type: str, resource_id: str, rows: IndexRows) -> list[str]:
    """The ids of the local resources of type `compartment` whose compartment holds this resource; itself when of that type."""
    wanted = paths_into(compartment, resource_type)
    found = [identity for path, identity, kind, base in rows.reference if path in wanted and kind == compartment and base == 0]
    own = [resource_id] if resource_type == compartment else []
    return list(dict.fromkeys([*own, *found]))


def patients(resource_type: str, resource_id: str, rows: IndexRows) -> list[str]:
    """The ids of the patients that a resource concerns, in order of appearance, each once."""
    return members("Patient", resource_type, resource_id, rows)
