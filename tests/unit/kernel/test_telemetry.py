"""Log lines and metrics: where something failed, never what was in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec
import pytest

from opentrail.kernel import telemetry

CANARY = "canary-5d1f"


def failing(depth: int) -> None:
    if depth == 0:
        raise ValueError(CANARY)
    failing(depth - 1)


def caught(depth: int = 2) -> ValueError:
    try:
        failing(depth)
    except ValueError as error:
        return error
    raise AssertionError


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    log = logging.getLogger("opentrail")
    handlers, level, propagate = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)


def test_where_names_type_and_places_only() -> None:
    text = telemetry.where(caught())
    assert text.startswith("ValueError at ")
    assert __name__ in text
    assert CANARY not in text
    assert telemetry.where(caught(50)).count(" > ") == 7
    assert telemetry.where(None) == ""


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_never_hold_an_exceptions_text(capsys: pytest.CaptureFixture[str], form: str) -> None:
    telemetry.set_up_logging("debug", form)
    cause = RuntimeError(CANARY)
    cause.__cause__ = caught()
    logging.getLogger("opentrail.gateway").error("request %s failed", "r-1", exc_info=cause)
    line = capsys.readouterr().err
    assert "request r-1 failed" in line
    assert "RuntimeError" in line
    assert CANARY not in line
    assert line.count("\n") == 1
    if form == "json":
        assert msgspec.json.decode(line)["level"] == "error"


def test_levels_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.set_up_logging("warning", "text")
    logging.getLogger("opentrail.a").info("quiet")
    assert capsys.readouterr().err == ""


def test_calls_are_counted_by_name_and_status_and_timed() -> None:
    calls = telemetry._Calls()
    for took in (0.0001, 0.0005, 0.3, 99.0):
        calls.count("s3", "GetObject", 200, took)
    calls.count("s3", "GetObject", 404, 0.0)
    answered, times = calls.collect()
    assert {(sample.labels["status"], sample.value) for sample in answered.samples} == {("200", 4), ("404", 1)}
    by_bound = {sample.labels.get("le"): sample.value for sample in times.samples if sample.name.endswith("_bucket")}
    assert (by_bound["0.0005"], by_bound["0.25"], by_bound["0.5"], by_bound["+Inf"]) == (3, 3, 4, 5)
    assert b"opentrail_calls_total" in telemetry.exposition() or b"opentrail_call_seconds" in telemetry.exposition()
