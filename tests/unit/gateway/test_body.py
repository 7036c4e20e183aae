"""Request bodies: limits, hang-ups, the memory budget, the spool."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from opentrail.calls.call import Request
from opentrail.gateway.body import HungUp, Memory, Source, TooLarge
from opentrail.identity.refusals import Rejected
from opentrail.kernel.errors import Unavailable


def source(*pieces: bytes | None, length: str = "") -> Source:
    """A body that comes in these pieces; None is a hang-up."""
    waiting = [(piece, n + 1 < len(pieces)) for n, piece in enumerate(pieces)]

    async def receive() -> tuple[bytes, bool]:
        piece, more = waiting.pop(0)
        if piece is None:
            raise HungUp
        return piece, more

    return Source(receive, Request("POST", "/", "", {"content-length": length} if length else {}, b"", "", 0.0))


async def test_whole_bodies() -> None:
    memory = Memory(100)
    assert await source(b"").whole(10, memory) == b""
    assert await source(b"0123456789").whole(10, memory) == b"0123456789"
    assert await source(b"01234", b"", b"56789").whole(10, memory) == b"0123456789"
    memory.take(100)


@pytest.mark.parametrize("pieces", [(b"0123456789a",), (b"01234", b"56789a"), (b"0" * 6, b"1" * 6, b"2" * 6)])
async def test_too_large_and_its_memory_is_given_back(pieces: tuple[bytes, ...]) -> None:
    memory = Memory(100)
    with pytest.raises(TooLarge):
        await source(*pieces).whole(10, memory)
    memory.take(100)


async def test_an_announced_body_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        await source(length="11").whole(10, Memory())


@pytest.mark.parametrize("length", ["-1", "a", "1" * 19, "٣", " 5"])
def test_lengths_that_are_none_are_not_believed(length: str) -> None:
    assert source(length=length).declared is None


@pytest.mark.parametrize("pieces", [(None,), (b"a", None)])
async def test_hang_ups(pieces: tuple[bytes | None, ...]) -> None:
    memory = Memory(10)
    with pytest.raises(HungUp):
        await source(*pieces).whole(10, memory)
    memory.take(10)


async def test_the_memory_budget_is_shared() -> None:
    memory = Memory(8)
    memory.take(3)
    with pytest.raises(Unavailable):
        await source(b"0123", b"4567").whole(100, memory)
    memory.take(5)
    with pytest.raises(Unavailable):
        memory.take(1)


async def test_the_spool_measures_what_it_writes(tmp_path: Path) -> None:
    body = bytes(range(256)) * 9000
    upload = await source(*[body[n : n + 100_000] for n in range(0, len(body), 100_000)]).spool(tmp_path / "a", 10**7, None)
    assert upload.file.read_bytes() == body
    assert (upload.size, upload.sha256, upload.md5) == (
        len(body), hashlib.sha256(body).hexdigest(), hashlib.md5(body, usedforsecurity=False).hexdigest(),
    )  # fmt: skip
    assert upload.file.stat().st_mode & 0o777 == 0o600


async def test_the_spool_stops_at_the_limit_and_at_a_hang_up(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await source(b"0" * 6, b"1" * 6).spool(tmp_path / "a", 10, None)
    with pytest.raises(TooLarge):
        await source(length="11").spool(tmp_path / "b", 10, None)
    with pytest.raises(HungUp):
        await source(b"0", None).spool(tmp_path / "c", 10, None)


async def test_the_spool_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        await source(b"yours").spool(tmp_path / "a", 10, None)
    assert (tmp_path / "a").read_bytes() == b"mine"


async def test_chunks_are_taken_off_and_their_end_is_asked_for(tmp_path: Path) -> None:
    class Chunks:
        ended = False

        def feed(self, raw: bytes) -> bytes:
            return raw.replace(b"-", b"")

        def finish(self) -> None:
            if self.ended:
                raise Rejected("chunk")
            self.ended = True

    chunks = Chunks()
    upload = await source(b"-a-", b"b-").spool(tmp_path / "a", 10, chunks)
    assert (upload.file.read_bytes(), upload.size) == (b"ab", 2)
    with pytest.raises(Rejected):
        await source(b"a").spool(tmp_path / "b", 10, chunks)
