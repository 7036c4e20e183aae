"""Settings of what records say of FHIR: ids as keyed hashes, reads and searches as data events. On servers of their own."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import ACCOUNT, OTHER, serving

from opentrail.journal import read as journal
from opentrail.journal.verify import verify
from opentrail.store.sql import Sql
from tests.conftest import kinds
from tests.wire.fhir_data import PATIENT, observation, send
from tests.wire.story import Live, Story

BUCKET = "trail-bucket"
CANARY = "Canary-Id"
CROWD = [f"{CANARY}-{number:03}-{'x' * 40}" for number in range(150)]
DATASTORE = "AWS::HealthLake::FHIRDatastore"


def started(request: pytest.FixtureRequest, folder: Path, *flags: str) -> Iterator[Story]:
    """A server with these flags, on the kind of database that the fixture is asked for."""
    database = request.getfixturevalue("new_postgres")() if request.param == "postgresql" else ""
    where = ("--account", f"{ACCOUNT},{OTHER}", "--database", database, "--flush-interval", "1s")
    with serving(folder / "data", *where, *flags) as server, closing(Live(server)) as live:
        yield Story(live)


@pytest.fixture(params=kinds())
def hashing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Story]:
    yield from started(request, tmp_path, "--hash-resource-ids")


@pytest.fixture(params=kinds())
def of_data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Story]:
    yield from started(request, tmp_path, "--fhir-data-events")


def trail(story: Story, name: str, *selectors: dict[str, Any]) -> None:
    """A trail that logs into the bucket under its own name."""
    client = story.client("cloudtrail")
    client.create_trail(Name=name, S3BucketName=BUCKET, S3KeyPrefix=name)
    if selectors:
        client.put_event_selectors(TrailName=name, AdvancedEventSelectors=[{"FieldSelectors": list(one.values())} for one in selectors])
    client.start_logging(Name=name)


def bucket(story: Story) -> None:
    s3, service, effect = story.client("s3"), {"Service": "cloudtrail.amazonaws.com"}, "Allow"
    s3.create_bucket(Bucket=BUCKET)
    statements = [
        {"Effect": effect, "Principal": service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{BUCKET}"},
        {"Effect": effect, "Principal": service, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"},
    ]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def delivered(story: Story, trail: str, last: str) -> list[dict[str, Any]]:
    """The records in a trail's log files, once the one of this request is there."""
    s3, until = story.client("s3"), time.monotonic() + 60
    while True:
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{trail}/").get("Contents", ()) if one["Size"]]
        texts = [gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
        found = [record for text in texts for record in json.loads(text)["Records"]]
        if any(record["requestID"] == last for record in found):
            return found
        assert time.monotonic() < until, "the record is not in the log files"
        time.sleep(0.2)


def reported(story: Story, patient: str) -> list[tuple[str, str, int]]:
    done = story.live.server.run("report", "patient", f"Patient/{patient}", "-o", "json")
    assert done.returncode == 0, done.stderr
    return [(one["what"], one["effect"], one["others"]) for one in json.loads(done.stdout)["calls"]][::-1]


def crowd(*asked: tuple[str, str, Any]) -> dict[str, Any]:
    entries = [{"request": {"method": method, "url": url}, **({"resource": body} if body else {})} for method, url, body in asked]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def polled(story: Story, store: str, started: Any) -> Any:
    """The answer at the address that a started job named, once it is no longer 202."""
    path, until = started.headers["content-location"].partition("/r4/")[2], time.monotonic() + 30
    while (answer := send(story, store, "GET", path)).status == 202:
        assert time.monotonic() < until
        time.sleep(0.1)
    return answer


def test_no_id_is_in_the_trail_and_plain_ids_find_every_call(hashing: Story) -> None:
    story = hashing
    bucket(story)
    trail(story, "all")
    store = story.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]
    puts = [("PUT", f"Patient/{id}", {**PATIENT, "id": id}) for id in CROWD]
    observed = observation(f"{CANARY}-o", CROWD[3])
    calls = [
        ("POST", "", crowd(*puts, ("GET", f"Patient/{CANARY}-never", None))),
        ("PUT", f"Observation/{CANARY}-o", observed),
        ("GET", f"Observation/{CANARY}-o", None),
        ("GET", f"Patient/{CROWD[3]}/_history", None),
        ("GET", f"Patient/{CROWD[3]}/$everything", None),
        ("POST", "", crowd(("GET", "Patient?_count=100&_sort=_id", None), ("GET", f"Patient/{CROWD[149]}", None))),
        ("POST", "", crowd(("GET", f"Patient/{CROWD[0]}", None), ("PUT", f"Observation/{CANARY}-o", observed))),
    ]
    for method, path, body in calls:
        answer = send(story, store, method, path, body)
        assert answer.status < 300, answer.data
    assert send(story, store, "GET", f"Patient/{CANARY}-never").status == 404
    last = send(story, store, "GET", f"Patient/{CROWD[3]}").headers["x-amzn-requestid"]
    assert reported(story, CROWD[3]) == [
        ("ProcessBundle", "changed", 149), ("UpdateResource", "changed", 0), ("ReadResource", "read", 0), ("GetHistoryByResourceId", "read", 0),
        ("SearchEverything", "read", 0), ("ProcessBundle", "read", 100), ("ProcessBundle", "read or changed", 1), ("ReadResource", "read", 0),
    ]  # fmt: skip
    assert [what for what, _, _ in reported(story, CROWD[149])] == ["ProcessBundle", "ProcessBundle"]
    found = story.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": f"{CANARY}-o"}])
    assert len(found["Events"]) == 3
    with story.live._main.read() as view:
        records = b"".join(entry.record for entry in journal.after(view, 0, 10_000))
        lists = b"".join(bytes(row[0]) for row in view.all(Sql("SELECT items FROM disclosure")))
        assert verify(view).why == ""
    assert lists
    files = json.dumps(delivered(story, "all", last))
    assert "SearchEverything" in files
    assert not [kind for kind, text in (("records", records), ("lists", lists), ("files", files.encode())) if CANARY.encode() in text]


