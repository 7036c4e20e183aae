"""Redacting texts of any length by DetectPHI: windows that the service takes, cut where nothing protected is cut."""

from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from opentrail.services.comprehendmedical.engine.redact import Piece, StandIn, replaced

WINDOW = 18_000
"""Bytes of UTF-8 of one request (the service takes 20,000)."""
TAIL = 1_000
MARGIN = 200
"""Characters at the end of a window among which it may be cut, and those that are always looked at again with what follows."""
BLOCK = 64 * 1024
Detect = Callable[[str], list[Piece]]


class NotText(Exception):
    """A file is not in the encoding that it should be in; the text says where, never what is there."""


def detector(client: Any, least: float) -> Detect:
    """DetectPHI of a client as pieces in order, those with at least this score."""

    def detect(text: str) -> list[Piece]:
        if not text.strip():
            return []
        found = client.detect_phi(Text=text)["Entities"]
        pieces = sorted((one["BeginOffset"], one["EndOffset"], one["Type"]) for one in found if one["Score"] >= least)
        return _apart(pieces)

    return detect


def _apart(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces that overlap become one, of the first one's type."""
    out: list[Piece] = []
    for begin, end, kind in pieces:
        if out and begin < out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]), out[-1][2])
        else:
            out.append((begin, end, kind))
    return out


def redacted(blocks: Iterable[str], detect: Detect, stand_in: StandIn) -> Iterator[str]:
    """The text of these blocks, redacted, piece by piece; holds little more than one window at a time."""
    held = ""
    for block in blocks:
        held += block
        while len(held.encode()) > WINDOW:
            window = _fitting(held)
            pieces = detect(window)
            cut = _cut(window, pieces)
            yield replaced(window[:cut], [piece for piece in pieces if piece[1] <= cut], stand_in)
            held = held[cut:]
    if held:
        yield replaced(held, detect(held), stand_in)


def _fitting(text: str) -> str:
    """The beginning of a text that fits into a request."""
    return text.encode()[:WINDOW].decode(errors="ignore")


def _cut(window: str, pieces: list[Piece]) -> int:
    """Where a window is cut that is followed by more: after a line or a word, never within a piece, and before its last `MARGIN`
    characters, where a piece may go on in what follows. What comes after is looked at again."""
    least, most = max(len(window) - TAIL, len(window) // 2), len(window) - MARGIN
    for mark in ("\n\n", "\n", ". ", " "):
        at = window.rfind(mark, least, most)
        while at >= 0:
            cut = at + len(mark)
            if not any(begin < cut < end for begin, end, _ in pieces):
                return cut
            at = window.rfind(mark, least, at)
    return next((cut for cut in range(most, least, -1) if not any(begin < cut < end for begin, end, _ in pieces)), most)


def decoded(stream: IO[bytes], encoding: str) -> Iterator[str]:
    """The text of a stream in blocks, its line ends as they are. Raises NotText, and LookupError for an unknown encoding."""
    decoder, read = codecs.getincrementaldecoder(encoding)(errors="strict"), 0
    while True:
        block = stream.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise NotText(f"byte {read + error.start} or just before it is not {encoding} text") from error
        read += len(block)
        if text:
            yield text
        if not block:
            return


def encoded(texts: Iterable[str], encoding: str) -> Iterator[bytes]:
    """The bytes of a text in pieces; what the encoding lacks (a stand-in's letter, say) becomes "?"."""
    encoder = codecs.getincrementalencoder(encoding)(errors="replace")
    for text in texts:
        yield encoder.encode(text)
    yield encoder.encode("", final=True)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` when all went well; else `path` stays as it was."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            if path.exists():
                os.fchmod(out.fileno(), path.stat().st_mode & 0o777)
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
