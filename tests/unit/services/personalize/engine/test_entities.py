"""Attributes that change while they serve are those that a new reading of everything would give."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.csv_import import write_rows
from opentrail.services.personalize.engine.entities import Entities, amended, merge_entities
from opentrail.services.personalize.engine.filter_language import parse_filter
from opentrail.services.personalize.engine.filter_plan import FilterTable, allowed

from .test_csv_import import ITEMS

IDS = [f"i{n}" for n in range(8)]
ROW = st.fixed_dictionaries(
    {"ITEM_ID": st.sampled_from(IDS), "ADULT": st.booleans()},
    optional={
        "GENRES": st.sampled_from(["war", "war|sea", "sea", "love"]), "PRICE": st.floats(0, 9, width=32), "YEAR": st.integers(1950, 2020),
        "ABOUT": st.sampled_from(["a ship", "a war\nat sea"]),
    },
)  # fmt: skip


def read(*parts: list[dict[str, Any]]) -> Entities:
    with TemporaryDirectory() as folder:
        tables = []
        for number, rows in enumerate(parts):
            write_rows(rows, ITEMS, Path(folder) / str(number))
            tables.append(open_table(Path(folder) / str(number)))
        return merge_entities(tables, IDS)


@settings(deadline=None, max_examples=40)
@given(st.lists(ROW, min_size=1, max_size=10), st.lists(ROW, min_size=1, max_size=5), st.lists(ROW, max_size=5))
def test_what_was_put_is_what_a_new_reading_finds(
    first: list[dict[str, Any]], second: list[dict[str, Any]], third: list[dict[str, Any]]
) -> None:
    whole, found = read(first, second, third), read(first)
    for rows in (second, third):
        found = amended(found, {IDS.index(row["ITEM_ID"]): row for row in rows})
    assert [found.row(at) for at in range(len(IDS))] == [whole.row(at) for at in range(len(IDS))]
    assert [list(column.texts) for column in found.columns.values() if column.texts] == [
        list(column.texts) for column in whole.columns.values() if column.texts
    ]
    for text in ('INCLUDE ItemID WHERE Items.GENRES IN ("sea")', 'INCLUDE ItemID WHERE Items.GENRES NOT IN ("war") AND Items.PRICE > 3'):
        masks = [allowed(parse_filter(text), FilterTable(one)) for one in (found, whole)]
        assert [mask.tolist() for mask in masks if mask is not None] == [masks[0].tolist()] * 2  # type: ignore[union-attr]