def test_reads_and_searches_are_data_events_for_trails_that_select_them(of_data: Story) -> None:
    story = of_data
    bucket(story)
    category = {"Field": "eventCategory", "Equals": ["Data"]}
    trail(story, "data", {"category": category, "type": {"Field": "resources.type", "Equals": [DATASTORE]}})
    trail(story, "plain")
    store = story.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]
    assert send(story, store, "PUT", "Patient/p1", {**PATIENT, "id": "p1"}).status == 201
    reads = [
        "Patient/p1",
        "Patient?_id=p1",
        "Patient/p1/_history",
        "Patient/p1/_history/1",
        "Patient/_history",
        "_history",
        "Patient/p1/$everything",
    ]
    for path in reads:
        assert send(story, store, "GET", path).status == 200
    assert send(story, store, "POST", "Patient/_search?_id=p1").status == 200
    hospital = ("PUT", "Organization/h", {"resourceType": "Organization", "id": "h", "name": "H"})
    sent = send(story, store, "POST", "", {**crowd(hospital), "type": "transaction"}, {"prefer": "respond-async"})
    assert polled(story, store, sent).status == 200
    export = polled(story, store, send(story, store, "GET", "$export?_type=Patient", headers={"prefer": "respond-async"}))
    (file,) = json.loads(export.data)["output"]
    assert send(story, store, "GET", file["url"].partition("/r4/")[2]).status == 200
    nobody = story.user()
    denied = story.live.submit(story.live.signed(nobody, "healthlake", "GET", f"/datastore/{store}/r4/Patient/p1"))
    assert denied.status == 403
    last = send(story, store, "GET", "metadata").headers["x-amzn-requestid"]
    looked_up = story.client("cloudtrail").get_paginator("lookup_events").paginate().search("Events[].EventName")
    assert sorted(name for name in looked_up if name.endswith(("Resource", "Capabilities")) or "Search" in name) == [
        "GetCapabilities",
        "UpdateResource",
    ]
    found = delivered(story, "data", denied.headers["x-amzn-requestid"])
    assert {record["eventName"] for record in found} == {
        "ReadResource", "VersionReadResource", "GetHistoryByResourceId", "GetHistoryByResourceType", "GetFullHistory", "SearchWithGet",
        "SearchWithPost", "SearchEverything", "DescribeTransaction", "GetExportedFile",
    }  # fmt: skip
    assert {(record["eventCategory"], record["managementEvent"], record["resources"][0]["type"]) for record in found} == {
        ("Data", False, DATASTORE)
    }
    (refused,) = [record for record in found if "errorCode" in record]
    arn = f"arn:aws:healthlake:us-east-1:{ACCOUNT}:datastore/fhir/{store}"
    aimed = [(DATASTORE, arn), ("AWS::HealthLake::FHIRResource", f"{arn}/Patient/p1")]
    assert [(one["type"], one["ARN"]) for one in refused["resources"]] == aimed
    assert refused["requestParameters"] is None
    assert not {record["eventCategory"] for record in delivered(story, "plain", last)} & {"Data"}
    done = story.live.server.run("report", "patient", "Patient/p1")
    assert done.stdout.endswith("1 call\n")


def test_the_demo_knows_of_data_events(of_data: Story) -> None:
    server = of_data.live.server
    told = server.run("demo", "--fhir-data-events", "--flush-interval", "1s", "--digest-interval", "1h")
    assert told.returncode == 0, told.stdout + told.stderr
