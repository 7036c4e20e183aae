"""What the program says about itself: logs and metrics. Neither ever holds a payload, a parameter or an error's content.

Log lines name operations, codes, ids and reasons. Metrics follow Prometheus; their labels are names from a closed set.
"""

from __future__ import annotations

import logging
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

registry = CollectorRegistry()

calls_unrecorded = Counter(
    "opentrail_calls_unrecorded", "Requests for which CloudTrail writes no record, by reason.", ("reason",), registry=registry
)
lane_waiting = Gauge("opentrail_lane_waiting", "Calls that wait for the lane.", registry=registry)
follower_lag = Gauge("opentrail_follower_lag", "Records that a follower has yet to take.", ("follower",), registry=registry)
wal_bytes = Gauge("opentrail_wal_bytes", "Size of the write-ahead log of SQLite's main database.", registry=registry)
free_bytes = Gauge("opentrail_disk_free_bytes", "Free space in the data folder's file system.", registry=registry)
downloads_broken = Counter("opentrail_downloads_broken", "Streamed answers that the client did not wait for.", registry=registry)


_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LABELS = [*(str(bound) for bound in _BOUNDS), "+Inf"]


class _Calls(Collector):
    """Counts of answered calls and their times. Plain sums, put into Prometheus's form only when asked: this is on the path of
    every call."""

    def __init__(self) -> None:
        self.answered: dict[tuple[str, str, int], int] = {}
        self.times: dict[str, list[float]] = {}

    def count(self, service: str, operation: str, status: int, seconds: float) -> None:
        key = (service, operation, status)
        self.answered[key] = self.answered.get(key, 0) + 1
        times = self.times.get(service)
        if times is None:
            times = self.times[service] = [0.0] * (len(_BOUNDS) + 2)
        times[bisect_left(_BOUNDS, seconds)] += 1
        times[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        answered = CounterMetricFamily(
            "opentrail_calls", "Calls answered, by service, operation and HTTP status.", labels=("service", "operation", "status")
        )
        for (service, operation, status), count in self.answered.copy().items():
            answered.add_metric((service, operation, str(status)), count)
        yield answered
        seconds = HistogramMetricFamily("opentrail_call_seconds", "Time from the request's arrival to its answer.", labels=("service",))
        for service, (*counts, total) in self.times.copy().items():
            seconds.add_metric((service,), list(zip(_LABELS, accumulate(counts), strict=True)), total)
        yield seconds


class _Batches(Collector):
    """Counts of what the lane committed, and where the journal stands; plain numbers for the same reason."""

    def __init__(self) -> None:
        self.committed = self.position = 0

    def count(self, position: int) -> None:
        self.committed += 1
        self.position = position

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("opentrail_lane_batches", "Transactions that the lane committed.", self.committed)
        yield GaugeMetricFamily("opentrail_journal_position", "Newest position of the journal.", self.position)


calls, batches = _Calls(), _Batches()
registry.register(calls)
registry.register(batches)
count_call, count_batch = calls.count, batches.count
"""Counts one answered call: service, operation, HTTP status, seconds."""


def exposition() -> bytes:
    """Every metric in Prometheus's text format."""
    return generate_latest(registry)


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = where(record.exc_info[1])
        return msgspec.json.encode(line).decode()


class _Text(logging.Formatter):
    """A line a person reads."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%SZ')} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        return f"{line} ({where(record.exc_info[1])})" if record.exc_info and record.exc_info[0] else line


def where(error: BaseException | None) -> str:
    """An exception's type and the places it passed, without its text, which may quote what a user sent."""
    if error is None:
        return ""
    places: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "?")
        places.append(f"{module}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' > '.join(places[-8:])}"


def set_up_logging(level: str, form: str) -> None:
    """Sends OpenTrail's log lines to standard error, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    formatter: logging.Formatter = _Json() if form == "json" else _Text()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger("opentrail")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
