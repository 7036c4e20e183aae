"""`opentrail lookup`: conditions that the API lacks, bounds, times, and cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.client.lookup import COLUMNS, BadCondition, Wanted, csv_line, moment, period, printable, row, search

RECORD: dict[str, Any] = {
    "eventTime": "2026-11-21T09:30:00Z", "eventName": "UpdateResource", "eventSource": "healthlake.amazonaws.com",
    "errorCode": "AccessDeniedException", "sourceIPAddress": "10.0.0.9", "userIdentity": {"type": "IAMUser", "userName": "nurse"},
    "resources": [{"ARN": "arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/a/Patient/p1"}, {"ARN": "arn:aws:s3:::rawb"}], "eventID": "e-1",
}  # fmt: skip


class CloudTrail:
    """LookupEvents over a list of records, fifty a page; remembers what was asked."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records, self.asked, self.pages = records, {}, 0

    def get_paginator(self, name: str) -> CloudTrail:
        assert name == "lookup_events"
        return self

    def paginate(self, **asked: Any) -> Any:
        self.asked = asked
        for at in range(0, len(self.records), 50):
            self.pages += 1
            yield {"Events": [{"CloudTrailEvent": json.dumps(record)} for record in self.records[at : at + 50]]}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), True),
        (Wanted(error="any"), True),
        (Wanted(error="AccessDeniedException"), True),
        (Wanted(error="AccessDenied"), False),
        (Wanted(source_ip="10.0.0.9"), True),
        (Wanted(source_ip="10.0.0.90"), False),
        (Wanted(arn="arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/a/Patient/p1"), True),
        (Wanted(arn="p1"), True),
        (Wanted(arn="Patient/p1"), True),
        (Wanted(arn="p"), False),
        (Wanted(arn="1"), False),
        (Wanted(arn="rawb"), True),
        (Wanted(arn="awb"), False),
        (Wanted(error="any", source_ip="10.0.0.9", arn="p1"), True),
        (Wanted(error="any", source_ip="10.0.0.8", arn="p1"), False),
    ],
)
def test_every_condition_must_hold(wanted: Wanted, found: bool) -> None:
    assert list(search(CloudTrail([RECORD]), wanted)) == ([RECORD] if found else [])


def test_attributes_and_times_go_to_the_server_and_no_more_pages_are_read_than_needed() -> None:
    cloudtrail = CloudTrail([{**RECORD, "eventID": f"e-{n}"} for n in range(200_500)])
    wanted = Wanted({"EventName": "a", "Username": "b"}, datetime(2026, 1, 1, tzinfo=UTC), None, limit=60)
    assert len(list(search(cloudtrail, wanted))) == 60
    assert cloudtrail.pages == 2
    asked = [{"AttributeKey": "EventName", "AttributeValue": "a"}, {"AttributeKey": "Username", "AttributeValue": "b"}]
    assert cloudtrail.asked["LookupAttributes"] == asked
    assert cloudtrail.asked["StartTime"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert "EndTime" not in cloudtrail.asked
    assert sum(1 for _ in search(cloudtrail, Wanted(limit=200_000))) == 200_000


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-11-21T07:00:00+00:00"), ("90m", "2026-11-21T07:30:00+00:00"), ("1d", "2026-11-20T09:00:00+00:00"),
        ("2026-11-21", "2026-11-21T00:00:00+00:00"), ("2026-11-21T08:00:00", "2026-11-21T08:00:00+00:00"),
        ("2026-11-21T08:00:00Z", "2026-11-21T08:00:00+00:00"), ("2026-11-21T08:00:00+02:00", "2026-11-21T06:00:00+00:00"),
    ],
)  # fmt: skip
def test_times_are_utc(text: str, meant: str) -> None:
    assert moment(text, datetime(2026, 11, 21, 9, tzinfo=UTC).timestamp()).isoformat() == meant


@pytest.mark.parametrize("text", ["", "2", "h", "1.2.3h", ".h", "yesterday", "2026-13-01", "99999999999d"])
def test_other_times_are_refused_by_name(text: str) -> None:
    with pytest.raises(BadCondition, match="neither a duration such as 2h"):
        moment(text, 1_790_000_000.0)


def test_a_period_ends_after_it_begins() -> None:
    assert period("", "", 0.0) == (None, None)
    begin, end = period("2h", "1h", 1_790_000_000.0)
    assert begin is not None
    assert end is not None
    assert begin < end
    with pytest.raises(BadCondition, match="--until is before --since"):
        period("1h", "2h", 1_790_000_000.0)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    record = {**RECORD, "eventName": f'{start}HYPERLINK("x,y")', "userIdentity": {"type": "IAMUser", "userName": f"{start}cmd"}}
    (cells,) = csv.reader(io.StringIO(csv_line(row(record)), newline=""))
    assert len(cells) == len(COLUMNS)
    assert cells[1] == f"'{record['eventName']}"
    assert cells[2] == f"'{start}cmd"
    assert cells[0] == "2026-11-21T09:30:00Z"


@pytest.mark.parametrize("broken", ["a\r=cmd", "a\n=cmd", "a\r\n=cmd,b", 'a"\n=cmd'])
def test_a_line_break_in_a_cell_begins_no_line(broken: str) -> None:
    line = csv_line((broken, "b"))
    assert line == '"' + broken.replace('"', '""') + '",b\n'
    assert list(csv.reader(io.StringIO(line, newline=""))) == [[broken, "b"]]


def test_a_terminal_is_told_nothing_but_text() -> None:
    assert printable("a\x1b[2J\nb\u202e") == r"a\x1b[2J\nb\u202e"
