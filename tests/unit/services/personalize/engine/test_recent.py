"""Recent events: sessions join their users, newest events stay, equal ones count once."""

from __future__ import annotations

from opentrail.services.personalize.engine.filter_plan import Event
from opentrail.services.personalize.engine.recent import LONGEST, RecentEvents


def test_a_session_joins_the_user_it_names() -> None:
    recent = RecentEvents()
    recent.add(Event(1, 10), session="s")
    recent.add(Event(2, 20), session="s")
    assert [event.item for event in recent.of(session="s")] == [1, 2]
    assert recent.of(user="ann") == ()
    recent.add(Event(3, 30), session="s", user="ann")
    assert [event.item for event in recent.of(user="ann")] == [1, 2, 3]
    recent.add(Event(4, 40), session="s")
    assert [event.item for event in recent.of(session="s")] == [1, 2, 3, 4]
    assert recent.of(user="ann") == recent.of(session="s")
    recent.forget("ann")
    assert recent.of(user="ann") == recent.of(session="s") == ()


def test_equal_events_count_once_and_order_is_by_time() -> None:
    recent = RecentEvents()
    for event in (Event(1, 10, {"EVENT_TYPE": "view"}), Event(2, 5), Event(1, 10, {"EVENT_TYPE": "view"})):
        recent.add(event, user="ann")
    assert [event.item for event in recent.of(user="ann")] == [2, 1]


def test_the_newest_are_kept_and_rare_types_survive() -> None:
    recent = RecentEvents()
    recent.add(Event(0, 0, {"EVENT_TYPE": "buy"}), user="ann")
    for time in range(1, 5 * LONGEST):
        recent.add(Event(time, time, {"EVENT_TYPE": "view"}), user="ann")
    kept = recent.of(user="ann")
    assert len(kept) <= 2 * LONGEST
    assert kept[0].item == 0
    assert [event.item for event in kept[-LONGEST:]] == list(range(4 * LONGEST, 5 * LONGEST))
