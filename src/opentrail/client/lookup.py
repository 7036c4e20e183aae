"""Searching Event history through LookupEvents: any combination of conditions, more than one page, safe output.

The server filters by the eight attributes of the API; the conditions that the API lacks (error code, source address,
an ARN anywhere among the resources) are applied to what it returns.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from opentrail.kernel.settings import seconds

MOST = 200_000
"""Events that one search returns at most, as the AWS console's download."""

COLUMNS = ("eventTime", "eventName", "userName", "eventSource", "errorCode", "sourceIPAddress", "resources", "eventID")


class BadCondition(Exception):
    """A condition cannot be understood; the message names it and the rule."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for. `attributes` are LookupEvents' own; empty texts and None mean any."""

    attributes: dict[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    error: str = ""
    source_ip: str = ""
    arn: str = ""
    limit: int = 1000

    def matches(self, record: dict[str, Any]) -> bool:
        """The conditions that the API does not have."""
        if self.error and record.get("errorCode", "") != self.error and not (self.error == "any" and record.get("errorCode")):
            return False
        if self.source_ip and record.get("sourceIPAddress") != self.source_ip:
            return False
        ends = (f"/{self.arn}", f":{self.arn}")
        return not self.arn or any((name := one.get("ARN", "")) == self.arn or name.endswith(ends) for one in record.get("resources") or ())


def moment(text: str, now: float) -> datetime:
    """A time from `2h` (that long ago) or ISO 8601; without an offset it is UTC. Raises BadCondition."""
    try:
        if re.fullmatch(r"[0-9.]+\s*(ms|s|m|h|d)", text):
            return datetime.fromtimestamp(now - seconds(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise BadCondition(f"{text!r} is neither a duration such as 2h nor a time such as 2026-11-21T09:30:00Z") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def period(since: str, until: str, now: float) -> tuple[datetime | None, datetime | None]:
    """From when and to when, as `moment` takes them; an empty text is no bound. Raises BadCondition."""
    begin, end = (moment(text, now) if text else None for text in (since, until))
    if begin and end and begin > end:
        raise BadCondition("--until is before --since")
    return begin, end


Found = Iterator[dict[str, Any]]


def search(cloudtrail: Any, wanted: Wanted, also: Callable[[dict[str, Any]], bool] = lambda record: True) -> Found:
    """The matching records for which `also` holds, newest first, as many as `wanted.limit`."""
    request: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value} for key, value in wanted.attributes.items()]
    }
    if wanted.since:
        request["StartTime"] = wanted.since
    if wanted.until:
        request["EndTime"] = wanted.until
    found = 0
    for page in cloudtrail.get_paginator("lookup_events").paginate(**request, PaginationConfig={"PageSize": 50}):
        for event in page["Events"]:
            record = json.loads(event["CloudTrailEvent"])
            if wanted.matches(record) and also(record):
                yield record
                found += 1
                if found >= wanted.limit:
                    return


def row(record: dict[str, Any]) -> tuple[str, ...]:
    """A record's line in tables: the texts of COLUMNS."""
    identity = record.get("userIdentity", {})
    name = identity.get("userName") or identity.get("principalId", "").partition(":")[2] or identity.get("invokedBy", "")
    values = {
        **record,
        "userName": name or ("root" if identity.get("type") == "Root" else identity.get("type", "")),
        "resources": " ".join(one.get("ARN", "") for one in record.get("resources") or ()),
    }
    return tuple(str(values.get(column) or "") for column in COLUMNS)


def csv_line(values: tuple[str, ...]) -> str:
    """One CSV line whose cells no spreadsheet takes for a formula, nor a line break in one for the next line."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([harmless(value) for value in values])  # quotes what holds either character
    return out.getvalue().removesuffix("\r\n") + "\n"


def harmless(value: str) -> str:
    """A cell with an apostrophe before it when a spreadsheet would run it."""
    return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def printable(value: str) -> str:
    """A cell for a terminal: control characters, which could move the cursor or fake lines, as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in value)
