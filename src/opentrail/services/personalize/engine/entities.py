"""Items, users and actions with their attributes: segments merged by id (the last row of an id wins), aligned to an order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import (
    NULL_CODE,
    NULL_LONG,
    Amended,
    Column,
    Table,
    Texts,
    is_coded,
    is_text,
    number_type,
)
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.schemas import Field, Schema

_KEYS = {"Items": "ITEM_ID", "Users": "USER_ID", "Actions": "ACTION_ID"}


@dataclass(frozen=True, slots=True)
class Entities:
    """Attributes of `ids`, one row each; `columns` by field name, without the id itself."""

    ids: Sequence[str]
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, at: int) -> dict[str, str | int | float | None]:
        """All attributes of one row."""
        return {name: column.value(at) for name, column in self.columns.items()}


def merge_entities(tables: Sequence[Table], order: Sequence[str] = ()) -> Entities:
    """Merge segments of Items, Users or Actions (oldest first): `order` first, then new ids as they come; absent values are null."""
    position = dict(zip(order, range(len(order)), strict=True))
    places = []
    for table in tables:
        ids = table.columns[_KEYS[table.schema.name]]
        assert ids.codes is not None
        moved = np.array([position.setdefault(word, len(position)) for word in ids.vocabulary], np.int64)
        places.append(moved[ids.codes] if table.rows else np.zeros(0, np.int64))
    fields = {f.name: f for table in tables for f in table.schema.fields if f.name != _KEYS[table.schema.name]}
    return Entities(list(position), {name: _merge(f, tables, places, len(position)) for name, f in fields.items()})


def _merge(field: Field, tables: Sequence[Table], places: Sequence[NDArray[np.int64]], rows: int) -> Column:
    pairs = [(table.columns[field.name], at) for table, at in zip(tables, places, strict=True) if field.name in table.columns]
    if is_coded(field):
        words: dict[str, int] = {}
        codes = np.full(rows, NULL_CODE, np.int32)
        for column, at in pairs:
            if column.codes is not None and len(at):
                moved = np.array([*(words.setdefault(word, len(words)) for word in column.vocabulary), NULL_CODE], np.int32)
                codes[at] = moved[column.codes]
        return Column(field, codes=codes, vocabulary=list(words))
    if is_text(field):
        texts = [""] * rows
        for column, at in pairs:
            for place, text in zip(at.tolist(), column.texts or (), strict=True):
                texts[place] = text
        return Column(field, texts=Texts.of(texts))
    dtype = number_type(field.kind)
    numbers = np.full(rows, np.nan if dtype is np.float64 else NULL_LONG, dtype)
    for column, at in pairs:
        if column.numbers is not None:
            numbers[at] = column.numbers
    return Column(field, numbers=numbers)


def head(entities: Entities, rows: int) -> Entities:
    """The first rows only."""
    return Entities(entities.ids[:rows], {name: _cut(column, rows) for name, column in entities.columns.items()})


def _cut(column: Column, rows: int) -> Column:
    if column.codes is not None:
        return replace(column, codes=column.codes[:rows])
    return column if column.numbers is None else replace(column, numbers=column.numbers[:rows])


def amended(entities: Entities, rows: Mapping[int, Mapping[str, object]]) -> Entities:
    """The same entities with other attributes in some rows (position -> the whole new row; what it does not name is null)."""
    return Entities(entities.ids, {name: _amended(column, name, rows) for name, column in entities.columns.items()})


def _amended(column: Column, name: str, rows: Mapping[int, Mapping[str, object]]) -> Column:
    if column.texts is not None:
        return replace(column, texts=Amended(column.texts, {at: str(row.get(name) or "") for at, row in rows.items()}))
    if column.codes is not None:
        words, codes = list(column.vocabulary), column.codes.copy()
        for at, row in rows.items():
            value = row.get(name)
            if value is not None and value not in words:
                words.append(str(value))
            codes[at] = NULL_CODE if value is None else words.index(str(value))
        return replace(column, codes=codes, vocabulary=words)
    assert column.numbers is not None
    numbers = column.numbers.copy()
    for at, row in rows.items():
        number = row.get(name)
        numbers[at] = (np.nan if numbers.dtype == np.float64 else NULL_LONG) if number is None else number
    return replace(column, numbers=numbers)


def properties_row(schema: Schema, properties: str) -> dict[str, str | int | float | bool | None]:
    """The row that a `properties` JSON text of PutEvents, PutItems or PutUsers stands for: camelCase keys name UPPER_SNAKE fields."""
    try:
        given = json.loads(properties)
    except (json.JSONDecodeError, RecursionError):
        raise InvalidInput("The properties are not a JSON object.") from None
    if not isinstance(given, dict):
        raise InvalidInput("The properties are not a JSON object.")
    names = {field.name.replace("_", "").upper(): field.name for field in schema.fields}
    row: dict[str, str | int | float | bool | None] = {}
    for key, value in given.items():
        name = names.get(key.replace("_", "").upper())
        if name is None:
            raise InvalidInput("The properties hold a key that is no field of the {record} schema.", record=schema.name)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            value = "|".join(value)
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise InvalidInput("Property {name}: the value must be text, a number, true, false or null.", name=name)
        row[name] = value
    return row
