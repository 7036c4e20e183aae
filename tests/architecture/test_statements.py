"""Settled statements: what is cached under the state epoch is never changed by a statement that does not move it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping

import opentrail
from opentrail.store.sql import Sql

WRITES = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", re.IGNORECASE)
READS = re.compile(r"(?:FROM|JOIN)\s+(\w+)", re.IGNORECASE)


def statements() -> list[Sql]:
    names = [module.name for module in pkgutil.walk_packages(opentrail.__path__, "opentrail.")]
    modules = [importlib.import_module(name) for name in names if ".deep" not in name and "migrations" not in name]
    return list({id(one): one for module in modules for one in within(vars(module).values())}.values())


def within(values: Iterable[object]) -> Iterator[Sql]:
    """The statements among these values and in their mappings and sequences."""
    for value in values:
        if isinstance(value, Sql):
            yield value
        elif isinstance(value, Mapping):
            yield from within(one for one in value.values() if isinstance(one, Sql | tuple | list))
        elif isinstance(value, tuple | list):
            yield from within(one for one in value if isinstance(one, Sql | tuple | list))


def unsettling(found: list[Sql]) -> list[str]:
    """Statements that change a table which a settled one reads, and are not settled."""
    writes = {id(one): match[1] for one in found if (match := WRITES.match(one.text.lstrip()))}
    tables = {table for one in found if one.settled and id(one) not in writes for table in READS.findall(one.text)}
    return [one.text for one in found if writes.get(id(one)) in tables and not one.settled]


def test_every_change_of_a_settled_table_moves_the_epoch() -> None:
    found = statements()
    assert sum(one.settled for one in found) > 8
    assert unsettling(found) == []


def test_the_rule_is_seen_to_be_broken() -> None:
    read = Sql("SELECT a FROM t WHERE b = :b", settled=True)
    assert unsettling([read, Sql("UPDATE t SET a = 1"), Sql("UPDATE t SET a = 2", settled=True), Sql("DELETE FROM u")]) == [
        "UPDATE t SET a = 1"
    ]
