"""Rules of single values: rows of streamed data, and schemas that follow one another."""

from __future__ import annotations

from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize.datasets import check_successor
from opentrail.services.personalize.engine.schemas import Field, Schema
from opentrail.services.personalize.events import checked

SCHEMA = Schema(
    "Items",
    None,
    (
        Field("ITEM_ID", "string"), Field("PRICE", "float", nullable=True), Field("STOCK", "int", nullable=True),
        Field("NEW", "boolean", nullable=True), Field("TIMESTAMP", "long", nullable=True),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        {"PRICE": 1.5, "STOCK": 3, "NEW": True, "TIMESTAMP": 0},
        {"PRICE": 2, "STOCK": -(2**31) + 1, "NEW": False, "TIMESTAMP": 2**63 - 1},
        {"PRICE": None},
    ],
)
def test_rows_that_fit(row: dict[str, Any]) -> None:
    given = {"ITEM_ID": "a", **row}
    assert checked(SCHEMA, given) == given


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"ITEM_ID": None}, "ITEM_ID"), ({"ITEM_ID": ""}, "ITEM_ID"), ({"ITEM_ID": "x" * 257}, "ITEM_ID"), ({"ITEM_ID": 5}, "ITEM_ID"),
        ({"PRICE": "1"}, "PRICE"), ({"PRICE": float("nan")}, "PRICE"), ({"PRICE": True}, "PRICE"), ({"STOCK": 2**31}, "STOCK"),
        ({"STOCK": 1.5}, "STOCK"), ({"NEW": 1}, "NEW"), ({"TIMESTAMP": -1}, "TIMESTAMP"), ({"TIMESTAMP": 2**63}, "TIMESTAMP"),
    ],
)  # fmt: skip
def test_rows_that_do_not(row: dict[str, Any], name: str) -> None:
    with pytest.raises(ServiceError) as refused:
        checked(SCHEMA, {"ITEM_ID": "a", **row})
    assert f"Field {name}" in refused.value.for_record()


def test_a_field_may_be_filled_later() -> None:
    assert checked(SCHEMA, {}, "ITEM_ID") == {}


def schema(*fields: Field) -> Schema:
    return Schema("Items", None, fields)


ID = Field("ITEM_ID", "string")


def test_a_schema_may_grow_by_fields_that_allow_null() -> None:
    check_successor(schema(ID), schema(Field("GENRE", "string", nullable=True), ID))


@pytest.mark.parametrize(
    "after",
    [
        schema(), schema(Field("ITEM_ID", "int")), schema(ID, Field("GENRE", "string")),
        Schema("Users", None, (ID,)),
    ],
)  # fmt: skip
def test_a_schema_may_not_lose_or_change_a_field(after: Schema) -> None:
    with pytest.raises(ServiceError):
        check_successor(schema(ID), after)
