"""What GetTrailStatus says of deliveries, and what health and pruning ask."""

from __future__ import annotations

from typing import Any

from opentrail.kernel.ambient import stamp
from opentrail.services.cloudtrail.delivery import store
from opentrail.store.sql import Snapshot

LOG, DIGEST = "log", "digest"


def status_of(snapshot: Snapshot, trail_arn: str) -> dict[str, Any]:
    """The members of GetTrailStatus that delivery knows, by their wire names: times as seconds since 1970, errors as S3's
    codes while the latest attempt failed, absent when there is nothing to say. The two legacy members are texts."""
    log, digest = store.status(snapshot, trail_arn, LOG), store.status(snapshot, trail_arn, DIGEST)
    found = {
        "LatestDeliveryTime": log.succeeded,
        "LatestDeliveryError": log.error or None,
        "LatestDeliveryAttemptTime": stamp(log.attempted) if log.attempted is not None else "",
        "LatestDeliveryAttemptSucceeded": stamp(log.succeeded) if log.succeeded is not None else "",
        "LatestDigestDeliveryTime": digest.succeeded,
        "LatestDigestDeliveryError": digest.error or None,
    }
    return {name: value for name, value in found.items() if value is not None}
