"""FHIR searches give the same answers on SQLite and PostgreSQL, with the statements as the store renders them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pg8000.native
import pytest
from sqlalchemy.dialects import postgresql

from opentrail.services.healthlake.engine import everything
from opentrail.store.postgres import arguments
from opentrail.store.sql import Sql
from tests.conftest import kinds
from tests.unit.services.healthlake.engine.search.test_search import ANSWERS, RESOURCES
from tests.unit.services.healthlake.engine.support import STORE, Json, Store, ddl

OPTIONS = {"service": "http://me/r4", "now": 1_600_000_000_000}


class PostgresStore(Store):
    """The store of the unit tests on a PostgreSQL connection."""

    def __init__(self, connection: pg8000.native.Connection) -> None:
        self.connection, self.pk = connection, 0
        for statement in ddl(postgresql.dialect()):
            connection.run(statement)
        for resource in RESOURCES:
            self.add(resource)

    def run(self, text: str, values: Json) -> None:
        self.read(text, values)

    def read(self, text: str, values: Json) -> list[tuple[object, ...]]:
        names = Sql(text).names
        return [tuple(row) for row in self.connection.run(text, **{name: values[name] for name in names}) or []]


@pytest.fixture(scope="module", params=kinds())
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "sqlite":
        yield Store(RESOURCES)
        return
    address: str = request.getfixturevalue("postgres_server")
    connection = pg8000.native.Connection(**arguments(address.format("postgres")))
    connection.run("CREATE DATABASE fhir_search")
    connection.close()
    connection = pg8000.native.Connection(**arguments(address.format("fhir_search")))
    yield PostgresStore(connection)
    connection.close()


@pytest.mark.parametrize("query", ANSWERS)
def test_answers_and_totals(store: Store, query: str) -> None:
    expected = ANSWERS[query].split()
    assert sorted(store.ids(query, **OPTIONS)) == expected
    assert store.search(query + "&_total=accurate&_count=1", **OPTIONS).total == len(expected)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Observation?_sort=date", "d a b c"),
        ("Observation?_sort=-date", "c b d a"),
        ("Observation?code=1&_sort=-date", "b a"),
        ("Observation?_sort=-value-quantity", "b a c d"),
        ("Patient?_sort=gender,-birthdate", "p1 p2 p3"),
        ("Patient?_sort=family", "p1 p2 p3"),
        ("Patient?_sort=-family", "p3 p2 p1"),
        ("Patient?_sort=birthdate", "p1 p2 p3"),
        ("Patient?_sort=-_lastUpdated", "p1 p2 p3"),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 100])
def test_pages_in_order(store: Store, query: str, ids: str, count: int) -> None:
    assert store.ids(f"{query}&_count={count}") == ids.split()


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Observation?_id=a&_include=Observation:subject&_include:iterate=Patient:general-practitioner", "p1 d1"),
        ("Patient?_id=p1&_revinclude=Observation:subject&_revinclude=Encounter:patient", "a b e1"),
    ],
)
def test_includes(store: Store, query: str, ids: str) -> None:
    assert [row.id for row in store.search(query).included] == ids.split()


@pytest.mark.parametrize("compiled", [everything.compile_page, lambda e, s, n: everything.compile_total(e, s)])
def test_everything(store: Store, compiled: Callable[..., everything.Statement]) -> None:
    statement = compiled(everything.parse("p1", {"start": "2019", "_since": "2000"}), STORE, 100)
    rows = store.read(statement.text, statement.values)
    assert len(rows) == 6 or rows == [(6,)]
