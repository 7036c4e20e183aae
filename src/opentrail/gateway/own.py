"""OpenTrail's own pages beside the AWS APIs: /_opentrail/health and /_opentrail/metrics. They show no account's data."""

from __future__ import annotations

import msgspec

from opentrail.calls.call import Answer, Request
from opentrail.gateway.state import Gateway
from opentrail.kernel import telemetry
from opentrail.store.database import Broken, Slow


def own_answer(gateway: Gateway, request: Request) -> Answer:
    """The answer for a path under /_opentrail/."""
    if request.method not in ("GET", "HEAD"):
        return _text(405, b"GET only\n")
    if request.path == "/_opentrail/health":
        report = gateway.health()
        body = msgspec.json.encode(report) + b"\n"
        return Answer(200 if report["status"] == "ok" else 503, (("content-type", "application/json"),), body)
    if request.path == "/_opentrail/metrics":
        try:
            gateway.measure()
        except (Broken, Slow) as error:
            return _text(503, f"the database cannot be read: {error}\n".encode())
        return Answer(200, (("content-type", "text/plain; version=0.0.4; charset=utf-8"),), telemetry.exposition())
    return _text(404, b"OpenTrail serves /_opentrail/health and /_opentrail/metrics here\n")


def _text(status: int, body: bytes) -> Answer:
    return Answer(status, (("content-type", "text/plain; charset=utf-8"),), body)
