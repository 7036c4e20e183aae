"""Every single mutation of a log file or digest is named by verify; which of them validate-logs finds is stated beside it."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.cloudtrail.delivery import files
from opentrail.services.cloudtrail.digests.document import string_to_sign
from opentrail.services.cloudtrail.findings import Fetched, Report
from opentrail.services.cloudtrail.verify import public_keys, verify
from opentrail.services.cloudtrail.versions import TrailConfiguration
from tests.unit.services.cloudtrail.deliveries import ACCOUNT, BUCKET, FINGERPRINT, HOME, KEY, PUBLIC, RsaKey, World, on_sqlite, trail
from tests.unit.services.cloudtrail.digests.test_digests import live
from tests.unit.services.cloudtrail.validate_logs import validate_logs

LONG_AGO = "2026-01-01T00:00:00Z"

Mutate = Callable[[World], str]
"""Damages the bucket; returns the key that must be named."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A trail with five digests and some twenty log files, two records each, all covered."""
    world = on_sqlite(tmp_path_factory.mktemp("whole"))
    world.change(trail())
    live(world, 42, calls=2)
    return world


@pytest.fixture
def world(whole: World) -> World:
    """The same, with a bucket of its own."""
    made = copy.copy(whole)
    made.buckets = copy.copy(whole.buckets)
    made.buckets.objects = dict(whole.buckets.objects)
    made.buckets.modified = dict(whole.buckets.modified)
    return made


def checked(world: World, rows: bool = False) -> Report:
    return world.report(trail(), rows)


def named(world: World, rows: bool = False) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in checked(world, rows).findings:
        if finding.wrong:
            found.setdefault(finding.key, set()).add(finding.what)
    return found


def log(world: World, place: int = 3) -> str:
    """A log file that a digest in the middle covers."""
    return str(world.buckets.digests()[2]["logFiles"][place]["s3Object"])


def digest(world: World, place: int) -> str:
    return world.buckets.named("CloudTrail-Digest")[place]


def replace(world: World, key: str, body: bytes, metadata: dict[str, str] | None = None) -> str:
    old = world.buckets.objects[BUCKET, key]
    world.buckets.objects[BUCKET, key] = Fetched(body, dict(old.metadata) if metadata is None else metadata)
    return key


def stored(world: World, key: str) -> bytes:
    return world.buckets.objects[BUCKET, key].body


def rewritten(world: World, key: str, change: Callable[[dict[str, list[dict[str, object]]]], object]) -> str:
    value = json.loads(gzip.decompress(stored(world, key)))
    change(value)
    return replace(world, key, gzip.compress(json.dumps(value, separators=(",", ":")).encode()))


def removed(world: World, *keys: str) -> str:
    for key in keys:
        del world.buckets.objects[BUCKET, key]
    return keys[0]


def swapped(world: World, one: str, other: str) -> str:
    objects = world.buckets.objects
    objects[BUCKET, one], objects[BUCKET, other] = objects[BUCKET, other], objects[BUCKET, one]
    return one


def two_members(world: World, key: str) -> str:
    body = gzip.decompress(stored(world, key))
    return replace(world, key, gzip.compress(body[:20]) + gzip.compress(body[20:]))


def copied(world: World, key: str) -> str:
    new = key.replace(".json.gz", "x.json.gz")
    world.buckets.objects[BUCKET, new] = world.buckets.objects[BUCKET, key]
    return new


def resigned(world: World, key: str, change: Callable[[dict[str, object]], object]) -> str:
    """Changed by someone who has the signing key."""
    value = json.loads(gzip.decompress(stored(world, key)))
    change(value)
    body = json.dumps(value, separators=(",", ":")).encode()
    message = string_to_sign(value["digestEndTime"], BUCKET, key, body, value["previousDigestSignature"])
    metadata = {"signature": RsaKey(FINGERPRINT, KEY).sign(message).hex(), "signature-algorithm": "SHA256withRSA"}
    return replace(world, key, gzip.compress(body), metadata)


def no_previous(value: dict[str, object]) -> None:
    value.update({name: None for name in value if name.startswith("previous")})


