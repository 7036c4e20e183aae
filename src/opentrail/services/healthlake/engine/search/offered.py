"""The R4 search parameters that are not offered, each with its reason; strict handling answers with it."""

from functools import cache

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.search import paths

NOT_OFFERED: dict[tuple[str, str], str] = {
    ("*", "_text"): "narratives are not indexed",
    ("*", "_content"): "whole resources are not indexed as text",
    ("*", "_query"): "no named queries are defined",
    ("*", "_filter"): "filter expressions are not read",
    ("*", "_list"): "lists are not followed in searches",
    ("*", "_type"): "a search of one type names it in its path",
    ("*", "_contained"): "contained resources have no index rows of their own",
    ("*", "_containedType"): "contained resources have no index rows of their own",
    ("Location", "near"): "distances are not computed",
    ("Bundle", "composition"): "it points to a resource inside the bundle, which has no address of its own",
    ("Bundle", "message"): "it points to a resource inside the bundle, which has no address of its own",
    ("MolecularSequence", "chromosome-variant-coordinate"): "its first component lies outside the variant that holds the others",
    (
        "MolecularSequence",
        "referenceseqid-variant-coordinate",
    ): "its first component lies outside the variant that holds the others",
}
"""(resource type or *, code) -> reason."""


MODIFIERS_NOT_OFFERED: dict[tuple[str, str], str] = {
    ("reference", "above"): "hierarchies of references are not followed",
    ("reference", "below"): "hierarchies of references are not followed",
}
"""(kind of parameter, modifier of R4) -> reason."""


def reason(resource_type: str, code: str) -> str:
    """Why a defined parameter is not offered; "" when it is offered or not defined."""
    return NOT_OFFERED.get((resource_type, code)) or NOT_OFFERED.get(("*", code), "")


@cache
def offered(resource_type: str) -> dict[str, paths.Parameter]:
    """The parameters of a type that can be searched, `_id` and `_lastUpdated` besides."""
    return {code: p for code, p in paths.parameters(resource_type).items() if not reason(resource_type, code)}


def unaccounted() -> list[tuple[str, str]]:
    """(type, code) of defined parameters that are neither offered nor listed above: must be empty."""
    missing = []
    for kind in definitions.resource_types():
        for code in paths.defined(kind):
            if code not in offered(kind) and code not in ("_id", "_lastUpdated") and not reason(kind, code):
                missing.append((kind, code))
    return missing
