"""GetTrailStatus before, while and after a trail logs."""

from __future__ import annotations

from opentrail.services.cloudtrail import trail_logging, trails
from opentrail.services.cloudtrail.trail_status import LEGACY, get_trail_status
from tests.unit.services.cloudtrail.world import NOW, World


def test_status_follows_logging(world: World) -> None:
    world.write(trails.prepare_create, trails.apply_create, Name="audit", S3BucketName="bucket")
    assert world.read(get_trail_status, Name="audit") == {"IsLogging": False, **dict.fromkeys(LEGACY, "")}
    world.write(trail_logging.prepare_start, trail_logging.apply_start, Name="audit")
    started = world.read(get_trail_status, Name="audit")
    assert (started["IsLogging"], started["StartLoggingTime"], started["TimeLoggingStarted"]) == (True, NOW, "2026-09-21T14:13:20Z")
    world.write(trail_logging.prepare_stop, trail_logging.apply_stop, Name="audit")
    assert world.read(get_trail_status, Name="audit")["StopLoggingTime"] == NOW
