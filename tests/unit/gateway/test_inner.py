"""Service-made calls: never from where they would wait for themselves."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opentrail.calls.call import Download
from opentrail.gateway.inner import InnerCalls, _whole, spool
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal

CLOUDTRAIL = Principal("AWSService", "", service="cloudtrail.amazonaws.com")


@pytest.mark.parametrize(("inside", "thread"), [(True, 0), (False, threading.get_ident())], ids=["lane", "loop"])
def test_refused_in_the_lane_and_on_the_loop(inside: bool, thread: int) -> None:
    calls = InnerCalls()
    gateway: Any = SimpleNamespace(lane=SimpleNamespace(inside=lambda: inside), thread=thread)
    calls.gateway = gateway
    with pytest.raises(RuntimeError, match="would wait"):
        calls.make(CLOUDTRAIL, "us-east-1", "s3", "GetBucketAcl", {"Bucket": "box"})


def test_bodies_are_spooled_once_and_measured(tmp_path: Path) -> None:
    upload = spool(tmp_path / "a", b"bytes")
    assert (upload.size, upload.md5, upload.file.read_bytes()) == (5, "4b3a6218bb3e3a7303e8a171a60fcf92", b"bytes")
    with pytest.raises(FileExistsError):
        spool(tmp_path / "a", b"other")


def test_streamed_outputs_are_read_whole_within_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert _whole(Download(tmp_path / "a", 2, 5)) == b"23456"
    assert _whole("text") == "text"
    with pytest.raises(ServiceError):
        _whole(Download(tmp_path / "a", 0, 65 * 1024 * 1024))
