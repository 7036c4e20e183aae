"""A store for tests: SQLite in memory with the real tables, and PostgreSQL when a server is given."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from opentrail.services.healthlake import tables
from opentrail.services.healthlake.engine import writes
from opentrail.services.healthlake.engine.search.parse import parse_search
from opentrail.services.healthlake.engine.search.rows import index_rows
from opentrail.services.healthlake.engine.search.run import Found, run_search
from opentrail.services.healthlake.engine.search.sql import START, After

Json = dict[str, Any]
Read = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
STORE = 7


def ddl(dialect: Any) -> list[str]:
    """The statements that make the tables."""
    found = []
    for table in tables.FHIR_TABLES:
        found.append(str(CreateTable(table).compile(dialect=dialect)))
        found += [str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=lambda i: str(i.name))]
    return found


class Store:
    """Resources in memory, indexed."""

    def __init__(self, resources: Iterable[Json] = ()) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in ddl(sqlite.dialect()):
            self.database.execute(statement)
        self.pk = 0
        for resource in resources:
            self.add(resource)

    def run(self, text: str, values: Json) -> None:
        self.database.execute(text, values)

    def read(self, text: str, values: Json) -> list[tuple[Any, ...]]:
        return self.database.execute(text, values).fetchall()

    def add(self, resource: Json, store: int = STORE, updated: int = 1_600_000_000_000) -> int:
        """Store a new resource; its pk."""
        self.pk += 1
        row = {"pk": self.pk, "store": store, "type": resource["resourceType"], "id": resource["id"], "updated": updated}
        columns = "pk, store, type, id, version, updated, deleted, body, change"
        text = f"INSERT INTO fhir_current ({columns}) VALUES (:pk, :store, :type, :id, 1, :updated, 0, :body, :pk)"
        self.run(text, {**row, "body": msgspec.json.encode(resource)})
        for table, rows in index_rows(resource).by_table():
            for values in writes.values_of(table, rows, store, self.pk):
                self.run(writes.insert_text(table), values)
        return self.pk

    def search(self, query: str, after: After = START, **options: Any) -> Found:
        """The page of `Type?name=value&...`."""
        kind, _, rest = query.partition("?")
        pairs = [(p.partition("=")[0], p.partition("=")[2]) for p in rest.split("&") if p]
        return run_search(self.read, parse_search(kind, pairs, **options), STORE, after)

    def ids(self, query: str, **options: Any) -> list[str]:
        """The ids of all matches, over all pages."""
        found: list[str] = []
        after: After | None = START
        while after is not None:
            page = self.search(query, after, **options)
            found += [row.id for row in page.matches]
            after = page.next
        return found
