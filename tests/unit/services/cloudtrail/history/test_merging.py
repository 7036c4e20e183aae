"""Few segments, whatever the batches were; expired ones go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.cloudtrail.history import merging, store
from opentrail.services.cloudtrail.history.merging import pile
from opentrail.services.cloudtrail.history.segments import FULL, Stored
from opentrail.services.cloudtrail.lookup import lookup_events
from tests.unit.services.cloudtrail.world import NOW, World, fresh

DAY = 86400


@given(st.lists(st.one_of(st.integers(1, 5), st.integers(1, 2_000)), min_size=1, max_size=400))
def test_there_are_few_segments_and_none_is_written_often(batches: list[int]) -> None:
    held: list[tuple[int, int]] = []  # (id, size), oldest first
    written = position = 0
    for size in batches:
        held.append((position + 1, size))
        position += size
        while due := pile(held[::-1]):
            start = [id for id, _ in held].index(due[0])
            merged = held[start : start + len(due)]
            assert [id for id, _ in merged] == due
            assert len(due) > 1
            total = sum(size for _, size in merged)
            assert total <= FULL
            written += total
            held[start : start + len(due)] = [(due[0], total)]
    assert sum(size for _, size in held) == position
    assert len(held) <= position // (FULL // 2) + 40
    assert written <= 6 * position


def test_many_batches_that_waited_for_their_merge_leave_nothing_small_behind() -> None:
    held = [(1 + 2_000 * number, 2_000) for number in range(500)]
    while due := pile(held[::-1]):
        start = [id for id, _ in held].index(due[0])
        held[start : start + len(due)] = [(due[0], sum(size for _, size in held[start : start + len(due)]))]
    for_good = [size > FULL // 2 for _, size in held]
    assert for_good == sorted(for_good, reverse=True)
    assert for_good.count(False) < merging.PILE * 2


def test_only_what_is_newer_than_a_full_segment_is_looked_at(world: World) -> None:
    with world.history.write() as tx:
        for id, size in ((1, 3), (4, 9), (13, 2), (15, 1)):
            store.add(tx, Stored(id, 5, 6, size, size, []))
    with world.history.read() as snapshot:
        assert store.weights(snapshot, 8) == [(15, 1), (13, 2)]
        assert store.weights(snapshot, 9) == [(15, 1), (13, 2), (4, 9), (1, 3)]


def test_segments_whose_records_are_all_too_old_are_removed(world: World) -> None:
    for number, days in enumerate((95, 92, 91, 80, 1)):
        world.record(fresh(number, int(NOW) - days * DAY))
        world.follow(world.entries())
    assert not world.merge()
    with world.history.read() as snapshot:
        assert [id for id, _ in store.weights(snapshot, FULL)] == [5, 4]
    assert [event["EventId"] for event in world.read(lookup_events)["Events"]] == ["event-4", "event-3"]


def test_a_merge_leaves_every_answer_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PILE", 3)
    for number in range(7):
        world.record(fresh(number, int(NOW) - 50 + number % 3))
        world.follow(world.entries())
    before = world.read(lookup_events)
    assert world.merge()
    while world.merge():
        pass
    with world.history.read() as snapshot:
        assert len(store.weights(snapshot, FULL)) < 4
    assert world.read(lookup_events) == before
