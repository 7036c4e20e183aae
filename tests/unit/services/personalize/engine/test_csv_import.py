"""CSV import, segments and their merge: what goes in comes out, and every refusal names its place."""

from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize.engine import csv_import
from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.csv_import import import_csv, write_rows
from opentrail.services.personalize.engine.entities import merge_entities, properties_row
from opentrail.services.personalize.engine.interactions import EventRule, check_enough, from_arrays, merge_interactions, select_events
from opentrail.services.personalize.engine.schemas import Field, Schema

EVENTS = Schema(
    "Interactions",
    None,
    (
        Field("USER_ID", "string"),
        Field("ITEM_ID", "string"),
        Field("TIMESTAMP", "long"),
        Field("EVENT_TYPE", "string", nullable=True),
        Field("EVENT_VALUE", "float", nullable=True),
        Field("IMPRESSION", "string", nullable=True),
    ),
)
HEAD = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,IMPRESSION\n"
ITEMS = Schema(
    "Items",
    None,
    (
        Field("ITEM_ID", "string"),
        Field("GENRES", "string", nullable=True, categorical=True, metadata=True),
        Field("PRICE", "float", nullable=True, metadata=True),
        Field("YEAR", "int", nullable=True, metadata=True),
        Field("ADULT", "boolean", metadata=True),
        Field("ABOUT", "string", nullable=True, textual=True, metadata=True),
    ),
)


def load(text: str | bytes, folder: Path, schema: Schema = EVENTS, name: str = "a.csv") -> int:
    data = text.encode() if isinstance(text, str) else text
    return import_csv([(name, io.BytesIO(data))], schema, folder)


def refusal(text: str | bytes, folder: Path, schema: Schema = EVENTS) -> str:
    with pytest.raises(ServiceError) as caught:
        load(text, folder / "refused", schema)
    assert not (folder / "refused").exists()
    return caught.value.for_caller()


def test_values_come_back(tmp_path: Path) -> None:
    text = "\ufeffABOUT,ITEM_ID,GENRES,PRICE,YEAR,ADULT,OTHER\n" + '"two\nlines",ä,Drama|War,1.5,1999,true,x\n' + ",b,,,,FALSE,\n"
    assert load(text, tmp_path / "s", ITEMS) == 2
    table = open_table(tmp_path / "s")
    assert table.schema == ITEMS
    rows = [{name: column.value(row) for name, column in table.columns.items()} for row in range(2)]
    assert rows == [
        {"ITEM_ID": "ä", "GENRES": "Drama|War", "PRICE": 1.5, "YEAR": 1999, "ADULT": 1, "ABOUT": "two\nlines"},
        {"ITEM_ID": "b", "GENRES": None, "PRICE": None, "YEAR": None, "ADULT": 0, "ABOUT": None},
    ]
    assert [column.nulls().tolist() for name, column in table.columns.items() if name != "ITEM_ID"] == [
        [False, True],
        [False, True],
        [False, True],
        [False, False],
        [False, True],
    ]


