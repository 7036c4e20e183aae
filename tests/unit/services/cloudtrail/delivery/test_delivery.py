"""Log files: what goes where, once, whatever happens between plan, put and done."""

from __future__ import annotations

import calendar
import gzip
import json
import random
import re
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from opentrail.calls.call import Call, Request
from opentrail.kernel.principal import Principal
from opentrail.record.selectors import DataResource, EventSelector
from opentrail.services.cloudtrail.delivery import files, store
from opentrail.services.cloudtrail.delivery.status import status_of
from opentrail.services.cloudtrail.trail_status import get_trail_status
from tests.databases import MakeDatabase
from tests.unit.services.cloudtrail.deliveries import ACCOUNT, BUCKET, HOME, START, Crash, World, on_sqlite, record, trail
from tests.unit.services.cloudtrail.validate_logs import validate_logs

POINTS = (
    "delivery: before commit",
    "delivery: after commit",
    "put: before",
    "put: after",
    "log put: before commit",
    "log put: after commit",
)
WRITES_ONLY = (EventSelector(read_write_type="WriteOnly"),)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return on_sqlite(tmp_path)


def test_every_record_of_the_trail_is_delivered_once_on_each_database(make_database: MakeDatabase) -> None:
    world = World(make_database("main"), make_database("delivery"))
    world.calls(3)
    expected = [world.change(trail())]
    for _ in range(3):
        expected += world.calls(4)
        world.flush()
        world.tick(2)
    world.tick(20)
    world.digest()
    assert sorted(world.buckets.event_ids()) == sorted(expected)
    assert [file.records for file in world.files(trail())] == [5, 4, 4]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("after", [0, 1])
def test_a_crash_at_any_step_loses_and_doubles_nothing(world: World, point: str, after: int) -> None:
    expected = [world.change(trail()), *world.calls(3), world.change(trail("second", prefix="other"))]
    seconds = [expected[-1]]
    world.faults.arm(point, after)
    for _ in range(4):
        fresh = world.calls(2)
        expected += fresh
        seconds += fresh
        try:
            world.flush()
        except Crash:
            more = world.calls(5)
            expected += more
            seconds += more
            world.restart()
        world.tick(2)
    world.flush()
    assert not world.faults.armed, "the crash did not happen"
    assert sorted(world.buckets.event_ids()) == sorted(expected + seconds)


def test_a_retry_puts_the_same_bytes_though_selectors_and_logging_changed_meanwhile(world: World) -> None:
    world.change(trail())
    expected = world.calls(5)
    world.faults.arm("put: after")
    with pytest.raises(Crash):
        world.flush()
    (key,) = world.buckets.named()
    first = world.buckets.objects[BUCKET, key].body
    narrowed = world.change(trail(event_selectors=WRITES_ONLY))
    world.change(trail(logging=False))
    world.calls(3)
    world.restart()
    world.tick(400)
    world.flush()
    assert world.buckets.objects[BUCKET, key].body == first
    assert [file.records for file in world.files(trail())] == [6, 1]
    assert sorted(id for id in world.buckets.event_ids() if id in [*expected, narrowed]) == sorted([*expected, narrowed])


def test_the_trail_counts_as_it_was_at_each_record(world: World) -> None:
    world.calls(2)
    expected = [world.change(trail()), *world.calls(2)]
    expected.append(world.change(trail(event_selectors=WRITES_ONLY)))
    world.calls(2)
    expected += [world.change(trail()), *world.calls(1)]
    expected.append(world.change(trail(logging=False)))
    world.calls(2)
    expected += [world.change(trail()), *world.calls(1)]
    expected.append(world.change(trail(), deleted=True))
    world.calls(2)
    world.flush()
    assert world.buckets.event_ids() == expected


def holding(world: World, id: str) -> list[tuple[str, str]]:
    """Bucket and key of the log files that hold the record."""
    return [
        (bucket, key)
        for (bucket, key), found in world.buckets.objects.items()
        if "/CloudTrail/" in key and f'"eventID":"{id}"'.encode() in gzip.decompress(found.body)
    ]


