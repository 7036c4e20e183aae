"""Crash points between bytes and rows: no effect without a row, and nothing left but what the sweeper finds."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from opentrail.kernel.errors import Unavailable
from opentrail.services.s3 import blobs
from tests.unit.services.s3.support import OWNER, Server
from tests.unit.services.s3.test_objects import refused

DAY = blobs.ORPHAN_SECONDS


class Crash(BaseException):
    """The process ends here."""


def crash_at(monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(blobs.os, function, fail)


def stored(s3: Server) -> set[str]:
    return {path.name for path in s3.folder.glob("??/*")}


@pytest.mark.parametrize("function", ["rename", "fsync"])
def test_a_crash_before_the_row_has_no_effect(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"old")
    with monkeypatch.context() as patch:
        crash_at(patch, function, Crash())
        with pytest.raises(Crash):
            s3.do("PutObject", Bucket=bucket, Key="k", Body=b"new")
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"old"
    s3.clock.time += DAY + 5
    s3.sweep()
    assert stored(s3) == s3.files() == {row[0] for row in s3.rows("SELECT blob FROM s3_object")}
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"old"


def test_a_crash_between_blob_and_row_leaves_an_orphan_for_a_day(s3: Server, bucket: str) -> None:
    operation = s3.service.operations["PutObject"]
    call = s3.begin("PutObject", OWNER, "us-east-1", b"", {})
    plan = operation.prepare(call, s3.input("PutObject", {"Bucket": bucket, "Key": "k", "Body": b"new"}))
    with refused("NoSuchKey"):
        s3.do("GetObject", Bucket=bucket, Key="k")
    s3.clock.time += DAY - 5
    assert s3.sweep() == (0, 0)
    assert operation.apply is not None
    with s3.database.write() as tx:
        operation.apply(tx, call, plan)
    s3.clock.time += DAY
    assert s3.sweep() == (0, 0)
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"new"


def test_an_apply_that_is_undone_changes_nothing(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"old")
    operation = s3.service.operations["PutObject"]
    call = s3.begin("PutObject", OWNER, "us-east-1", b"", {})
    plan = operation.prepare(call, s3.input("PutObject", {"Bucket": bucket, "Key": "k", "Body": b"new"}))
    assert operation.apply is not None
    with contextlib.suppress(Crash), s3.database.write() as tx:
        operation.apply(tx, call, plan)
        raise Crash
    assert s3.rows("SELECT 1 FROM s3_garbage") == []
    s3.clock.time += DAY + 5
    assert s3.sweep() == (0, 1)
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"old"


def test_an_apply_may_run_again(s3: Server, bucket: str) -> None:
    operation = s3.service.operations["PutObject"]
    call = s3.begin("PutObject", OWNER, "us-east-1", b"", {})
    plan = operation.prepare(call, s3.input("PutObject", {"Bucket": bucket, "Key": "k", "Body": b"new"}))
    assert operation.apply is not None
    with contextlib.suppress(Crash), s3.database.write() as tx:
        first = operation.apply(tx, call, plan)
        raise Crash
    with s3.database.write() as tx:
        assert operation.apply(tx, call, plan) == first
    assert len(call.touched) == 2


@pytest.mark.parametrize("function", ["write", "fsync", "rename"])
def test_joining_that_fails_leaves_the_parts_and_no_piece(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    on = {"Bucket": bucket, "Key": "k", "UploadId": s3.do("CreateMultipartUpload", Bucket=bucket, Key="k")["UploadId"]}
    parts = [{"PartNumber": 1, "ETag": s3.do("UploadPart", **on, PartNumber=1, Body=b"1234")["ETag"]}]
    (part,) = stored(s3)
    with monkeypatch.context() as patch:
        crash_at(patch, function, OSError(28, "No space left on device"))
        with pytest.raises(Unavailable) as caught:
            s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})
    assert caught.value.for_record() == "The object cannot be stored: ENOSPC"
    assert stored(s3) == {part}
    s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"1234"


def test_bytes_and_name_are_durable_before_the_row(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    rename, fsync = os.rename, os.fsync

    def renamed(source: Path, target: Path) -> None:
        steps.append("rename")
        rename(source, target)

    def synced(handle: int) -> None:
        steps.append("sync " + ("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file"))
        fsync(handle)

    on = {"Bucket": bucket, "Key": "k", "UploadId": s3.do("CreateMultipartUpload", Bucket=bucket, Key="k")["UploadId"]}
    parts = [{"PartNumber": 1, "ETag": s3.do("UploadPart", **on, PartNumber=1, Body=b"1234")["ETag"]}]
    call = s3.begin("CompleteMultipartUpload", OWNER, "us-east-1", b"", {})
    with monkeypatch.context() as patch:
        patch.setattr(blobs.os, "rename", renamed)
        patch.setattr(blobs.os, "fsync", synced)
        operation = s3.service.operations["CompleteMultipartUpload"]
        operation.prepare(call, s3.input("CompleteMultipartUpload", {**on, "MultipartUpload": {"Parts": parts}}))
    assert steps[-3:] == ["sync file", "rename", "sync folder"]


def test_garbage_goes_after_an_hour_and_survives_an_interrupted_sweep(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"1")
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"2")
    old = {row[0] for row in s3.rows("SELECT blob FROM s3_garbage")}
    s3.clock.time += blobs.GARBAGE_SECONDS - 1
    assert s3.sweep() == (0, 0)
    s3.clock.time += 1
    with monkeypatch.context() as patch:
        patch.setattr(blobs, "_forget", lambda tx, ids: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            s3.sweep()
    assert not old & stored(s3)
    assert s3.sweep() == (1, 0)
    assert s3.rows("SELECT 1 FROM s3_garbage") == []
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"2"


def test_links_fall_back_to_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, copy = "a" * 32, "b" * 32
    (tmp_path / "spooled").write_bytes(b"bytes")
    blobs.adopt(tmp_path, source, tmp_path / "spooled")
    crash_at(monkeypatch, "link", OSError(1, "Operation not permitted"))
    blobs.link(tmp_path, source, copy)
    assert blobs.path(tmp_path, copy).read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError):
        blobs.join(tmp_path, "c" * 32, [("d" * 32, 0, 1)])


@pytest.mark.parametrize("id", ["", "../x", "a" * 31, "A" * 32, "a" * 32 + "\n", "/" * 32])
def test_only_ids_become_paths(tmp_path: Path, id: str) -> None:
    with pytest.raises(AssertionError):
        blobs.path(tmp_path, id)
