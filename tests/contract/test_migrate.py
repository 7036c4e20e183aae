"""A schema is made whole or not at all: a start that dies or fails in the middle leaves nothing that the next one stumbles over."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from opentrail.store.database import Broken
from opentrail.store.databases import NAMES, Name
from opentrail.store.migrate import engine, migrate
from opentrail.store.revision import is_current
from opentrail.store.sql import Sql
from tests.databases import Database, MakeDatabase

LAST = {"main": "s3_upload", "history": "history_segment", "delivery": "signing_key"}
"""A table that the first migration makes at its end."""


def tables(database: Database, name: Name) -> set[str]:
    schema = None if database.dialect == "sqlite" else f"opentrail_{name}"
    with engine(database).begin() as connection:
        return set(inspect(connection).get_table_names(schema=schema))


@pytest.mark.parametrize("name", NAMES)
def test_a_migration_that_fails_at_its_end_leaves_nothing(make_database: MakeDatabase, name: Name) -> None:
    database = make_database(name)
    whole = tables(database, name)
    more = "" if database.dialect == "sqlite" else " CASCADE"
    assert whole > {LAST[name], "schema_version"}
    with database.write() as tx:
        for table in whole - {LAST[name]}:
            tx.run(Sql(f"DROP TABLE {table}{more}"))
    for _ in range(2):
        with pytest.raises(Broken, match=f"the {name} database cannot be brought to this release"):
            migrate(database, name)
        assert tables(database, name) == {LAST[name]}
        assert not is_current(database, name)
    with database.write() as tx:
        tx.run(Sql(f"DROP TABLE {LAST[name]}"))
    migrate(database, name)
    assert tables(database, name) == whole
    assert is_current(database, name)
    migrate(database, name)
    assert tables(database, name) == whole
