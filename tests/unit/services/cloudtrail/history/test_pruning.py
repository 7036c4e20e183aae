"""The task that prunes Event history, on each database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from opentrail.services.cloudtrail.history import segments, store
from opentrail.services.cloudtrail.history.pruning import Pruning
from opentrail.work.lease import Lease
from tests.conftest import MakeDatabase

DAY = 86_400
NOW = 100 * DAY


def test_what_is_older_than_the_journal_goes(make_database: MakeDatabase) -> None:
    database = make_database("history")
    clock: Any = SimpleNamespace(now=lambda: float(NOW), monotonic=lambda: 0.0)
    with database.write() as tx:
        for first, age in ((1, 40), (10, 31), (20, 29), (30, 1)):
            store.add(tx, segments.build(first, first, [(NOW - age * DAY, first, (7,))]))
    task = Pruning(clock, days=30)
    lease = Lease(database, task.name, "test", clock)
    assert lease.acquire()
    assert task.step(lease)
    assert not task.step(lease)
    with database.write() as tx:
        assert [id for id, _ in store.sizes(tx, 10)] == [30, 20]
