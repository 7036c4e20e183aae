"""Wrong signatures with a known key, and tokens that are not accepted, are recorded, but not so many that anybody could fill the
disk with them."""

from __future__ import annotations

from opentrail.calls.call import Call

RATE = 10
"""Records of wrong signatures a second, for one access key (or one issuer's tokens) and source address."""

_MOST = 10_000


class Strangers:
    """Counts wrong signatures by access key and source. Used on the event loop alone."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[int, int, int]] = {}

    def records(self, call: Call, now: float) -> bool:
        """Whether this one is recorded. The first record after suppressed ones says how many there were."""
        key, second = (call.caller.access_key or call.caller.principal_id, call.request.peer), int(now)
        at, count, suppressed = self._seen.get(key, (second, 0, 0))
        if at != second:
            count = 0
        if count >= RATE:
            self._seen[key] = (second, count, suppressed + 1)
            return False
        if suppressed:
            call.facts["suppressedFailures"] = suppressed
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[key] = (second, count + 1, 0)
        return True
