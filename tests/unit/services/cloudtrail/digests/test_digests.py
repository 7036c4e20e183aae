"""Digests: what they cover, their chains, and that AWS's own validator agrees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from opentrail.kernel.ambient import stamp
from opentrail.kernel.sealing import Sealer
from opentrail.services.cloudtrail import keys
from opentrail.services.cloudtrail.delivery.status import status_of
from opentrail.services.cloudtrail.digests.signer import signer
from opentrail.services.cloudtrail.versions import TrailConfiguration
from tests.unit.services.cloudtrail.deliveries import (
    ACCOUNT,
    BUCKET,
    HOME,
    INTERVAL,
    START,
    Crash,
    World,
    on_sqlite,
    trail,
)
from tests.unit.services.cloudtrail.validate_logs import validate_logs

FIELDS = [
    "awsAccountId",
    "digestStartTime",
    "digestEndTime",
    "digestS3Bucket",
    "digestS3Object",
    "digestPublicKeyFingerprint",
    "digestSignatureAlgorithm",
    "newestEventTime",
    "oldestEventTime",
    "previousDigestS3Bucket",
    "previousDigestS3Object",
    "previousDigestHashValue",
    "previousDigestHashAlgorithm",
    "previousDigestSignature",
    "logFiles",
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return on_sqlite(tmp_path)


def live(world: World, seconds: int, calls: int = 1, region: str = HOME) -> None:
    """Everything runs for a while, calls come in every two seconds."""
    for _ in range(seconds // 2):
        if calls:
            world.calls(calls, region)
        world.flush()
        world.digest()
        world.tick(2)
    world.digest()


def wrong(world: World, of: TrailConfiguration | None = None) -> list[str]:
    return [f"{finding.what} {finding.key}" for finding in world.wrong(of or trail())]


def test_the_starting_digest_ends_at_the_start_and_the_next_ones_follow_by_intervals(world: World) -> None:
    world.change(trail())
    live(world, 24)
    first, second, third = world.buckets.digests()
    assert list(first) == FIELDS
    assert (first["digestStartTime"], first["digestEndTime"]) == (stamp(START - INTERVAL), stamp(START))
    assert [first[name] for name in FIELDS if name.startswith("previous")] == [None] * 5
    assert (first["logFiles"], first["newestEventTime"], first["oldestEventTime"]) == ([], None, None)
    assert (second["digestStartTime"], second["digestEndTime"]) == (stamp(START), stamp(START + INTERVAL))
    assert second["previousDigestS3Object"] == first["digestS3Object"]
    assert second["previousDigestHashAlgorithm"] == "SHA-256"
    assert third["previousDigestSignature"] == world.buckets.objects[BUCKET, second["digestS3Object"]].metadata["signature"]
    assert [len(digest["logFiles"]) for digest in (second, third)] == [5, 5]
    assert list(second["logFiles"][0]) == ["s3Bucket", "s3Object", "hashValue", "hashAlgorithm", "newestEventTime", "oldestEventTime"]
    second_of_start = stamp(START).replace("-", "").replace(":", "")
    assert first["digestS3Object"].endswith(f"/{ACCOUNT}_CloudTrail-Digest_{HOME}_main_{HOME}_{second_of_start}.json.gz")
    with world.own.read() as snapshot:
        assert status_of(snapshot, trail().arn)["LatestDigestDeliveryTime"] == START + 20


def test_validate_logs_finds_every_file_valid(world: World) -> None:
    world.change(trail(prefix="p"))
    live(world, 30)
    world.change(trail(prefix="p", logging=False))
    live(world, 10)
    outcome = validate_logs(world, trail(prefix="p"))
    logs, digests = len(world.buckets.named()), len(world.buckets.named("CloudTrail-Digest"))
    assert outcome.status == 0, outcome.text
    assert outcome.valid("log") == (logs, logs)
    assert outcome.valid("digest") == (digests, digests)
    assert wrong(world, trail(prefix="p")) == []


def test_an_empty_interval_has_an_empty_digest(world: World) -> None:
    world.change(trail())
    live(world, 12)
    live(world, 22, calls=0)
    last = world.buckets.digests()[-1]
    assert (last["newestEventTime"], last["oldestEventTime"]) == (None, None)


def test_downtime_makes_one_digest_over_the_gap(world: World) -> None:
    world.change(trail())
    live(world, 12)
    count = len(world.buckets.digests())
    world.tick(1000)
    world.restart()
    world.digest()
    assert len(world.buckets.digests()) == count + 1
    last = world.buckets.digests()[-1]
    assert last["digestStartTime"] == stamp(START + 10)
    assert last["digestEndTime"] == stamp(START + 1010)
    assert wrong(world) == []


def test_a_stop_makes_a_final_digest_and_a_start_a_new_chain(world: World) -> None:
    world.change(trail())
    live(world, 14)
    world.change(trail(logging=False))
    live(world, 30)
    before = world.buckets.digests()
    assert before[-1]["logFiles"], "the final digest covers what was delivered last"
    covered = {file["s3Object"] for digest in before for file in digest["logFiles"]}
    assert covered == set(world.buckets.named())
    world.tick(100)
    live(world, 20)
    assert world.buckets.digests() == before
    on = world.clock.time
    world.change(trail())
    live(world, 12)
    first, second = world.buckets.digests()[len(before) :]
    assert first["previousDigestS3Object"] is None
    assert (first["digestStartTime"], first["digestEndTime"]) == (stamp(on - INTERVAL), stamp(on))
    assert second["previousDigestS3Object"] == first["digestS3Object"]
    assert wrong(world) == []
    assert validate_logs(world, trail()).status == 0


def test_stop_and_start_within_one_second_and_delete(world: World) -> None:
    world.change(trail())
    live(world, 4)
    for _ in range(3):
        world.change(trail(logging=False))
        world.change(trail())
    world.calls(2)
    live(world, 30)
    world.change(trail(), deleted=True)
    live(world, 12)
    names = [digest["digestS3Object"] for digest in world.buckets.digests()]
    assert len(names) == len(set(names))
    covered = [file["s3Object"] for digest in world.buckets.digests() for file in digest["logFiles"]]
    assert sorted(covered) == sorted(world.buckets.named())
    assert wrong(world) == []


def test_the_final_digest_waits_for_the_last_file(world: World) -> None:
    world.change(trail())
    live(world, 12)
    world.buckets.down[BUCKET] = "NoSuchBucket"
    world.calls(3)
    world.change(trail(logging=False))
    for _ in range(10):
        world.flush()
        world.digest()
        world.tick(60)
    world.buckets.down.clear()
    for _ in range(20):
        world.tick(60)
        world.flush()
        world.digest()
    covered = {file["s3Object"] for digest in world.buckets.digests() for file in digest["logFiles"]}
    assert covered == set(world.buckets.named())
    assert wrong(world) == []
    assert validate_logs(world, trail()).status == 0


def test_regions_get_a_chain_from_their_first_record_on(world: World) -> None:
    wide = trail(multi_region=True)
    world.change(wide)
    live(world, 20)
    assert {key.split("/")[3] for key in world.buckets.named("CloudTrail-Digest")} == {HOME}
    live(world, 24, region="eu-west-1")
    assert {key.split("/")[3] for key in world.buckets.named("CloudTrail-Digest")} == {HOME, "eu-west-1"}
    assert wrong(world, wide) == []
    for region in (HOME, "eu-west-1"):
        outcome = validate_logs(world, wide, region)
        assert outcome.status == 0
        assert outcome.valid("log")[0] > 0


def test_files_delivered_while_validation_is_off_are_covered_by_no_digest(world: World) -> None:
    world.change(trail(log_file_validation=False))
    live(world, 20)
    assert world.buckets.digests() == []
    world.change(trail())
    live(world, 24)
    covered = {file["s3Object"] for digest in world.buckets.digests() for file in digest["logFiles"]}
    assert 0 < len(covered) < len(world.buckets.named())
    assert wrong(world) == []


@pytest.mark.parametrize("point", ["digests: before commit", "digests: after commit", "put: after", "digest put: before commit"])
def test_a_crash_while_planning_or_putting_a_digest_changes_none(world: World, point: str) -> None:
    world.change(trail())
    live(world, 8)
    world.tick(4)
    world.faults.arm(point)
    with pytest.raises(Crash):
        world.digest()
    world.restart()
    world.tick(3)
    live(world, 20)
    assert wrong(world) == []
    assert validate_logs(world, trail()).status == 0


def test_a_region_without_a_key_gets_one_that_list_public_keys_finds(world: World) -> None:
    sealer = Sealer(bytes(32))
    sign = signer(world.main, world.own, sealer)  # type: ignore[arg-type]
    key = sign(ACCOUNT, "eu-west-1", START)
    assert sign(ACCOUNT, "eu-west-1", START + 5).fingerprint == key.fingerprint
    with world.own.read() as snapshot:
        (stored,) = keys.keys_between(snapshot, ACCOUNT, "eu-west-1", START, START + 1)
    assert hashlib.md5(stored.public_der).hexdigest() == key.fingerprint  # noqa: S324 - the fingerprint's definition
    assert sign(ACCOUNT, "eu-west-1", START + 30 * 86400).fingerprint != key.fingerprint
