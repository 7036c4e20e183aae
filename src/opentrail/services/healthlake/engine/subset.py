"""`_summary` and `_elements`: the part of a resource that was asked for, tagged SUBSETTED.

Source: R4 search, 3.1.1.5.8 and 3.1.1.5.9. Mandatory top-level elements stay; a subset is never fit to be written back.
"""

from functools import cache
from typing import Any

from opentrail.services.healthlake.engine import definitions

Json = dict[str, Any]
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
ALWAYS = frozenset({"resourceType", "id", "meta"})


@cache
def _kept(resource_type: str, summary: str) -> frozenset[str]:
    properties = definitions.properties(resource_type)
    if summary == "text":
        chosen = {p for p, (e, _) in properties.items() if e.min > 0 or e.name in ("text", "implicitRules", "language")}
    elif summary == "data":
        chosen = set(properties) - {"text"}
    else:
        chosen = {p for p, (e, _) in properties.items() if e.summary}
    return frozenset(chosen | ALWAYS)


@cache
def _mandatory(resource_type: str) -> frozenset[str]:
    return frozenset(p for p, (e, _) in definitions.properties(resource_type).items() if e.min > 0)


def subset(resource: Json, summary: str = "false", elements: tuple[str, ...] = ()) -> Json:
    """The resource with only the asked elements, as a new dict; the same object when all is asked for."""
    kind = resource["resourceType"]
    if elements:
        names = {p for p, (e, _) in definitions.properties(kind).items() if e.name in elements}
        kept = frozenset(names) | _mandatory(kind) | ALWAYS
    elif summary in ("true", "text", "data"):
        kept = _kept(kind, summary)
    else:
        return resource
    chosen = {k: v for k, v in resource.items() if k in kept or (k[:1] == "_" and k[1:] in kept)}
    meta = chosen.get("meta", {})
    tags = meta.get("tag")  # of any shape, in a resource stored at the minimal level
    return {**chosen, "meta": {**meta, "tag": [*(tags if isinstance(tags, list) else []), SUBSETTED]}}