MUTATIONS: dict[str, tuple[Mutate, str, bool]] = {
    # name: (mutation, what verify says of the key, whether validate-logs finds it)
    "log: bytes flipped": (lambda w: replace(w, log(w), stored(w, log(w))[:40] + b"\xff" + stored(w, log(w))[41:]), "log-unreadable", True),
    "log: truncated": (lambda w: replace(w, log(w), stored(w, log(w))[:-40]), "log-unreadable", True),
    "log: checksum cut off": (lambda w: replace(w, log(w), stored(w, log(w))[:-8]), "log-unreadable", False),
    "log: emptied": (lambda w: replace(w, log(w), b""), "log-unreadable", True),
    "log: removed": (lambda w: removed(w, log(w)), "log-missing", True),
    "log: swapped with another": (lambda w: swapped(w, log(w), log(w, 2)), "log-differs", True),
    "log: records reordered": (lambda w: rewritten(w, log(w), lambda v: v["Records"].reverse()), "log-differs", True),
    "log: a record removed": (lambda w: rewritten(w, log(w), lambda v: v["Records"].pop()), "log-differs", True),
    "log: a record changed": (lambda w: rewritten(w, log(w), lambda v: v["Records"][0].update(eventName="X")), "log-differs", True),
    "log: a record added": (lambda w: rewritten(w, log(w), lambda v: v["Records"].append(v["Records"][0])), "log-differs", True),
    "log: replaced": (lambda w: replace(w, log(w), gzip.compress(b'{"Records":[]}')), "log-differs", True),
    "log: two gzip members": (lambda w: two_members(w, log(w)), "log-unreadable", True),
    "log: something appended": (lambda w: replace(w, log(w), stored(w, log(w)) + b"x"), "log-unreadable", True),
    "log: copied beside": (lambda w: copied(w, log(w)), "log-unnamed", False),
    "digest: bytes flipped": (lambda w: replace(w, digest(w, 2), stored(w, digest(w, 2))[:-12] + bytes(12)), "digest-unreadable", True),
    "digest: truncated": (lambda w: replace(w, digest(w, 2), stored(w, digest(w, 2))[:-9]), "digest-unreadable", True),
    "digest: a log file left out": (lambda w: rewritten(w, digest(w, 2), lambda v: v["logFiles"].pop()), "digest-signature", True),
    "digest: another end": (
        lambda w: rewritten(w, digest(w, 2), lambda v: v.update(digestEndTime=LONG_AGO)),
        "digest-misplaced",
        True,
    ),
    "digest: a required field gone": (lambda w: rewritten(w, digest(w, 2), lambda v: v.pop("digestStartTime")), "digest-unreadable", True),
    "digest: signature gone": (lambda w: replace(w, digest(w, 2), stored(w, digest(w, 2)), {}), "digest-signature", True),
    "digest: signature of another": (
        lambda w: replace(w, digest(w, 2), stored(w, digest(w, 2)), dict(w.buckets.objects[BUCKET, digest(w, 1)].metadata)),
        "digest-signature",
        True,
    ),
    "digest: signature no hexadecimal": (
        lambda w: replace(w, digest(w, 2), stored(w, digest(w, 2)), {"signature": "zz", "signature-algorithm": "SHA256withRSA"}),
        "digest-signature",
        True,
    ),
    "digest: swapped with another": (lambda w: swapped(w, digest(w, 1), digest(w, 2)), "digest-misplaced", True),
    "digest: two gzip members": (lambda w: two_members(w, digest(w, 2)), "digest-unreadable", True),
    "digest: one removed": (lambda w: removed(w, digest(w, 2)), "digest-missing", True),
    "digest: two in a row removed": (lambda w: removed(w, digest(w, 2), digest(w, 1)), "digest-missing", True),
    "digest: the oldest removed": (lambda w: removed(w, digest(w, 0)), "digest-missing", True),
    "digest: chain broken by the key's holder": (lambda w: resigned(w, digest(w, 3), no_previous), "digest-chain", False),
    "digest: previous hash changed by the key's holder": (
        lambda w: resigned(w, digest(w, 3), lambda v: v.update(previousDigestHashValue="0" * 64)),
        "digest-chain",
        False,
    ),
}