SILENCING: dict[str, tuple[dict[str, Any], bool]] = {
    "StopLogging": ({"logging": False}, False),
    "PutEventSelectors": ({"event_selectors": WRITES_ONLY}, False),
    "DeleteTrail": ({}, True),
    "UpdateTrail: bucket": ({"bucket": "elsewhere"}, False),
    "UpdateTrail: prefix": ({"prefix": "elsewhere"}, False),
    "UpdateTrail: no validation": ({"log_file_validation": False}, False),
    "UpdateTrail: all at once": ({"bucket": "elsewhere", "prefix": "p", "log_file_validation": False, "multi_region": True}, False),
}


@pytest.mark.parametrize("flushed", [True, False], ids=["after a flush", "in one file"])
@pytest.mark.parametrize("name", SILENCING)
def test_the_call_that_silences_a_trail_lies_where_it_delivered_until_then(world: World, name: str, flushed: bool) -> None:
    """Once, covered by a digest, and whatever comes after it: nothing, or the same trail again in the next call."""
    changes, deleted = SILENCING[name]
    world.change(trail())
    world.calls(2)
    world.flush()
    world.digest()
    if not flushed:
        world.calls(1)
    after = trail(**changes)
    id = world.change(after, deleted)
    world.flush()
    ((bucket, key),) = holding(world, id)
    assert (bucket, key.startswith("AWSLogs/")) == (BUCKET, True)
    world.tick(1)
    again = world.change(trail(logging=True))
    for _ in range(3):
        world.tick(15)
        world.flush()
        world.digest()
    assert (len(holding(world, id)), len(holding(world, again))) == (1, 1)
    covered = {file["s3Object"] for bucket in (BUCKET, "elsewhere") for one in world.buckets.digests(bucket) for file in one["logFiles"]}
    assert key in covered
    assert world.wrong(trail()) == []
    assert validate_logs(world, trail()).status == 0


def test_a_call_that_the_trail_did_not_want_is_judged_by_what_it_became(world: World) -> None:
    world.change(trail(event_selectors=WRITES_ONLY))
    unwanted = world.change(trail(event_selectors=WRITES_ONLY, bucket="elsewhere"))
    wanted = world.change(trail(bucket="third"))
    stopped = world.change(trail(bucket="third", logging=False, event_selectors=WRITES_ONLY))
    world.change(trail(bucket="third", logging=False))
    world.flush()
    assert (world.buckets.event_ids(), world.buckets.event_ids("elsewhere")) == ([], [])
    assert world.buckets.event_ids("third") == [wanted, stopped]
    assert unwanted not in world.buckets.event_ids("third")


def test_a_retry_of_a_silencing_call_puts_the_same_bytes(world: World) -> None:
    """The file ends with a record that the trail, as it then is, does not want, between records that it does not want either."""
    world.change(trail())
    expected = [*world.calls(1), world.change(trail(event_selectors=WRITES_ONLY))]
    world.calls(1)
    expected.append(world.change(trail(event_selectors=(EventSelector(),), bucket="elsewhere")))
    world.calls(1)
    world.plan()
    world.buckets.down = {BUCKET: "NoSuchBucket", "elsewhere": "NoSuchBucket"}
    world.put()
    world.change(trail(bucket="elsewhere"), deleted=True)
    world.buckets.down = {}
    world.restart()
    world.tick(100)
    world.flush()
    assert [id for id in world.buckets.event_ids() + world.buckets.event_ids("elsewhere") if id in expected] == expected
    with world.own.read() as snapshot:
        assert store.stopped(snapshot) == []


