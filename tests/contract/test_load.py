"""Loading many rows at once: every value comes back as it went in, on each database."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.store.sql import Conflict, Sql, Unstorable
from tests.databases import Database

COLUMNS = ("store", "type", "id", "version", "updated", "method", "body", "change")
ALL = Sql(f"SELECT {', '.join(COLUMNS)} FROM fhir_history ORDER BY version")
CLEAR = Sql("DELETE FROM fhir_history")
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20) | st.sampled_from(
    ["\\N", "\t\n\r\\", "\\."]
)
ROW = st.tuples(TEXT, TEXT, st.integers(-(2**53), 2**53), st.one_of(st.none(), st.binary(max_size=20)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(ROW, max_size=12), st.sampled_from([1, 30]))
def test_values_come_back(main_database: Database, rows: list[tuple[str, str, int, bytes | None]], times: int) -> None:
    some = [(1, kind, id, number, when, "PUT", body, 7) for number, (kind, id, when, body) in enumerate(rows * times)]
    with main_database.write() as tx:
        tx.run(CLEAR)
        tx.load("fhir_history", COLUMNS, some)
    with main_database.read() as view:
        found = [(*row[:6], None if row[6] is None else bytes(row[6]), row[7]) for row in view.all(ALL)]
    assert found == some


def test_a_key_that_is_taken_undoes_the_load(main_database: Database) -> None:
    row = (1, "Patient", "a", 1, 1, "PUT", None, 1)
    with pytest.raises(Conflict), main_database.write() as tx:
        tx.load("fhir_history", COLUMNS, [row, row])
    with main_database.read() as view:
        assert view.all(ALL) == []


def test_a_text_with_nul_is_stored_or_refused(main_database: Database) -> None:
    row = (1, "Patient", "a\0", 1, 1, "PUT", None, 1)
    if main_database.dialect == "sqlite":
        with main_database.write() as tx:
            tx.load("fhir_history", COLUMNS, [row])
        return
    with pytest.raises(Unstorable), main_database.write() as tx:
        tx.load("fhir_history", COLUMNS, [row])
