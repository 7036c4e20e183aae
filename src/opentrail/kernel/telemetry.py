"""What the program says about itself: logs and metrics. Neither ever holds a payload, a parameter or an error's content.

Log lines name operations, codes, ids and reasons. Metrics follow Prometheus; their labels are names from a closed set.
"""

from __future__ import annotations

import logging
import sys
import time

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

registry = CollectorRegistry()

calls_served = Counter(
    "opentrail_calls", "Calls answered, by service, operation and HTTP status.", ("service", "operation", "status"), registry=registry
)
calls_unrecorded = Counter(
    "opentrail_calls_unrecorded", "Requests for which CloudTrail writes no record, by reason.", ("reason",), registry=registry
)
call_seconds = Histogram(
    "opentrail_call_seconds",
    "Time from the request's arrival to its answer.",
    ("service",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=registry,
)
journal_position = Gauge("opentrail_journal_position", "Newest position of the journal.", registry=registry)
lane_batches = Counter("opentrail_lane_batches", "Transactions that the lane committed.", registry=registry)
lane_waiting = Gauge("opentrail_lane_waiting", "Calls that wait for the lane.", registry=registry)
follower_lag = Gauge("opentrail_follower_lag", "Records that a follower has yet to take.", ("follower",), registry=registry)
wal_bytes = Gauge("opentrail_wal_bytes", "Size of SQLite's write-ahead log.", registry=registry)
free_bytes = Gauge("opentrail_disk_free_bytes", "Free space in the data folder's file system.", registry=registry)
downloads_broken = Counter("opentrail_downloads_broken", "Streamed answers that the client did not wait for.", registry=registry)


_children: dict[tuple[str, str, int], Counter] = {}
_times: dict[str, Histogram] = {}


def count_call(service: str, operation: str, status: int, seconds: float) -> None:
    """Counts an answered call. The labelled children are kept because looking them up costs more than counting."""
    key = (service, operation, status)
    child = _children.get(key)
    if child is None:
        child = _children[key] = calls_served.labels(service, operation, str(status))
        _times.setdefault(service, call_seconds.labels(service))
    child.inc()
    _times[service].observe(seconds)


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