def test_a_changed_bucket_splits_files_by_position(world: World) -> None:
    first = [world.change(trail()), *world.calls(1), world.change(trail(bucket="elsewhere", prefix="logs"))]
    second = [*world.calls(1), world.change(trail())]
    first += world.calls(1)
    world.flush()
    assert world.buckets.event_ids() == first
    assert world.buckets.event_ids("elsewhere") == second
    assert world.buckets.named(bucket="elsewhere")[0].startswith(f"logs/AWSLogs/{ACCOUNT}/CloudTrail/")


def test_regions_and_global_services(world: World) -> None:
    world.change(trail("local", home_region="eu-west-1"))
    world.change(trail("wide", home_region="eu-west-1", multi_region=True, prefix="wide"))
    world.change(trail("plain", home_region="us-east-1", global_events=False, prefix="plain"))
    world.flush()
    world.buckets.objects.clear()
    (iam,) = world.calls(1, HOME, source="iam.amazonaws.com")
    (east,) = world.calls(1, HOME, source="personalize.amazonaws.com")
    (west,) = world.calls(1, "eu-west-1", source="personalize.amazonaws.com")
    world.flush()
    found = {
        prefix: sorted(
            id["eventID"]
            for key in world.buckets.named()
            if key.startswith(prefix)
            for id in json.loads(gzip.decompress(world.buckets.objects[BUCKET, key].body))["Records"]
        )
        for prefix in ("AWSLogs", "wide", "plain")
    }
    assert found == {"AWSLogs": [west], "wide": sorted([iam, east, west]), "plain": [east]}
    regions = [key.split("/")[4] for key in world.buckets.named() if key.startswith("wide")]
    assert sorted(regions) == ["eu-west-1", "us-east-1"]


