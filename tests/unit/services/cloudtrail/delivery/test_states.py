"""Any order of calls, changes, moves and deletions of a trail, flushes, crashes and outages: every record in the end exactly once in
its place."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from opentrail.record.selectors import EventSelector
from opentrail.services.cloudtrail.findings import Place as Delivered
from opentrail.services.cloudtrail.verify import verify
from opentrail.services.cloudtrail.versions import TrailConfiguration
from tests.unit.services.cloudtrail.deliveries import BUCKET, FINGERPRINT, PUBLIC, Crash, World, on_sqlite, trail
from tests.unit.services.cloudtrail.delivery.test_delivery import POINTS, WRITES_ONLY
from tests.unit.services.cloudtrail.validate_logs import validate_logs

ALL_POINTS = (*POINTS, "digests: before commit", "digests: after commit", "digest put: before commit", "digest put: after commit")
BUCKETS = (BUCKET, "second")
PREFIXES = ("", "p")
Place = tuple[str, str]


def wants(trail: TrailConfiguration) -> bool:
    """Whether the trail wants this world's records, which are all of read-only calls."""
    return trail.logging and trail.event_selectors != WRITES_ONLY


class Deliveries(RuleBasedStateMachine):
    """`expected` are the eventIDs that the trail selected, as the rules of the user guide say, with the place of each. The call that
    changes the trail lies where it delivered until then; what it did not want then, where it delivers from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world: World = on_sqlite(Path(self.folder.name))
        self.expected: dict[str, Place] = {}
        self.now = trail(logging=False)

    @initialize()
    def begin(self) -> None:
        self.change(logging=True, validated=True, reads=True, bucket=BUCKET, prefix="")

    @rule(count=st.integers(1, 5))
    def calls(self, count: int) -> None:
        fresh = self.world.calls(count)
        for id in fresh:
            self.expect(id, self.now)

    def expect(self, id: str, *judges: TrailConfiguration) -> None:
        """The first that wants the record gets it."""
        for judge in judges:
            if wants(judge):
                self.expected.setdefault(id, (judge.bucket, judge.prefix))

    @rule(
        logging=st.booleans(),
        validated=st.booleans(),
        reads=st.booleans(),
        bucket=st.sampled_from(BUCKETS),
        prefix=st.sampled_from(PREFIXES),
    )
    def change(self, logging: bool, validated: bool, reads: bool, bucket: str, prefix: str) -> None:
        selectors = (EventSelector(),) if reads else WRITES_ONLY
        before = self.now
        self.now = trail(logging=logging, log_file_validation=validated, event_selectors=selectors, bucket=bucket, prefix=prefix)
        self.expect(self.world.change(self.now), before, self.now)

    @rule(recreated=st.booleans())
    def delete(self, recreated: bool) -> None:
        """DeleteTrail, and perhaps a trail of the same name with the very next calls."""
        before, self.now = self.now, msgspec.structs.replace(self.now, logging=False)
        self.expect(self.world.change(self.now, deleted=True), before)
        if recreated:
            self.world.change(self.now)
            self.change(True, True, True, self.now.bucket, self.now.prefix)

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

    @rule(down=st.sets(st.sampled_from(BUCKETS)))
    def outage(self, down: set[str]) -> None:
        self.world.buckets.down = dict.fromkeys(down, "NoSuchBucket")

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def nothing_is_delivered_twice_or_uncalled_for(self) -> None:
        assert self.delivered().items() <= self.expected.items()

    def delivered(self) -> dict[str, Place]:
        """Where each eventID lies, which no other file has."""
        found: dict[str, Place] = {}
        for bucket in BUCKETS:
            for key in self.world.buckets.named(bucket=bucket):
                for record in json.loads(gzip.decompress(self.world.buckets.objects[bucket, key].body))["Records"]:
                    assert record["eventID"] not in found, "delivered twice"
                    found[record["eventID"]] = bucket, key.partition("AWSLogs/")[0].rstrip("/")
        return found

    def teardown(self) -> None:
        self.world.buckets.down = {}
        for _ in range(4):
            self.world.tick(70)
            self.world.flush()
            self.world.digest()
        assert self.delivered() == self.expected
        for rows in self.world.rows(self.now), None:
            places = [Delivered(self.now.bucket, self.now.prefix)] if rows is None else []
            report = verify(self.world.buckets, self.now.arn, places, lambda region: {FINGERPRINT: PUBLIC}, rows)
            # From the files alone nobody can tell a file of a deleted trail, which came while the next one of its name was validated,
            # from one that was slipped in.
            assert [finding for finding in report.findings if finding.wrong and (rows or finding.what != "log-unnamed")] == []
        assert validate_logs(self.world, self.now).status == 0
        for database in (self.world.main, self.world.own):
            database.close()
        self.folder.cleanup()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
