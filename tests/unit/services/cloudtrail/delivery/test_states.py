"""Any order of calls, changes of trails, flushes, crashes and outages: every record in the end exactly once in its bucket."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from opentrail.record.selectors import EventSelector
from tests.unit.services.cloudtrail.deliveries import BUCKET, Crash, World, on_sqlite, trail
from tests.unit.services.cloudtrail.delivery.test_delivery import POINTS
from tests.unit.services.cloudtrail.validate_logs import validate_logs

ALL_POINTS = (*POINTS, "digests: before commit", "digests: after commit", "digest put: before commit", "digest put: after commit")
WRITES_ONLY = (EventSelector(read_write_type="WriteOnly"),)


class Deliveries(RuleBasedStateMachine):
    """`expected` are the eventIDs that the trail selected, as the rules of the user guide say."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world: World = on_sqlite(Path(self.folder.name))
        self.expected: list[str] = []
        self.now = trail(logging=False)

    @initialize()
    def begin(self) -> None:
        self.change(logging=True, validated=True, reads=True)

    @rule(count=st.integers(1, 5))
    def calls(self, count: int) -> None:
        fresh = self.world.calls(count)
        if self.now.logging and self.now.event_selectors != WRITES_ONLY:
            self.expected += fresh

    @rule(logging=st.booleans(), validated=st.booleans(), reads=st.booleans())
    def change(self, logging: bool, validated: bool, reads: bool) -> None:
        selectors = (EventSelector(),) if reads else WRITES_ONLY
        self.now = trail(logging=logging, log_file_validation=validated, event_selectors=selectors)
        id = self.world.change(self.now)
        if logging and reads:
            self.expected.append(id)

    @rule(seconds=st.sampled_from([0.3, 1, 4, 11, 70]))
    def time(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule(point=st.none() | st.sampled_from(ALL_POINTS), after=st.integers(0, 2))
    def work(self, point: str | None, after: int) -> None:
        if point:
            self.world.faults.arm(point, after)
        try:
            self.world.flush()
            self.world.digest()
        except Crash:
            self.world.restart()
        self.world.faults.armed.clear()

    @rule(down=st.booleans())
    def outage(self, down: bool) -> None:
        self.world.buckets.down = {BUCKET: "NoSuchBucket"} if down else {}

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def nothing_is_delivered_twice_or_uncalled_for(self) -> None:
        found = self.world.buckets.event_ids()
        assert len(found) == len(set(found))
        assert set(found) <= set(self.expected)

    def teardown(self) -> None:
        self.world.buckets.down = {}
        for _ in range(4):
            self.world.tick(70)
            self.world.flush()
            self.world.digest()
        assert sorted(self.world.buckets.event_ids()) == sorted(self.expected)
        mine = trail()
        assert self.world.wrong(mine) == []
        assert validate_logs(self.world, mine).status == 0
        for database in (self.world.main, self.world.own):
            database.close()
        self.folder.cleanup()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