def test_a_trail_never_delivers_its_own_deliveries(world: World) -> None:
    everything = EventSelector(data_resources=(DataResource("AWS::S3::Object", ("arn:aws:s3",)),))
    mine = trail(event_selectors=(everything,))
    world.change(mine)

    def put_record(id: str, key: str, invoked_by: str | None) -> None:
        identity = {"type": "AWSService", "invokedBy": invoked_by} if invoked_by else {"type": "Root", "arn": "x"}
        resource = {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{BUCKET}/{key}"}
        body = record(
            id,
            world.clock.time,
            source="s3.amazonaws.com",
            eventName="PutObject",
            readOnly=False,
            managementEvent=False,
            eventCategory="Data",
            userIdentity=identity,
            resources=[resource],
        )
        world.write(body, category=1)

    place = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/x.json.gz"
    put_record("own", place, "cloudtrail.amazonaws.com")
    put_record("own digest", place.replace("CloudTrail/", "CloudTrail-Digest/"), "cloudtrail.amazonaws.com")
    put_record("other trail's", f"other/{place}", "cloudtrail.amazonaws.com")
    put_record("a user's", place, None)
    world.change(msgspec.structs.replace(mine, bucket="new"))
    put_record("late, to the place before", place, "cloudtrail.amazonaws.com")
    world.flush()
    assert {id for id in world.buckets.event_ids() + world.buckets.event_ids("new") if not id.startswith("e")} == {
        "other trail's",
        "a user's",
    }


def test_a_dead_bucket_loses_nothing_shows_in_the_status_and_holds_up_nobody_else(world: World) -> None:
    dead, well = trail("dead", bucket="dead"), trail("well")
    world.buckets.down["dead"] = "NoSuchBucket"
    expected = [world.change(dead)]
    shared = [world.change(well)]
    attempts = []
    for _ in range(60):
        shared += world.calls(1)
        world.flush()
        with world.own.read() as snapshot:
            attempts.append(status_of(snapshot, dead.arn)["LatestDeliveryAttemptTime"])
        world.tick(60)
    assert sorted(world.buckets.event_ids()) == sorted(shared)
    with world.own.read() as snapshot:
        status = status_of(snapshot, dead.arn)
        assert status["LatestDeliveryError"] == "NoSuchBucket"
        assert "LatestDeliveryTime" not in status
        assert "LatestDeliveryError" not in status_of(snapshot, well.arn)
        assert store.oldest_needed(snapshot) == 1
    assert len(set(attempts)) > 30
    world.buckets.down.clear()
    world.tick(60)
    world.flush()
    assert sorted(world.buckets.event_ids("dead")) == sorted(expected + shared)
    with world.own.read() as snapshot:
        status = status_of(snapshot, dead.arn)
        assert status["LatestDeliveryTime"] == world.clock.time
        assert "LatestDeliveryError" not in status
        assert store.oldest_needed(snapshot) is None


@pytest.mark.parametrize("deleted", [False, True])
def test_a_bucket_that_is_gone_does_not_hold_up_the_one_to_which_its_trail_moved(world: World, deleted: bool) -> None:
    """Nor a new trail of the same name."""
    world.change(trail())
    world.flush()
    world.calls(2)
    world.buckets.down[BUCKET] = "NoSuchBucket"
    late = [world.change(trail(), deleted=True)] if deleted else []
    world.change(trail(bucket="alive"))
    expected = world.calls(2)
    for _ in range(3):
        world.flush()
        world.tick(100)
    assert set(expected) <= set(world.buckets.event_ids("alive"))
    with world.own.read() as snapshot:
        assert store.queues(snapshot) == [(trail().arn, BUCKET)]
    world.buckets.down.clear()
    world.tick(100)
    world.flush()
    assert set(late) <= set(world.buckets.event_ids())
    assert world.wrong(trail(bucket="alive")) == []


def test_a_bucket_that_is_away_for_more_than_an_hour_is_tried_again_and_again_and_gets_everything(world: World) -> None:
    """Real waits between the attempts, records that keep coming, digests that wait too, and a restart in the middle."""
    world.chance = random.Random(1).random
    world.restart()
    world.buckets.down[BUCKET] = "ServiceUnavailable"
    expected, began, attempts = [world.change(trail())], world.clock.time, []
    steps = random.Random(2)
    while world.clock.time < began + 4_500:
        expected += world.calls(steps.randrange(3))
        world.flush()
        world.digest()
        status = trail_status(world)
        assert (status["LatestDeliveryError"], status["LatestDigestDeliveryError"]) == ("ServiceUnavailable", "ServiceUnavailable")
        assert "LatestDeliveryTime" not in status
        attempts.append(status["LatestDeliveryAttemptTime"])
        if len(attempts) == 300:
            world.restart()
        world.tick(steps.uniform(1, 13))
    tried = sorted({calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) for text in attempts})
    waits = [late - early for early, late in pairwise(tried)]
    assert tried[-1] - tried[0] > 3_600
    assert max(waits) < 60 + 13 + 1
    assert sorted(waits)[len(waits) // 2] > 30
    world.buckets.down.clear()
    back = world.clock.time
    world.tick(75)
    for _ in range(3):
        world.flush()
        world.digest()
        world.tick(75)
    assert sorted(world.buckets.event_ids()) == sorted(expected)
    assert len(set(expected)) == len(expected)
    named = {file["s3Object"] for digest in world.buckets.digests() for file in digest["logFiles"]}
    assert named == set(world.buckets.named())
    status = trail_status(world)
    assert status["LatestDeliveryTime"] > back
    assert {"LatestDeliveryError", "LatestDigestDeliveryError"} & status.keys() <= {"LatestDeliveryError"}
    assert not status["LatestDeliveryError"]


def trail_status(world: World) -> dict[str, Any]:
    """What GetTrailStatus answers."""
    tools: Any = SimpleNamespace(delivery=world.own.read)
    call = Call(Request("POST", "/", "", {}, b"", "127.0.0.1", world.clock.time), tools, "request")
    call.set_caller(Principal("Root", ACCOUNT), HOME)
    with world.main.read() as snapshot:
        return dict(get_trail_status(snapshot, call, SimpleNamespace(Name="main")))


def test_waits_grow_and_are_kept_per_trail(world: World) -> None:
    world.buckets.down[BUCKET] = "AccessDenied"
    world.change(trail())
    world.plan()
    tried = 0
    for _ in range(100):
        with world.own.read() as snapshot:
            before = store.status(snapshot, trail().arn, "log").attempted
        world.put()
        with world.own.read() as snapshot:
            tried += store.status(snapshot, trail().arn, "log").attempted != before
        world.tick(1)
    assert 5 <= tried <= 10


def test_a_journal_that_no_longer_gives_the_planned_bytes_stops_that_trail_alone(world: World) -> None:
    broken, well = trail(), trail("well", prefix="well")
    world.change(broken)
    world.calls(2)
    world.plan()
    with world.own.write() as tx:
        tx.run(store.Sql("UPDATE log_file SET sha256 = :hash WHERE trail = :trail"), hash="0" * 64, trail=broken.arn)
    world.change(well)
    world.flush()
    world.tick(1000)
    world.flush()
    with world.own.read() as snapshot:
        ((arn, kind, reason),) = store.stopped(snapshot)
    assert (arn, kind) == (broken.arn, "log")
    assert "no longer gives the planned bytes" in reason
    assert all(key.startswith("well/") for key in world.buckets.named())
    assert len(world.buckets.named()) == 1


def test_a_stopped_trail_stays_so_whatever_becomes_of_its_other_buckets(make_database: MakeDatabase) -> None:
    world = World(make_database("main"), make_database("delivery"))
    world.change(trail())
    world.calls(2)
    world.plan()
    with world.own.write() as tx:
        tx.run(store.Sql("UPDATE log_file SET sha256 = :hash"), hash="0" * 64)
    world.change(trail(bucket="second"))
    world.change(trail(bucket="third"))
    world.calls(1)
    world.buckets.down["second"] = "NoSuchBucket"
    world.flush()
    for _ in range(2):
        with world.own.read() as snapshot:
            ((arn, kind, _),) = store.stopped(snapshot)
        assert (arn, kind) == (trail().arn, "log")
        world.tick(100)
        world.flush()


def test_a_large_batch_makes_several_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 2_000)
    expected = [world.change(trail()), *world.calls(20)]
    world.flush()
    rows = world.files(trail())
    assert len(rows) > 3
    assert all(row.size <= 2_000 for row in rows)
    assert [row.size for row in rows] == [len(gzip.decompress(world.buckets.objects[BUCKET, row.object_key].body)) for row in rows]
    assert sorted(world.buckets.event_ids()) == sorted(expected)


