"""Plan: when a digest is due it is written as a row, signed, before anything is put. After that it never changes."""

from __future__ import annotations

import math
from typing import NamedTuple

from opentrail.kernel import arn
from opentrail.kernel.ambient import Clock, stamp
from opentrail.services.cloudtrail.delivery.store import LogFile
from opentrail.services.cloudtrail.digests import chains, store
from opentrail.services.cloudtrail.digests.chains import Chain
from opentrail.services.cloudtrail.digests.document import Previous, Signer, document, object_key, string_to_sign
from opentrail.services.cloudtrail.digests.store import DigestRow
from opentrail.store.sql import Snapshot
from opentrail.work.lease import Lease
from opentrail.work.runner import attempt


class Due(NamedTuple):
    """A digest to make: from `start` to `end` in seconds since 1970, after `previous` (None: the starting digest)."""

    start: int
    end: int
    previous: DigestRow | None
    final: bool


class Planning:
    """The task that plans digests."""

    name = "digests"

    def __init__(self, signer: Signer, clock: Clock, digest_interval: float) -> None:
        self.interval = max(1, math.ceil(digest_interval))
        self.every = min(1.0, self.interval / 4)
        self._signer = signer
        self._clock = clock

    def step(self, lease: Lease) -> bool:
        """Plans the next digest of every chain that has one due. A chain that fails does not hold up the others; the first
        failure is raised after them."""
        with lease.database.read() as snapshot:
            found = chains.open_chains(snapshot)
        failures = [error for chain in found if (error := attempt(lambda chain=chain: self._plan(lease, chain)))]  # type: ignore[misc]
        if failures:
            raise failures[0]
        return False

    def _plan(self, lease: Lease, chain: Chain) -> None:
        now = self._clock.now()
        with lease.database.read() as snapshot:
            due = next_due(snapshot, chain, self.interval, now)
            if due is None:
                return
            covered = store.files(snapshot, chain, due.end) if due.previous else []
        row = self._made(chain, due, covered, now)
        with lease.write() as tx:
            store.plan(tx, row, covered)
            if due.final:
                chains.close(tx, chain)

    def _made(self, chain: Chain, due: Due, covered: list[LogFile], now: float) -> DigestRow:
        trail = arn.parse(chain.trail)
        assert trail is not None, "trails are named by their ARN"
        name = trail.resource.partition("/")[2]
        key = object_key(chain.prefix, trail.account, chain.region, name, trail.region, due.end)
        before = due.previous
        previous = Previous(before.bucket, before.object_key, before.body, before.signature) if before else None
        signing = self._signer(trail.account, chain.region, now)
        body = document(trail.account, due.start, due.end, chain.bucket, key, signing.fingerprint, previous, covered)
        message = string_to_sign(stamp(due.end), chain.bucket, key, body, previous.signature if previous else None)
        signature = signing.sign(message).hex()
        return DigestRow(chain.trail, chain.region, due.end, chain.on_position, chain.bucket, key, body, signature, now)


def next_due(snapshot: Snapshot, chain: Chain, interval: int, now: float) -> Due | None:
    """The chain's next digest, or None while none is due.

    The starting digest ends when the chain begins and covers nothing. The next ones end at whole intervals after it; time in
    which nobody planned makes one digest over all of it. The final one waits until every file of the chain is delivered.
    Ends are whole seconds and grow in each region, so that no two digests share a name.
    """
    last = store.latest(snapshot, chain)
    present = int(now)
    if last is None or last.on_position != chain.on_position:
        end = chain.on_time if last is None else max(chain.on_time, last.end_time + 1)
        return Due(end - interval, end, None, False) if end <= present else None
    if not chain.on and present > last.end_time and store.later(snapshot, chain, present) == 0:
        return Due(last.end_time, present, last, True)
    end = last.end_time + (present - last.end_time) // interval * interval
    return Due(last.end_time, end, last, False) if end > last.end_time else None
