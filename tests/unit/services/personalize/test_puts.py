"""Items that are put: the last one counts, however close together they come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from opentrail.services.personalize import events, streams
from opentrail.services.personalize.events import Plan
from tests.databases import Database

NOW = 1_700_000_000.123


def put(database: Database, *colours: str) -> None:
    """One call in the instant NOW that puts the item i1 in each colour, one after the other."""
    call: Any = SimpleNamespace(now=NOW)
    dataset: Any = SimpleNamespace(arn="d")
    with database.write() as tx:
        events._put(tx, call, Plan(None, "d", "s", [("i1", None, "", {"COLOUR": colour}) for colour in colours]), dataset)


def test_of_puts_in_the_same_instant_the_last_counts_and_readers_see_it_as_new(main_database: Database) -> None:
    put(main_database, "red")
    seen = 0.0
    for colours in (("green",), ("blue", "white"), ("black",)):
        with main_database.read() as snapshot:
            before, seen = seen, streams.updated(snapshot, "d")
        assert seen > before
        put(main_database, *colours)
        with main_database.read() as snapshot:
            assert streams.entity(snapshot, "d", "i1") == f'{{"COLOUR":"{colours[-1]}"}}'
            assert streams.entities_since(snapshot, "d", seen) == [f'{{"COLOUR":"{colours[-1]}"}}']
