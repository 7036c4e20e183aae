"""Every place that reads stored resources is listed with what keeps a narrow token out: a new way to the data fails here first."""

from __future__ import annotations

import ast
from pathlib import Path

from opentrail.services.healthlake import fhir_store

READS = ("search", "current", "version", "history", "first_ids", "run", "made_by")
"""What gives resources, or tells that they are there."""

KEPT = {
    ("reads", "_newest", "current"): "access.check_read follows",
    ("reads", "one_version", "version"): "access.shown_versions follows",
    ("reads", "history", "history"): "access.shown_versions for one resource; other histories need a scope for the whole type",
    ("searches", "page", "search"): "access.narrowed, and access.keeps for what is included",
    ("operations", "everything", "current"): "access.check_read follows",
    ("operations", "everything", "run"): "access.visible is in the statement",
    ("writing", "carry_out", "current"): "access.check_before follows",
    ("writing", "carry_out", "first_ids"): "a condition: interactions wants a scope for the whole type",
    ("writing", "settled", "current"): "after a condition",
    ("writing", "existing", "current"): "after a condition",
    ("bundle_links", "selected", "first_ids"): "interactions.allow_condition comes first",
    ("bundle_entries", "read", "current"): "histories in bundles are not for tokens",
    ("deletions", "delete", "first_ids"): "a condition: interactions wants a scope for the whole type",
    ("jobs", "_put", "current"): "a new data store is filled by nobody's call",
    ("note_reading", "_found", "current"): "HealthLake itself reads the note, after it was written",
    ("note_reading", "_held", "current"): "HealthLake itself reads the note, after it was written",
    ("changes", "prepare_patch", "current"): "access.check_before follows",
    ("changes", "change", "made_by"): "by a key that only who drew it knows",
    ("access", "_seen", "first_ids"): "the judgement itself",
    ("access", "_within", "first_ids"): "the judgement itself",
}


def found() -> set[tuple[str, str, str]]:
    """(module, function, function of fhir_store) of every call."""
    places = set()
    for file in Path(fhir_store.__file__).parent.glob("*.py"):
        for node in ast.parse(file.read_text("utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for one in ast.walk(node):
                if (
                    isinstance(one, ast.Attribute)
                    and isinstance(one.value, ast.Name)
                    and one.value.id == "fhir_store"
                    and one.attr in READS
                ):
                    places.add((file.stem, node.name, one.attr))
    return places


def test_every_way_to_the_data_is_kept() -> None:
    assert found() - set(KEPT) == set(), (
        "say here what keeps a token of one patient from the others, and test it in tests/wire/test_smart.py"
    )


def test_the_list_names_nothing_that_is_gone() -> None:
    assert set(KEPT) - found() == set()
