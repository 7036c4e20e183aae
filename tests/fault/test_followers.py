"""Followers frozen, killed and cut off from their bucket: nothing is lost, nothing comes twice, nothing is said too late."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import load as bench
from benchmarks.servers import REGION, serving

from tests.fault.judge import TRAIL, TRAIL_BUCKET, World, bucket_policy
from tests.fault.load import CLOUDTRAIL, Load

QUICK = ("--flush-interval", "1s", "--digest-interval", "3s")


def test_lookup_shows_every_call_while_the_follower_is_frozen(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *QUICK) as server:
        work = server.await_role("work")
        os.kill(work, signal.SIGSTOP)
        try:
            bodies = [json.dumps({"trailNameList": [f"trail-{n}"]}).encode() for n in range(10_000)]
            requests = bench.signed(server.credentials, REGION, "cloudtrail", server.url, f"{CLOUDTRAIL}.DescribeTrails", "1.1", bodies)
            done = bench.run(server.port, requests, 32, server.pid)
            assert done.statuses == {200: 10_000}
            pages = (
                server.client("cloudtrail")
                .get_paginator("lookup_events")
                .paginate(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DescribeTrails"}])
            )
            events = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
        finally:
            os.kill(work, signal.SIGCONT)
        assert len({event["eventID"] for event in events}) == len(events) == 10_000
        asked = Counter(event["requestParameters"]["trailNameList"][0] for event in events)
        assert asked == Counter(f"trail-{n}" for n in range(10_000))
        await_true(lambda: server.metric('opentrail_follower_lag{follower="history"}') < 50)
        assert server.stop() == 0


def test_followers_killed_again_and_again_deliver_exactly_once(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--flush-interval", "300ms", "--digest-interval", "2s") as server:
        world = World(server)
        world.prepare()
        load = Load(server.url, server.credentials, "w", "load-bucket", world.datastore, threads=2)
        load.start()
        work = server.await_role("work")
        for pause in (0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.8):
            time.sleep(pause)  # from before it works to well after its first files
            os.kill(work, signal.SIGKILL)
            work = server.await_role("work", other_than=work)
        told = load.stop()
        world.judge(told)
        world.check_log_files()
        assert server.stop() == 0


def test_a_bucket_that_refuses_for_a_while_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *QUICK) as server:
        world = World(server)
        world.prepare()
        s3 = server.client("s3")
        s3.put_bucket_policy(Bucket=TRAIL_BUCKET, Policy=json.dumps(bucket_policy(allow=False)))
        load = Load(server.url, server.credentials, "denied", "load-bucket", world.datastore, threads=2)
        load.start()

        def status() -> dict[str, Any]:
            return dict(server.client("cloudtrail").get_trail_status(Name=TRAIL))

        for member in ("LatestDeliveryError", "LatestDigestDeliveryError"):
            await_true(lambda member=member: status().get(member) == "AccessDenied")
        told = load.stop()
        assert all(one.answered for one in told)
        before = world.keys("CloudTrail")
        web = server.await_role("web")
        os.kill(web, signal.SIGSTOP)  # now the endpoint itself does not answer
        time.sleep(4.0)
        os.kill(web, signal.SIGCONT)
        s3.put_bucket_policy(Bucket=TRAIL_BUCKET, Policy=json.dumps(bucket_policy()))
        world.judge(told)
        world.check_log_files()
        assert len(world.keys("CloudTrail")) > len(before)
        last = status()
        assert not last.get("LatestDeliveryError")
        assert not last.get("LatestDigestDeliveryError")


def test_one_digest_bridges_the_time_in_which_nothing_ran(tmp_path: Path) -> None:
    """Records that wait when the server stops are in the files after it starts, and the digests' chain has no gap."""
    with serving(tmp_path / "data", *QUICK) as server:
        world = World(server)
        world.prepare()
        load = Load(server.url, server.credentials, "before", "load-bucket", world.datastore, threads=2)
        load.start()
        time.sleep(1.0)
        assert_stops_with_everything_recorded(world, load)
        time.sleep(7.0)  # two digest intervals and more
        server.start()
        world.judge(load.told)
        world.check_log_files()


def assert_stops_with_everything_recorded(world: World, load: Load) -> None:
    """SIGTERM amid calls: status 0, and every answer that left has its record, before anything is started again."""
    assert world.server.stop() == 0
    told = load.stop()
    recorded = {record.json["requestID"] for record in world.records(world.begun)}
    assert [one.agent for one in told if one.answered and one.request_id not in recorded] == []
    assert any(one.answered for one in told)


def await_true(holds: Callable[[], bool], patience: float = 60.0) -> None:
    until = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < until, "did not come true"
        time.sleep(0.2)