def test_the_whole_bucket_is_in_order(world: World) -> None:
    report = checked(world)
    assert [finding for finding in report.findings if finding.wrong] == []
    assert (report.digests, report.logs) == (len(world.buckets.named("CloudTrail-Digest")), len(world.buckets.named()))
    assert report.records == len(world.buckets.event_ids())
    assert named(world, rows=True) == {}


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_is_named(world: World, name: str) -> None:
    mutate, what, aws_finds = MUTATIONS[name]
    key = mutate(world)
    assert what in named(world).get(key, set())
    assert named(world, rows=True).get(key)
    assert (validate_logs(world, trail()).status == 1) is aws_finds


def test_the_newest_digests_removed_are_named_by_the_rows_and_by_time(world: World) -> None:
    keys = [digest(world, -1), digest(world, -2)]
    removed(world, *keys)
    assert validate_logs(world, trail()).status == 0, "AWS's tool does not notice"
    assert {key: what for key, what in named(world, rows=True).items() if key in keys} == {key: {"digest-missing"} for key in keys}
    late = world.report(trail(), rows=False, until=world.clock.time - 10)
    assert "digest-late" in {finding.what for finding in late.findings}


def test_two_removed_in_a_row_are_both_named_by_the_rows(world: World) -> None:
    keys = {digest(world, 1), digest(world, 2)}
    removed(world, *keys)
    assert keys <= set(named(world, rows=True))
    assert validate_logs(world, trail()).text.count("INVALID: not found") == 1, "AWS's tool counts them as one"


def test_a_newest_log_file_removed_before_any_digest_names_it_is_named_by_the_rows(world: World) -> None:
    waiting = sorted(set(world.buckets.named()) - {file["s3Object"] for d in world.buckets.digests() for file in d["logFiles"]})
    assert waiting, "the world ends with a file that waits for a digest"
    removed(world, waiting[0])
    assert named(world) == {}
    assert named(world, rows=True) == {waiting[0]: {"log-missing"}}


def test_a_forged_digest_of_another_key_is_named(world: World) -> None:
    key = digest(world, 2)
    rewritten(world, key, lambda v: v.update(digestPublicKeyFingerprint="f" * 32))
    assert "digest-signature" in named(world)[key]


