"""No part of an official expression is left out in silence: what it reaches is either indexed or not offered, with a reason."""

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.search import offered, paths


def unread() -> set[tuple[str, str, str]]:
    """(type, parameter, term) of what leads nowhere."""
    found = set()
    for row in definitions.search_parameters():
        for base in row["base"]:
            contexts = paths._own_terms(row.get("expression", ""), base)
            for context in contexts:
                steps = paths.steps_of(context)
                variants = paths.variants_of(base, steps) if steps else []
                if not variants:
                    found.add((base, row["code"], context))
                for term in [term for one in row.get("component", ()) for term in paths.split_union(one["expression"])]:
                    inner = paths.steps_of(term)
                    if inner is None or not any(paths.variants_of(variant.type, inner) for variant in variants):
                        found.add((base, row["code"], term))
    return found


def test_every_term_leads_somewhere_or_its_parameter_is_not_offered() -> None:
    left = {(base, code) for base, code, _ in unread()}
    assert left == {("MolecularSequence", "chromosome-variant-coordinate"), ("MolecularSequence", "referenceseqid-variant-coordinate")}
    assert left <= set(offered.NOT_OFFERED)
