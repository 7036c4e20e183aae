"""A start tells whether a schema is this release's."""

from __future__ import annotations

import pytest

from opentrail.store.databases import NAMES, Name
from opentrail.store.revision import is_current
from opentrail.store.sql import Sql
from tests.databases import MakeDatabase


@pytest.mark.parametrize("name", NAMES)
def test_a_migrated_schema_is_current_and_an_older_or_absent_one_is_not(make_database: MakeDatabase, name: Name) -> None:
    database = make_database(name)
    assert is_current(database, name)
    with database.write() as tx:
        tx.run(Sql("UPDATE schema_version SET version_num = '0000'"))
    assert not is_current(database, name)
    with database.write() as tx:
        tx.run(Sql("DROP TABLE schema_version"))
    assert not is_current(database, name)