def test_a_bomb_is_named_and_not_inflated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opentrail.services.cloudtrail.evidence.LARGEST", 100_000)
    key = replace(world, log(world), gzip.compress(bytes(10_000_000)))
    assert named(world)[key] == {"log-unreadable"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_byte_that_changes_the_content_is_named(whole: World, data: st.DataObject) -> None:
    keys = [key for _, key in sorted(whole.buckets.objects) if not key.endswith("/")]
    key = data.draw(st.sampled_from(keys))
    old = whole.buckets.objects[BUCKET, key]
    place = data.draw(st.integers(10, len(old.body) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(old.body)
    changed[place] ^= flip
    whole.buckets.objects[BUCKET, key] = Fetched(bytes(changed), old.metadata)
    try:
        found = named(whole, rows=True)
    finally:
        whole.buckets.objects[BUCKET, key] = old
    assert key in found


def test_a_wrong_arn_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="a trail's ARN looks like"):
        verify(world.buckets, "arn:aws:s3:::bucket", [], lambda region: {})


def test_public_keys_are_known_by_their_own_fingerprint() -> None:
    assert public_keys({"PublicKeyList": [{"Value": PUBLIC, "Fingerprint": "claimed"}]}) == {FINGERPRINT: PUBLIC}
    assert base64.b64encode(PUBLIC).startswith(b"MIIB")


def moved(folder: Path, **changes: Any) -> tuple[World, TrailConfiguration]:
    """A trail that has lived in BUCKET, then in the place that the changes name; and what it is now."""
    world, now = on_sqlite(folder), trail(**changes)
    world.change(trail())
    live(world, 24)
    world.change(now)
    live(world, 24)
    return world, now


MOVES: dict[str, dict[str, Any]] = {
    "bucket": {"bucket": "ch-2"},
    "prefix": {"prefix": "two"},
    "both": {"bucket": "ch-2", "prefix": "two"},
    "bucket, validation off": {"bucket": "ch-2", "log_file_validation": False},
    "bucket, stopped": {"bucket": "ch-2", "logging": False},
}


def old_files(world: World, family: str) -> list[str]:
    """What lies in the place before the move."""
    return [key for key in world.buckets.named(family) if key.startswith("AWSLogs/")]


@pytest.mark.parametrize("name", MOVES)
def test_a_move_is_no_false_alarm(tmp_path: Path, name: str) -> None:
    world, now = moved(tmp_path, **MOVES[name])
    assert world.wrong(now) == []
    if now.logging and now.log_file_validation:
        assert world.wrong(now, rows=False) == []
        assert world.report(now, rows=False)[1:] == world.report(now)[1:], "links lead to the places before"
    assert validate_logs(world, now).status == 0


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("name", ["bucket", "prefix", "both"])
def test_files_in_the_places_before_are_watched_for_ever(tmp_path: Path, name: str, rows: bool) -> None:
    world, now = moved(tmp_path, **MOVES[name])
    log, digests = old_files(world, "CloudTrail")[1], old_files(world, "CloudTrail-Digest")
    whole = dict(world.buckets.objects)
    replace(world, log, gzip.compress(b'{"Records":[]}'))
    assert ("log-differs", BUCKET, log) in [finding[:3] for finding in world.wrong(now, rows)]
    world.buckets.objects = dict(whole)
    removed(world, *digests)
    missing = {finding.key for finding in world.wrong(now, rows) if (finding.what, finding.bucket) == ("digest-missing", BUCKET)}
    assert missing == (set(digests) if rows else {digests[-1]})
    world.buckets.objects = dict(whole)
    assert copied(world, log) in {finding.key for finding in world.wrong(now, rows) if finding.what == "log-unnamed"}


def test_files_of_times_without_validation_are_noted(tmp_path: Path) -> None:
    """Before it was switched on, and between switching off and on again; what was slipped in while it was on is wrong."""
    world = on_sqlite(tmp_path)
    for validated in (False, True, False, True):
        world.change(trail(log_file_validation=validated))
        for _ in range(3):
            world.calls(2)
            world.tick(70)
            world.flush()
            if validated:
                world.tick(3600)
                world.digest()
        world.tick(7200)
    world.digest()
    report = world.report(trail(), rows=False)
    assert [finding for finding in report.findings if finding.wrong] == []
    noted = [finding.key for finding in report.findings if finding.what == "log-unvalidated"]
    named = [entry["s3Object"] for digest in world.buckets.digests() for entry in digest["logFiles"]]
    assert len(noted) >= 4
    assert sorted([*noted, *named]) == world.buckets.named()
    copied(world, named[0])
    world.buckets.modified[BUCKET, sorted(set(world.buckets.named()) - {*noted, *named})[0]] = world.buckets.modified[BUCKET, named[0]]
    assert [finding.what for finding in world.wrong(trail(), rows=False)] == ["log-unnamed"]


def test_a_bucket_before_that_is_gone_is_named(tmp_path: Path) -> None:
    world, now = moved(tmp_path, bucket="ch-2")
    world.buckets.gone.add(BUCKET)
    for rows in (True, False):
        found = world.wrong(now, rows)
        assert [finding.bucket for finding in found if finding.what == "bucket-missing"] == [BUCKET]
        assert old_files(world, "CloudTrail-Digest")[-1] in {finding.key for finding in found}


def test_a_deleted_trails_files_are_watched_by_its_rows_alone(tmp_path: Path) -> None:
    world, now = moved(tmp_path, bucket="ch-2")
    world.change(now, deleted=True)
    live(world, 24)

    def found() -> list[str]:
        report = verify(world.buckets, now.arn, [], lambda region: {FINGERPRINT: PUBLIC}, world.rows(now))
        assert report.digests == len(world.rows(now).digests)
        return [finding.key for finding in report.findings if finding.wrong]

    assert found() == []
    key = removed(world, old_files(world, "CloudTrail")[0])
    assert found() == [key]


@given(
    prefix=st.sampled_from(["", "p", "a/b", "a/", "AWSLogs/123456789012/CloudTrail", "CloudTrail-Digest"]) | st.text("abA/-", max_size=9),
    digests=st.booleans(),
)
def test_the_prefix_of_a_files_key_is_the_trails(prefix: str, digests: bool) -> None:
    key = files.folder(prefix, ACCOUNT, "CloudTrail-Digest" if digests else "CloudTrail", HOME, 0) + "name.json.gz"
    assert files.prefix_of(key, ACCOUNT) == prefix
    assert files.prefix_of(key, "210987654321") is None
    assert files.prefix_of(f"x{key}", ACCOUNT) != prefix
