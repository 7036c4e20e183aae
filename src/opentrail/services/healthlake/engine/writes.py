"""The index rows of a resource as statement values: what to insert and delete when it is stored, changed or removed."""

from collections.abc import Iterator
from typing import Any

from opentrail.services.healthlake.engine.search.rows import IndexRows

COLUMNS: dict[str, tuple[str, ...]] = {
    "token": ("code", "system"),
    "reference": ("id", "type", "base"),
    "string": ("folded", "exact"),
    "date": ("starts", "ends"),
    "quantity": ("low", "high", "unit", "system"),
    "uri": ("value",),
    "composite": ("code", "system", "text", "text_system", "low", "high", "low2", "high2"),
}
"""The columns of each index table after store, path and pk, in the order of the engine's rows."""


def insert_text(table: str) -> str:
    """The INSERT of one row into an index table."""
    names = ("store", "path", "pk", *COLUMNS[table])
    return f"INSERT INTO fhir_{table} ({','.join(names)}) VALUES ({','.join(':' + n for n in names)})"


def delete_text(table: str) -> str:
    """The DELETE of one row of an index table."""
    names = ("store", "path", "pk", *COLUMNS[table])
    return f"DELETE FROM fhir_{table} WHERE {' AND '.join(f'{n}=:{n}' for n in names)}"


def values_of(table: str, rows: list[tuple[Any, ...]], store: int, pk: int) -> list[dict[str, Any]]:
    """The rows of one table as statement values."""
    names = COLUMNS[table]
    return [{"store": store, "path": row[0], "pk": pk, **dict(zip(names, row[1:], strict=True))} for row in rows]


def changes(old: IndexRows, new: IndexRows) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """(table, rows to delete, rows to insert) of each table that differs: the old rows come from indexing the old body again."""
    for (table, before), (_, now) in zip(old.by_table(), new.by_table(), strict=True):
        gone, fresh = set(before) - set(now), set(now) - set(before)
        if gone or fresh:
            yield table, [row for row in before if row in gone], [row for row in now if row in fresh]
