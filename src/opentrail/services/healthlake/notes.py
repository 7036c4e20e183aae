"""Which notes are read by natural-language processing, and when: asked for in the transaction that writes a DocumentReference.

The reading is a job (`note_reading`), so that the write is answered at once. A data store reads notes when it was told to
(NlpConfiguration ENABLED); as in AWS, it does not by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.kernel import arn
from opentrail.kernel.principal import Principal
from opentrail.services.healthlake import store
from opentrail.services.healthlake.engine import nlp
from opentrail.store.sql import Tx
from opentrail.work import jobs

TYPE = "DocumentReference"
PRINCIPAL = "healthlake.amazonaws.com"
"""Who reads notes, and writes what was found."""

QUEUE = "healthlake-notes"
"""The queue of the jobs: apart from others, so that a note does not wait for an import."""

KIND = "note"


class Asked(msgspec.Struct, frozen=True):
    """One version of one note."""

    datastore: str
    account: str
    region: str
    id: str
    version: int


def unsupported(given: Mapping[str, Any]) -> str:
    """Why an NlpConfiguration cannot be taken; empty when it can."""
    return "" if given.get("Status") in ("ENABLED", "DISABLED") else "Status must be ENABLED or DISABLED"


def enabled(found: store.Datastore) -> bool:
    """Whether the data store has its notes read."""
    return bool(msgspec.json.decode(found.configuration).get("NlpConfiguration", {}).get("Status") == "ENABLED")


def source(region: str, account: str, datastore: str) -> str:
    """What makes HealthLake call when it reads notes: the notes of a data store."""
    return arn.build("healthlake", region, account, f"datastore/fhir/{datastore}/{TYPE}")


def is_reading(caller: Principal) -> bool:
    """Whether HealthLake itself calls, in reading a note."""
    return (caller.kind, caller.service) == ("AWSService", PRINCIPAL) and caller.source_arn.endswith(f"/{TYPE}")


def ask(tx: Tx, call: Call, found: store.Datastore, type: str, id: str, version: int, body: bytes | None) -> None:
    """Has this version read, if it is a note that is to be read. What the reading itself writes is not: so nothing goes round."""
    if type == TYPE and body is not None and not is_reading(call.caller) and enabled(found):
        ask_for(tx, found, id, version, body, call.now)


def ask_for(tx: Tx, found: store.Datastore, id: str, version: int, body: bytes, now: float) -> None:
    """Has this version of a DocumentReference of a data store that has its notes read, read, if there is a text in it."""
    if next(nlp.texts(msgspec.json.decode(body)), None) is None:
        return
    asked = Asked(found.id, found.account, found.region, id, version)
    place = source(found.region, found.account, found.id)
    jobs.submit(tx, QUEUE, KIND, f"{place}/{id}/{version}", now, msgspec.json.encode(asked))
