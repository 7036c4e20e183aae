"""Segments exported and imported again are the same rows; what is deleted is gone from every file."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.csv_import import import_csv, write_rows
from opentrail.services.personalize.engine.schemas import Field
from opentrail.services.personalize.engine.segments import export_csv, rows_of, without

from .test_csv_import import EVENTS, ITEMS


def test_export_reads_back(tmp_path: Path) -> None:
    rows: list[dict[str, str | float | bool | None]] = [
        {"ITEM_ID": 'a,"1"', "GENRES": "x|y", "PRICE": 0.1, "YEAR": -3, "ADULT": True, "ABOUT": "two\nlines"},
        {"ITEM_ID": "b", "ADULT": False},
    ]
    write_rows(rows, ITEMS, tmp_path / "1")
    first = open_table(tmp_path / "1")
    out = io.StringIO(newline="")
    assert export_csv([first, first], ITEMS, out) == 4
    assert import_csv([("x.csv", io.BytesIO(out.getvalue().encode()))], ITEMS, tmp_path / "2") == 4
    assert list(rows_of(open_table(tmp_path / "2"))) == list(rows_of(first)) * 2
    # A schema that came later has fields which older segments lack.
    wider = replace(ITEMS, fields=(*ITEMS.fields, Field("COLOUR", "string", nullable=True)))
    out = io.StringIO(newline="")
    assert export_csv([first], wider, out) == 2
    header, row = out.getvalue().splitlines()[:2]
    assert header.endswith(",COLOUR")
    assert row.startswith('"a,""1"""')
    assert export_csv([], EVENTS, io.StringIO()) == 0


def test_a_deleted_user_leaves_nothing(tmp_path: Path) -> None:
    rows: list[dict[str, str | float | bool | None]] = [
        {"USER_ID": f"user-{n % 3}", "ITEM_ID": f"item-{n}", "TIMESTAMP": n, "EVENT_TYPE": "view", "IMPRESSION": f"seen-{n}"}
        for n in range(9)
    ]
    write_rows(rows, EVENTS, tmp_path / "1")
    table = open_table(tmp_path / "1")
    assert without(table, "USER_ID", {"user-1", "nobody"}, tmp_path / "2") == 6
    left = open_table(tmp_path / "2")
    assert list(rows_of(left)) == [row for row in rows_of(table) if row[0] != "user-1"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "2").iterdir())
    assert b"user-1" not in written
    assert b"seen-4" not in written
    assert without(table, "USER_ID", {"user-0", "user-1", "user-2"}, tmp_path / "3") == 0
    assert list(rows_of(open_table(tmp_path / "3"))) == []
