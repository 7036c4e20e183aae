"""CSV into a segment: streamed in chunks, every value checked against the schema, errors naming file, line and column.

Rules and texts are those of "Data format guidelines" and "Error messages" of the Personalize developer guide.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from opentrail.kernel.errors import Content
from opentrail.services.personalize.engine.columns import NULL_LONG, Numbers, SegmentWriter, number_type
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.schemas import Field, Schema

ROWS_AT_ONCE = 65_536
LONGEST_ID = 256
LONGEST_STRING = 1_000
LONGEST_TEXT = 20_000
_IDS = ("USER_ID", "ITEM_ID", "ACTION_ID")
_TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was read: the file's name and its line, for error texts."""

    file: str
    line: int


def import_csv(sources: Iterable[tuple[str, BinaryIO]], schema: Schema, folder: Path) -> int:
    """Read CSV files (name, bytes) into a new segment `folder`; return the rows. On refusal nothing is left behind."""
    writer = SegmentWriter(folder, schema)
    total = 0
    try:
        for name, stream in sources:
            for lines, rows, header in _chunks(name, stream, schema):
                writer.append(_columns(name, lines, rows, header, schema), len(rows))
                total += len(rows)
        writer.close()
    except BaseException:
        writer.abandon()
        shutil.rmtree(folder)
        raise
    return total


def write_rows(rows: Sequence[Mapping[str, str | float | bool | None]], schema: Schema, folder: Path) -> int:
    """Write streamed rows (events, items, users; absent keys are null) into a new segment `folder`; return their number."""
    texts = [["" if row.get(f.name) is None else _as_text(row[f.name]) for f in schema.fields] for row in rows]
    header = {field.name: position for position, field in enumerate(schema.fields)}
    columns = _columns("the request", list(range(1, len(rows) + 1)), texts, header, schema)
    writer = SegmentWriter(folder, schema)
    if rows:
        writer.append(columns, len(rows))
    writer.close()
    return len(rows)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _chunks(name: str, stream: BinaryIO, schema: Schema) -> Iterator[tuple[list[int], list[list[str]], dict[str, int]]]:
    # Undecodable bytes survive as lone surrogates and are found, with their line, when the value is checked.
    reader = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline=""), strict=True)
    try:
        header = _header(name, next(reader, []), schema)
        width = 1 + max(header.values())
        lines: list[int] = []
        rows: list[list[str]] = []
        for row in reader:
            if not row:
                continue
            if len(row) < width:
                raise InvalidInput(
                    "File {file}, line {line}: the row has {n} values; the header asks for {width}.",
                    file=Content(name),
                    line=reader.line_num,
                    n=len(row),
                    width=width,
                )
            lines.append(reader.line_num)
            rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                yield lines, rows, header
                lines, rows = [], []
        if rows:
            yield lines, rows, header
    except csv.Error:
        raise InvalidInput(
            "File {file}, line {line}: the line is not readable as CSV (check its quotes).", file=Content(name), line=reader.line_num
        ) from None


def _header(name: str, names: Sequence[str], schema: Schema) -> dict[str, int]:
    header: dict[str, int] = {}
    for position, column in enumerate(names):
        if column.strip() in header:
            raise InvalidInput("File {file}: column {column} appears twice.", file=Content(name), column=Content(column))
        header[column.strip()] = position
    missing = [field.name for field in schema.fields if field.name not in header]
    if missing:
        raise InvalidInput("Input CSV is missing the following columns:[{missing}].", missing=", ".join(missing))
    return {field.name: header[field.name] for field in schema.fields}


def _columns(
    name: str, lines: Sequence[int], rows: Sequence[Sequence[str]], header: Mapping[str, int], schema: Schema
) -> dict[str, Sequence[str | None] | Numbers]:
    columns: dict[str, Sequence[str | None] | Numbers] = {}
    for field in schema.fields:
        at = header[field.name]
        values = [row[at] for row in rows]
        read = _strings if field.kind == "string" else _numbers
        try:
            columns[field.name] = read(values, field)
        except _BadValue as bad:
            raise InvalidInput(
                "File {file}, line {line}, column {column}: {rule}.",
                file=Content(name),
                line=lines[bad.row],
                column=field.name,
                rule=bad.rule,
            ) from None
    return columns


class _BadValue(Exception):
    def __init__(self, row: int, rule: str) -> None:
        super().__init__(rule)
        self.row = row
        self.rule = rule


def _strings(values: Sequence[str], field: Field) -> Sequence[str | None]:
    longest = LONGEST_ID if field.name in _IDS else LONGEST_TEXT if field.textual else LONGEST_STRING
    if all(values) and max(map(len, values), default=0) <= longest and "".join(values).isascii():
        return values
    for row, value in enumerate(values):
        if not value and not field.nullable:
            raise _BadValue(row, "the value is missing and the schema does not allow null")
        if len(value) > longest:
            raise _BadValue(row, f"the value has more than {longest} characters")
        if not value.isascii() and not _encodable(value):
            raise _BadValue(row, "the value is not UTF-8")
    return [value or None for value in values]


def _encodable(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _numbers(values: Sequence[str], field: Field) -> Numbers:
    joined = "".join(values)
    clean = joined.isascii() and "_" not in joined and all(values)
    if clean and field.kind != "boolean":
        try:
            quick = np.array(list(map(float if number_type(field.kind) is np.float64 else int, values)), number_type(field.kind))
            if _in_range(quick, field):
                return quick
        except (ValueError, OverflowError):
            pass  # the slow way names the row
    return np.array([_number(row, value.strip(), field) for row, value in enumerate(values)], number_type(field.kind))


def _in_range(numbers: Numbers, field: Field) -> bool:
    if numbers.dtype == np.float64:
        return bool(np.isfinite(numbers).all())
    low = 0 if field.name == "TIMESTAMP" else -(2**31) if field.kind == "int" else NULL_LONG + 1
    high = 2**31 - 1 if field.kind == "int" else 2**63 - 1
    return not len(numbers) or bool(low <= numbers.min() and numbers.max() <= high)


def _number(row: int, value: str, field: Field) -> int | float:
    if not value:
        if field.nullable:
            return math.nan if number_type(field.kind) is np.float64 else int(NULL_LONG)
        raise _BadValue(row, "the value is missing and the schema does not allow null")
    if field.kind == "boolean":
        if value.lower() not in _TRUTH:
            raise _BadValue(row, "the value must be true or false")
        return _TRUTH[value.lower()]
    wrong = _BadValue(row, f"the value is not a {field.kind}")
    if not value.isascii() or "_" in value:
        raise wrong
    try:
        number = np.array([(float if number_type(field.kind) is np.float64 else int)(value)], number_type(field.kind))
    except (ValueError, OverflowError):
        raise wrong from None
    if not _in_range(number, field):
        raise _BadValue(row, "the value must be Unix time in seconds, not negative") if field.name == "TIMESTAMP" else wrong
    return float(number[0]) if number.dtype == np.float64 else int(number[0])
