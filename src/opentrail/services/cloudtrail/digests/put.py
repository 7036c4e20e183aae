"""The shelf of digests: put strictly in order, so that a digest is never in the bucket before the one it names."""

from __future__ import annotations

from collections.abc import Sequence

from opentrail.services.cloudtrail.delivery.files import packed
from opentrail.services.cloudtrail.delivery.put import Id, Parcel, Queue
from opentrail.services.cloudtrail.digests import store
from opentrail.services.cloudtrail.digests.document import ALGORITHM, SIGNATURE, SIGNATURE_ALGORITHM
from opentrail.store.sql import Snapshot, Tx


class Digests:
    """See `delivery.put.Shelf`."""

    kind = "digest"

    def queues(self, snapshot: Snapshot) -> list[Queue]:
        return [(trail, "") for trail in store.waiting_trails(snapshot)]

    def next(self, snapshot: Snapshot, queue: Queue, count: int) -> Sequence[Id]:
        trail, _ = queue
        return [(trail, region, end) for region, end in store.waiting(snapshot, trail, count)]

    def parcel(self, own: Snapshot, id: Id) -> Parcel:
        row = store.get(own, str(id[0]), str(id[1]), int(id[2]))
        metadata = {SIGNATURE: row.signature, SIGNATURE_ALGORITHM: ALGORITHM}
        return Parcel(row.trail, row.bucket, row.object_key, packed(row.body), metadata)

    def done(self, tx: Tx, id: Id, at: float) -> None:
        store.done(tx, str(id[0]), str(id[1]), int(id[2]), at)