def test_several_files_and_chunks_make_one_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_import, "ROWS_AT_ONCE", 3)
    files = [(f"{n}.csv", io.BytesIO((HEAD + "".join(f"u{k},i{n},{k},,{k}.5,a|b{k}\n" for k in range(8))).encode())) for n in range(2)]
    assert import_csv(files, EVENTS, tmp_path / "s") == 16
    table = open_table(tmp_path / "s")
    assert [table.columns["USER_ID"].value(row) for row in range(16)] == [f"u{k}" for k in range(8)] * 2
    assert [table.columns["IMPRESSION"].value(row) for row in range(16)] == [f"a|b{k}" for k in range(8)] * 2
    numbers = table.columns["EVENT_VALUE"].numbers
    assert numbers is not None
    assert numbers.tolist() == [k + 0.5 for k in range(8)] * 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("u,i,x,,,", "File a.csv, line 3, column TIMESTAMP: the value is not a long."),
        ("u,i,1.5,,,", "column TIMESTAMP: the value is not a long"),
        ("u,i,1_0,,,", "column TIMESTAMP: the value is not a long"),
        ("u,i,١,,,", "column TIMESTAMP: the value is not a long"),
        ("u,i,99999999999999999999,,,", "column TIMESTAMP: the value is not a long"),
        ("u,i,-1,,,", "column TIMESTAMP: the value must be Unix time in seconds, not negative"),
        ("u,i,,,,", "column TIMESTAMP: the value is missing"),
        (",i,1,,,", "column USER_ID: the value is missing and the schema does not allow null"),
        ("u,i,1,,nan,", "column EVENT_VALUE: the value is not a float"),
        ("u,i,1,,1e999,", "column EVENT_VALUE: the value is not a float"),
        ("u" * 257 + ",i,1,,,", "column USER_ID: the value has more than 256 characters"),
        ("u,i,1," + "x" * 1001 + ",,", "column EVENT_TYPE: the value has more than 1000 characters"),
        ("u,i", "line 3: the row has 2 values; the header asks for 6"),
        ('u,"i"x,1,,,', "line 3: the line is not readable as CSV"),
    ],
)
def test_hostile_lines(line: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(HEAD + "u,i,1,,,\n" + line + "\n", tmp_path)


def test_hostile_files(tmp_path: Path) -> None:
    columns = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,IMPRESSION"
    assert refusal("", tmp_path) == f"Input CSV is missing the following columns:[{columns.replace(',', ', ')}]."
    assert "missing the following columns:[TIMESTAMP]" in refusal(HEAD.replace("TIMESTAMP", "TIME"), tmp_path)
    assert "appears twice" in refusal("USER_ID," + HEAD, tmp_path)
    assert "column USER_ID: the value is not UTF-8" in refusal(HEAD.encode() + b"u\xff,i,1,,,\n", tmp_path)
    assert "not readable as CSV" in refusal(HEAD + '"' + "x" * 200_000, tmp_path)


def test_a_line_number_counts_the_lines_of_quoted_values(tmp_path: Path) -> None:
    assert "line 5, column TIMESTAMP" in refusal(HEAD + 'u,i,1,,,"a\nb\nc"\nu,i,x,,,\n', tmp_path)


def test_an_empty_file_is_an_empty_segment(tmp_path: Path) -> None:
    assert load(HEAD, tmp_path / "s") == 0
    merged = merge_interactions([open_table(tmp_path / "s")])
    assert (len(merged), list(merged.users)) == (0, [])


def test_merge_sorts_and_keeps_equal_events_once(tmp_path: Path) -> None:
    load(HEAD + "b,x,5,view,,\na,x,9,view,1,\na,y,3,Buy,,\n", tmp_path / "1")
    write_rows(
        [
            {"USER_ID": "a", "ITEM_ID": "x", "TIMESTAMP": 9, "EVENT_TYPE": "view", "EVENT_VALUE": 1.0},
            {"USER_ID": "a", "ITEM_ID": "z", "TIMESTAMP": 9, "EVENT_TYPE": "view"},
        ],
        EVENTS,
        tmp_path / "2",
    )
    data = merge_interactions([open_table(tmp_path / "1"), open_table(tmp_path / "2")], items=["new", "y"])
    assert list(data.items) == ["new", "y", "x", "z"]
    assert [(data.users[u], data.items[i], t) for u, i, t in zip(data.user, data.item, data.time, strict=True)] == [
        ("b", "x", 5),
        ("a", "y", 3),
        ("a", "x", 9),
        ("a", "z", 9),
    ]
    assert data.history(1).tolist() == [1, 2, 3]
    bought = select_events(data, [EventRule("buy", weight=2.0), EventRule("VIEW", threshold=1.0)])
    assert [data.items[i] for i in bought.item] == ["y", "x"]
    assert bought.weight.tolist() == [2.0, 1.0]
    assert select_events(data, []) is data


def test_the_last_row_of_an_item_wins(tmp_path: Path) -> None:
    load("ITEM_ID,GENRES,PRICE,YEAR,ADULT,ABOUT\na,Drama,1,,true,old\nb,War,2,1990,false,\n", tmp_path / "1", ITEMS)
    write_rows([{"ITEM_ID": "a", "GENRES": None, "PRICE": 3, "ADULT": False, "ABOUT": "new"}], ITEMS, tmp_path / "2")
    merged = merge_entities([open_table(tmp_path / "1"), open_table(tmp_path / "2")], order=["z"])
    assert list(merged.ids) == ["z", "a", "b"]
    assert merged.row(1) == {"GENRES": None, "PRICE": 3.0, "YEAR": None, "ADULT": 0, "ABOUT": "new"}
    assert merged.row(2) == {"GENRES": "War", "PRICE": 2.0, "YEAR": 1990, "ADULT": 0, "ABOUT": None}
    assert merged.row(0)["GENRES"] is None


def test_too_little_data_is_refused_in_the_words_of_the_service() -> None:
    few = from_arrays([0] * 10, list(range(10)), list(range(10)), 1, 10)
    with pytest.raises(ServiceError) as caught:
        check_enough(few, "Purchase")
    assert caught.value.for_caller() == "Dataset has fewer than 1000 interactions after filtering by event type: Purchase"
    one_user = from_arrays([0] * 1000, [0] * 1000, list(range(1000)), 1, 1)
    with pytest.raises(ServiceError) as caught:
        check_enough(one_user)
    assert caught.value.for_caller() == "Dataset has fewer than 25 users with at least 2 interactions each"
    check_enough(from_arrays(np.arange(1000, dtype=np.int32) % 30, [0] * 1000, list(range(1000)), 30, 1))


def test_properties_name_fields_in_camel_case() -> None:
    assert properties_row(ITEMS, '{"genres": ["A", "B"], "price": 2, "adult": true}') == {"GENRES": "A|B", "PRICE": 2, "ADULT": True}
    for bad in ("[]", "{", '{"colour": 1}', '{"price": {}}'):
        with pytest.raises(ServiceError):
            properties_row(ITEMS, bad)


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(cells, cells, st.integers(0, 2**40), st.none() | cells), min_size=1, max_size=20))
def test_any_rows_survive_the_folder(rows: list[tuple[str, str, int, str | None]]) -> None:
    given_rows = [{"USER_ID": u, "ITEM_ID": i, "TIMESTAMP": t, "EVENT_TYPE": e} for u, i, t, e in rows]
    with tempfile.TemporaryDirectory() as folder:
        write_rows(given_rows, EVENTS, Path(folder) / "s")
        table = open_table(Path(folder) / "s")
        names = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")
        assert [tuple(table.columns[name].value(row) for name in names) for row in range(table.rows)] == rows


@settings(deadline=None)
@given(st.binary(max_size=80) | st.lists(st.sampled_from([b"u", b",", b"1", b'"', b"\n", b"\xff", b"\x00", b"-"])).map(b"".join))
def test_any_bytes_are_rows_or_a_refusal(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(ServiceError):
        rows = load(HEAD.encode() + body, Path(folder) / "s")
        assert open_table(Path(folder) / "s").rows == rows
