"""Redacting long texts window by window: nothing is cut apart, memory is bounded, files are replaced whole."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.client import redact as work
from opentrail.services.comprehendmedical.engine.redact import Piece, tag

NAME = re.compile("Zo[eé] Q(?:ix|an)")


class Detector:
    """Finds made-up names, and remembers how long the texts were."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, text: str) -> list[Piece]:
        self.sizes.append(len(text.encode()))
        return [(match.start(), match.end(), "NAME") for match in NAME.finditer(text)]


def redact(blocks: list[str]) -> tuple[str, Detector]:
    detect = Detector()
    return "".join(work.redacted(blocks, detect, tag)), detect


@pytest.mark.parametrize("filler", ["and so on. ", "line\n", "x", "é", "😀 "])
def test_long_texts_are_redacted_in_windows_that_fit(filler: str) -> None:
    source = (filler * 4000 + "Zoé Qix") * 6
    told, detect = redact([source[at : at + 5000] for at in range(0, len(source), 5000)])
    assert told == source.replace("Zoé Qix", "[NAME]")
    assert len(detect.sizes) > 1
    assert max(detect.sizes) <= work.WINDOW


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["Zoe Qan", " ", "\n", "\r\n", "word ", "é" * 50, "x" * 700, ". "]), max_size=120), st.integers(1, 4000))
def test_no_piece_is_cut_apart_wherever_blocks_end(parts: list[str], size: int) -> None:
    source = "".join(parts) * 3
    told, _ = redact([source[at : at + size] for at in range(0, len(source), size)])
    assert told == NAME.sub("[NAME]", source)


def test_a_long_stream_is_held_a_window_at_a_time() -> None:
    held = {"most": 0}

    def blocks() -> object:
        for number in range(400):
            yield f"{number} " + "word " * 500

    given_out = 0
    taken = 0

    def counted() -> object:
        nonlocal taken
        for block in blocks():  # type: ignore[attr-defined]
            taken += len(block)
            held["most"] = max(held["most"], taken - given_out)
            yield block

    for piece in work.redacted(counted(), Detector(), tag):  # type: ignore[arg-type]
        given_out += len(piece)
    assert given_out == taken > 900_000
    assert held["most"] < 3 * work.WINDOW


def test_nothing_is_asked_of_blank_texts_and_nothing_is_told_of_an_empty_one() -> None:
    assert redact([])[0] == ""

    class Client:
        def detect_phi(self, Text: str) -> dict[str, object]:
            raise AssertionError("a blank text was sent")

    assert work.detector(Client(), 0.0)(" \n") == []


def test_answers_are_put_in_order_and_overlaps_made_one() -> None:
    class Client:
        def detect_phi(self, Text: str) -> dict[str, object]:
            spans = [(9, 12, "ID", 0.9), (0, 4, "NAME", 0.99), (3, 7, "DATE", 0.8), (20, 22, "AGE", 0.2)]
            return {"Entities": [{"BeginOffset": a, "EndOffset": b, "Type": kind, "Score": score} for a, b, kind, score in spans]}

    assert work.detector(Client(), 0.5)("text") == [(0, 7, "NAME"), (9, 12, "ID")]


def test_text_in_another_encoding_is_named_by_place_alone() -> None:
    assert "".join(work.decoded(io.BytesIO("a\r\né".encode("latin-1")), "latin-1")) == "a\r\né"
    with pytest.raises(work.NotText) as told:
        list(work.decoded(io.BytesIO(b"name Miller \xff"), "utf-8"))
    assert "Miller" not in str(told.value)
    assert "byte 12" in str(told.value)
    with pytest.raises(work.NotText):
        list(work.decoded(io.BytesIO(b"cut \xc3"), "utf-8"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_pieces_are_put_together_in_any_encoding(encoding: str) -> None:
    source = "Zoé\r\n" * 50_000
    stream = io.BytesIO(source.encode(encoding))
    assert b"".join(work.encoded(work.decoded(stream, encoding), encoding)) == source.encode(encoding)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("before")
    path.chmod(0o640)

    def fail_half_way() -> None:
        with work.replacing(path) as out:
            out.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert (path.read_text(), [one.name for one in tmp_path.iterdir()]) == ("before", ["note.txt"])
    with work.replacing(path) as out:
        out.write(b"after")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("after", 0o640)