def test_the_object_is_put_as_the_service_and_named_as_aws_names_it(world: World) -> None:
    world.change(trail(prefix="p"))
    world.flush()
    ((principal, region, key, input),) = world.buckets.puts
    assert (principal.kind, principal.service, principal.source_arn, principal.source_account, region) == (
        "AWSService",
        "cloudtrail.amazonaws.com",
        trail().arn,
        ACCOUNT,
        HOME,
    )
    assert (input["ContentType"], input["ContentEncoding"], input["ACL"]) == ("application/json", "gzip", "bucket-owner-full-control")
    name = rf"{ACCOUNT}_CloudTrail_us-east-1_\d{{8}}T\d\d[0-5][05]Z_[0-9A-Za-z]{{16}}\.json\.gz"
    shape = rf"p/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/\d\d/\d\d/{name}"
    assert re.fullmatch(shape, key)
    assert world.buckets.objects[BUCKET, key].body[4:8] == bytes(4)


def test_stamps_are_multiples_of_five_minutes_and_not_before_the_plan() -> None:
    assert [files.stamp_of(at) % 300 for at in (START, START + 1.5, START + 299.9)] == [0, 0, 0]
    assert all(at <= files.stamp_of(at) < at + 301 for at in (300.0, START, START + 1))
    assert len({files.unique_name("i", "t", "r", n) for n in range(100)}) == 100
