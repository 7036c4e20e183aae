"""The journal's verification names the first bad position."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from opentrail.journal.read import head
from opentrail.journal.verify import checkpoint, verify
from opentrail.store.sql import Sql, Tx
from tests.unit.services.cloudtrail.deliveries import World, on_sqlite, record


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = on_sqlite(tmp_path)
    made.calls(6)
    return made


def damage(world: World, change: Callable[[Tx], object]) -> None:
    writer = world.main.writer()
    writer.begin(writes=True)
    change(writer.enter())
    writer.leave()
    writer.commit()


def test_a_whole_journal_has_nothing_wrong(world: World) -> None:
    with world.main.read() as snapshot:
        verdict = verify(snapshot)
        assert (verdict.records, verdict.position, verdict.bad, verdict.why) == (6, 6, None, "")
        assert verdict.root == head(snapshot).root


@pytest.mark.parametrize(
    ("statement", "bad", "why"),
    [
        ("DELETE FROM journal WHERE position = 4", 4, "a position is missing"),
        ("DELETE FROM journal WHERE position = 1", 1, "a position is missing"),
        ("DELETE FROM journal WHERE position > 4", 5, "the newest records are missing"),
        ("UPDATE journal_head SET position = 5", 6, "records lie after the head"),
        ("UPDATE journal SET account = '999999999999' WHERE position = 3", 3, "are not the record's"),
        ("UPDATE journal SET region = 'eu-west-1' WHERE position = 2", 2, "are not the record's"),
        ("UPDATE journal SET category = 1 WHERE position = 2", 2, "are not the record's"),
        ("UPDATE journal SET time = time + 1 WHERE position = 5", 5, "are not the record's"),
    ],
)
def test_damage_is_named_by_position(world: World, statement: str, bad: int, why: str) -> None:
    damage(world, lambda tx: tx.run(Sql(statement)))
    with world.main.read() as snapshot:
        verdict = verify(snapshot)
    assert verdict.bad == bad
    assert why in verdict.why


def test_a_changed_record_breaks_the_hash_and_checkpoints_narrow_it_down(world: World) -> None:
    roots: dict[int, bytes] = {}
    with world.main.read() as snapshot:
        roots[6] = head(snapshot).root
    world.calls(6)
    with world.main.read() as snapshot:
        roots[12] = head(snapshot).root
    world.calls(2)
    body = record("another", world.clock.time)
    damage(world, lambda tx: tx.run(Sql("UPDATE journal SET record = :record WHERE position = 9"), record=body))
    with world.main.read() as snapshot:
        assert verify(snapshot).bad == 1
        found = checkpoint(snapshot, roots)
    assert (found.bad, found.position) == (7, 12)


def test_two_records_that_changed_places_are_found(world: World) -> None:
    damage(world, lambda tx: tx.run(Sql("UPDATE journal SET position = -position WHERE position IN (2, 3)")))
    damage(world, lambda tx: tx.run(Sql("UPDATE journal SET position = 5 + position WHERE position < 0")))
    with world.main.read() as snapshot:
        assert "the running hash does not fit" in verify(snapshot).why
