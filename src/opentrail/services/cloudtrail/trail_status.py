"""GetTrailStatus."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.kernel.ambient import stamp
from opentrail.services.cloudtrail import trails
from opentrail.services.cloudtrail.delivery.status import status_of
from opentrail.store.sql import Snapshot

LEGACY = (
    "LatestDeliveryAttemptTime",
    "LatestNotificationAttemptTime",
    "LatestNotificationAttemptSucceeded",
    "LatestDeliveryAttemptSucceeded",
    "TimeLoggingStarted",
    "TimeLoggingStopped",
    "LatestDeliveryError",
)
"""Members that AWS always answers, as an empty text while there is nothing to say."""


def get_trail_status(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """GetTrailStatus: whether a trail is logging, since when, and how its latest deliveries went."""
    trail = trails.existing(snapshot, call, input.Name)
    output: dict[str, Any] = {"IsLogging": trail.logging, **dict.fromkeys(LEGACY, "")}
    if trail.started is not None:
        output |= {"StartLoggingTime": trail.started, "TimeLoggingStarted": stamp(trail.started)}
    if trail.stopped is not None:
        output |= {"StopLoggingTime": trail.stopped, "TimeLoggingStopped": stamp(trail.stopped)}
    with call.tools.delivery() as delivery:
        return {**output, **status_of(delivery, trail.arn)}
