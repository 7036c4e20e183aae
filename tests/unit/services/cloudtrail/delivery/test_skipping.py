"""Planning does not read what no trail wants, and plans the same as if it did."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.cloudtrail.delivery import store
from opentrail.services.cloudtrail.digests import chains
from opentrail.work import follower
from opentrail.work.follower import Following
from tests.unit.services.cloudtrail.deliveries import HOME, World, on_sqlite, trail
from tests.unit.services.cloudtrail.delivery.test_delivery import WRITES_ONLY

MOVES = (
    "calls",
    "abroad",
    "start a",
    "stop a",
    "start b",
    "stop b",
    "no validation",
    "delete a",
    "move a",
    "writes a",
    "plan",
    "digest",
    "tick",
)


def move(world: World, step: str) -> None:
    """One move of the game."""
    name = step[-1]
    if step == "calls":
        world.calls(3)
    elif step == "abroad":
        world.calls(1, region="eu-west-1")
    elif step == "plan":
        world.flush()
    elif step == "digest":
        world.digest()
    elif step == "tick":
        world.tick(7)
    elif step == "delete a":
        world.change(trail("a"), deleted=True)
    elif step == "move a":
        world.change(trail("a", prefix="moved"))
    elif step == "writes a":
        world.change(trail("a", event_selectors=WRITES_ONLY))
    elif step == "no validation":
        world.change(trail("a", log_file_validation=False))
    else:
        world.change(trail(name, logging=step.startswith("start"), multi_region=name == "b"))


def played(world: World, steps: list[str]) -> tuple[object, ...]:
    """What was planned after all moves, and where the follower stands."""
    for step in steps:
        move(world, step)
    world.flush()
    world.digest()
    with world.own.read() as view:
        planned = [store.of_trail(view, trail(name).arn) for name in "ab"], chains.open_chains(view)
    return *planned, sorted(world.buckets.objects), follower_position(world)


def follower_position(world: World) -> int:
    lease = world.leases["delivery"]
    assert lease.acquire()
    return lease.position()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=14))
def test_the_plan_is_the_same_as_if_every_entry_were_read(steps: list[str]) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        skipping, reading = on_sqlite(Path(one)), on_sqlite(Path(two))
        everything = dataclasses.replace(reading.following._follower, skip=follower.nothing_skipped)
        reading.following = Following(everything, reading.main)
        assert played(skipping, steps) == played(reading, steps)
        for world in (skipping, reading):
            world.main.close()
            world.own.close()


def test_what_no_trail_wants_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = on_sqlite(tmp_path)
    read: list[int] = []
    batch = follower.batch

    def counted(*arguments: object) -> object:
        found = batch(*arguments)  # type: ignore[arg-type]
        read.append(len(found[0]))
        return found

    monkeypatch.setattr(follower, "batch", counted)
    world.calls(50)
    world.plan()
    assert (sum(read), follower_position(world)) == (0, 50)
    world.change(trail())
    ids = world.calls(5)
    world.flush()
    assert (sum(read), follower_position(world)) == (6, 56)
    assert set(ids) <= set(world.buckets.event_ids())
    world.change(trail(logging=False))
    world.calls(2)
    world.plan()
    assert sum(read) == 9
    world.calls(40, region=HOME)
    world.plan()
    assert (sum(read), follower_position(world)) == (9, 99)
