"""Segments as data sets: rows read back, exported as CSV, and rewritten without what a deletion names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import IO

import numpy as np

from opentrail.services.personalize.engine.columns import NULL_CODE, Column, Mask, SegmentWriter, Table
from opentrail.services.personalize.engine.csv_import import ROWS_AT_ONCE
from opentrail.services.personalize.engine.schemas import Schema

Cell = str | int | float | None


def rows_of(table: Table, schema: Schema | None = None) -> Iterator[tuple[Cell, ...]]:
    """The rows of a segment, values in the order of a schema (its own, or a later one: null where it has no such field)."""
    columns = [table.columns.get(field.name) for field in (schema or table.schema).fields]
    for start in range(0, table.rows, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, table.rows)
        yield from zip(*([None] * (stop - start) if one is None else _values(one, start, stop) for one in columns), strict=True)


def export_csv(tables: Sequence[Table], schema: Schema, out: IO[str]) -> int:
    """Write segments as a CSV file of a schema that an import reads back; return the rows. Null is an empty value."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in schema.fields])
    total = 0
    booleans = [at for at, field in enumerate(schema.fields) if field.kind == "boolean"]
    for table in tables:
        for row in rows_of(table, schema):
            cells = ["" if cell is None else cell for cell in row]
            for at in booleans:
                cells[at] = "" if cells[at] == "" else "true" if cells[at] else "false"
            writer.writerow(cells)
            total += 1
    return total


def without(table: Table, name: str, ids: Set[str], folder: Path) -> int:
    """Rewrite a segment into `folder` without the rows whose `name` (USER_ID, ITEM_ID, ...) is one of `ids`; return the rows left.

    Vocabularies are built anew, so nothing of a deleted id stays in the new segment.
    """
    column = table.columns[name]
    assert column.codes is not None
    named = np.array([*(word in ids for word in column.vocabulary), False], np.bool_)
    keep: Mask = ~named[column.codes]
    writer = SegmentWriter(folder, table.schema)
    for start in range(0, table.rows, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, table.rows)
        chosen = keep[start:stop]
        count = int(chosen.sum())
        if count:
            writer.append({key: _chosen(one, start, stop, chosen) for key, one in table.columns.items()}, count)
    writer.close()
    return int(keep.sum())


def _chosen(column: Column, start: int, stop: int, keep: Mask) -> Sequence[str | None] | np.ndarray:
    if column.numbers is not None:
        return np.asarray(column.numbers[start:stop][keep])
    texts = _strings(column, start, stop)
    return [text for text, kept in zip(texts, keep.tolist(), strict=True) if kept]


def _values(column: Column, start: int, stop: int) -> Sequence[Cell]:
    if column.numbers is None:
        return _strings(column, start, stop)
    numbers = column.numbers[start:stop].tolist()
    nulls = column.nulls()[start:stop].tolist()
    return [None if null else number for number, null in zip(numbers, nulls, strict=True)]


def _strings(column: Column, start: int, stop: int) -> Sequence[str | None]:
    if column.codes is None:
        assert column.texts is not None
        return [column.texts[row] or None for row in range(start, stop)]
    used, place = np.unique(column.codes[start:stop], return_inverse=True)
    words = [None if code == NULL_CODE else column.vocabulary[code] for code in used.tolist()]
    return [words[at] for at in place.tolist()]
