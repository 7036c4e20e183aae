"""Who saw a patient: every call that returned or changed what is in the patient's compartment, from Event history by name.

A call is found by the patient's name among its resources or in the list beside its record, so that searches, bundles,
`$everything` and exports are found like reads. Refused and failed calls showed nothing and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from opentrail.client.lookup import BadCondition, Wanted, search
from opentrail.kernel import arn
from opentrail.kernel.settings import Settings

SOURCE = "healthlake.amazonaws.com"
_NAME = re.compile(r"Patient/[A-Za-z0-9.\-]{1,64}")
_STORE = re.compile(r"[0-9a-f]{32}")
_HASHED = re.compile(r"h[0-9a-f]{32}")


class Seen(NamedTuple):
    """One call, as a report shows it: when (UTC), who, through which service if not directly, what, from where, how many other
    patients it concerned, whether it read or changed the patient's data, the data stores' ids, and the record's eventID."""

    time: str
    who: str
    via: str
    what: str
    source: str
    others: int
    effect: str
    datastore: str
    event: str


def resource_name(account: str, region: str, patient: str, datastore: str = "") -> str:
    """What Event history is asked for: the patient in one data store, or in any. Raises BadCondition."""
    if not _NAME.fullmatch(patient):
        raise BadCondition("a patient is named as Patient/123")
    if not datastore:
        return patient
    if not _STORE.fullmatch(datastore):
        raise BadCondition("--datastore: an id of 32 hexadecimal digits")
    return arn.build("healthlake", region, account, f"datastore/fhir/{datastore}/{patient}")


def report(cloudtrail: Any, name: str, since: datetime | None, until: datetime | None, limit: int) -> Iterator[Seen]:
    """The calls, newest first, at most `limit`."""
    wanted = Wanted({"ResourceName": name, "EventSource": SOURCE}, since, until, limit=limit)
    id = name.rpartition("/")[2]
    for record in search(cloudtrail, wanted, lambda record: "errorCode" not in record):
        request = (record.get("additionalEventData") or {}).get("submittedBy", "")
        yield seen(record, id, submitter(cloudtrail, request, record["eventTime"]) if request else "")


def submitter(cloudtrail: Any, request: str, time: str) -> str:
    """Who sent the asynchronous transaction that HealthLake carried out at `time`: the caller of the request with that id; empty when
    the journal no longer has it."""
    wanted = Wanted({"EventName": "ProcessBundle", "EventSource": SOURCE}, until=datetime.fromisoformat(time), limit=1)
    return next((who(record["userIdentity"]) for record in search(cloudtrail, wanted, lambda record: record["requestID"] == request)), "")


def seen(record: Mapping[str, Any], patient: str, starter: str = "") -> Seen:
    """A record as a line of a report on the patient with this id; `starter` is who had the service do it."""
    identity, facts = record.get("userIdentity", {}), record.get("additionalEventData") or {}
    return Seen(
        record["eventTime"],
        starter or who(identity),
        identity.get("invokedBy", ""),
        record["eventName"],
        record.get("sourceIPAddress", ""),
        others(record, facts),
        effect(record, facts, patient),
        " ".join(dict.fromkeys(_stores(record))),
        record["eventID"],
    )


def who(identity: Mapping[str, Any]) -> str:
    """The caller: the ARN; for one with a bearer token the token's issuer and subject; for a service its name."""
    if "identityProvider" in identity:
        return f"{identity['identityProvider']} {identity.get('userName') or identity.get('principalId', '')}"
    return str(identity.get("arn") or identity.get("principalId") or identity.get("invokedBy") or identity.get("type", ""))


def others(record: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    """How many other patients the call concerned."""
    listed = facts.get("patients")
    if listed is not None:
        return max(0, int(listed["count"]) - 1)
    names = {one.get("ARN", "") for one in record.get("resources") or ()}
    return max(0, sum("/Patient/" in name for name in names) - 1)


def effect(record: Mapping[str, Any], facts: Mapping[str, Any], patient: str) -> str:
    """Whether the call read or changed the patient's data: `read`, `changed`, or `read or changed` where its record has no room to
    say for whom of many."""
    if record.get("readOnly") or facts.get("created") is False:
        return "read"
    if record["eventName"] != "ProcessBundle":
        return "changed"
    changed, concerned = facts.get("patientsChanged"), facts.get("patients", {})
    if changed is None:
        return "read"
    if patient in changed["items"] or changed["count"] == concerned.get("count"):
        return "changed"
    whole = "sha256" not in changed and not any(_HASHED.fullmatch(one) for one in changed["items"])
    return "read" if whole else "read or changed"


def _stores(record: Mapping[str, Any]) -> Iterator[str]:
    for one in record.get("resources") or ():
        found = re.search(r":datastore/fhir/([0-9a-f]{32})", one.get("ARN", ""))
        if found:
            yield found[1]


def notes(settings: Settings, since: datetime | None, now: float) -> Iterable[str]:
    """What a reader must know about what the report does not hold."""
    kept = datetime.fromtimestamp(now, UTC) - timedelta(days=settings.journal_days)
    if since is not None and since < kept:
        yield (
            f"The journal keeps {settings.journal_days} days: calls before {kept:%Y-%m-%dT%H:%M:%SZ} are NOT in this report."
            " The log files of the trails have their records."
        )
    if settings.fhir_data_events:
        yield (
            "Reads and searches are data events (fhir_data_events) and NOT in this report since that was set."
            " The log files of the trails that select them have their records."
        )
