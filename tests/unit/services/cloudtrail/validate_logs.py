"""`aws cloudtrail validate-logs`, the stock command's own classes, over the buckets of a test world."""

from __future__ import annotations

import base64
import contextlib
import io
import re
from datetime import UTC, datetime
from typing import Any

from awscli.customizations.cloudtrail.validation import CloudTrailValidateLogs
from botocore.exceptions import ClientError

from opentrail.services.cloudtrail.versions import TrailConfiguration
from tests.unit.services.cloudtrail.deliveries import FINGERPRINT, PUBLIC, START, World


class _Body(io.BytesIO):
    """A streamed body."""


class _Pages:
    """What a paginator of ListObjects gives."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def paginate(self, Bucket: str, Marker: str, Prefix: str) -> _Pages:
        return _Pages([key for key in self._keys if key.startswith(Prefix) and key > Marker])

    def search(self, expression: str) -> list[str]:
        assert expression == "Contents[*].Key"
        return self._keys


class _Aws:
    """The calls that the command makes of S3 and CloudTrail."""

    def __init__(self, world: World, trail: TrailConfiguration) -> None:
        self._world = world
        self._trail = trail

    def get_client(self, bucket_name: str) -> _Aws:
        return self

    def get_paginator(self, name: str) -> _Pages:
        return _Pages([listed.key for listed in self._world.buckets.list(self._trail.bucket, "")])

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        found = self._world.buckets.get(Bucket, Key)
        if found is None:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no such key"}}, "GetObject")
        return {"Body": _Body(found.body), "Metadata": dict(found.metadata)}

    def describe_trails(self, **_: Any) -> dict[str, Any]:
        trail = {"Name": self._trail.name, "TrailARN": self._trail.arn, "S3BucketName": self._trail.bucket}
        if self._trail.prefix:
            trail["S3KeyPrefix"] = self._trail.prefix
        return {"trailList": [trail]}

    def list_public_keys(self, StartTime: Any, EndTime: Any) -> dict[str, Any]:
        return {"PublicKeyList": [{"Fingerprint": FINGERPRINT, "Value": base64.b64encode(PUBLIC)}]}


class Outcome:
    """The command's exit status and what it printed."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text

    def valid(self, what: str) -> tuple[int, int]:
        """Of `digest` or `log` files: how many were valid, of how many."""
        match = re.search(rf"(\d+)/(\d+) {what} files valid", self.text)
        return (int(match[1]), int(match[2])) if match else (0, 0)


def validate_logs(world: World, trail: TrailConfiguration, region: str | None = None) -> Outcome:
    """Runs it over all time up to the world's present."""
    command = CloudTrailValidateLogs.__new__(CloudTrailValidateLogs)
    CloudTrailValidateLogs.__init__(command, _Session())
    command.trail_arn = trail.arn
    command.is_verbose = True
    command.start_time = datetime.fromtimestamp(START - 86400, UTC)
    command.end_time = datetime.fromtimestamp(world.clock.time, UTC)
    command._source_region = region or trail.home_region
    command.s3_client_provider = command.cloudtrail_client = _Aws(world, trail)
    command.organization_client = None
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        command._call()
    return Outcome(int(command._invalid_digests + command._invalid_logs > 0), out.getvalue())


class _Session:
    """The command only asks it to remember things."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None
