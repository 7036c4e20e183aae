"""What must hold after a fault: every answered call recorded once, every effect with its record, every record in the log files once."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.servers import ACCOUNT, REGION, Server

from opentrail.journal import disclosures
from opentrail.journal.read import MANAGEMENT, after, head
from opentrail.journal.verify import verify
from tests.fault.load import CROWD, Client, Told, crowd, patient

BUCKET, TRAIL_BUCKET, TRAIL = "load-bucket", "trail-bucket", "fault-trail"
TRAIL_ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}"


class Kept(NamedTuple):
    """One record of the journal."""

    position: int
    category: int
    time: int
    json: dict[str, Any]


@dataclass
class World:
    """A server with a trail, and how far its journal was judged. `begun` is where the trail began."""

    server: Server
    datastore: str = ""
    begun: int = 0
    seen: int = 0
    users: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        """Makes buckets, a data store, and a trail that logs management events and the load's objects."""
        s3, cloudtrail = self.server.client("s3"), self.server.client("cloudtrail")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket=TRAIL_BUCKET)
        s3.put_bucket_policy(Bucket=TRAIL_BUCKET, Policy=json.dumps(bucket_policy()))
        cloudtrail.create_trail(Name=TRAIL, S3BucketName=TRAIL_BUCKET, EnableLogFileValidation=True)
        objects = {"Type": "AWS::S3::Object", "Values": [f"arn:aws:s3:::{BUCKET}/"]}
        selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [objects]}
        cloudtrail.put_event_selectors(TrailName=TRAIL, EventSelectors=[selector])
        self.datastore = self.server.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]
        client = Client(self.server.url, self.server.credentials)
        assert client.call("judge", "crowd", crowd(self.datastore)).done
        client.close()
        cloudtrail.start_logging(Name=TRAIL)
        self.begun = self.seen = self.head()

    def head(self) -> int:
        with self.server.snapshot() as view:
            return head(view).position

    def records(self, since: int) -> list[Kept]:
        """The journal after a position."""
        found: list[Kept] = []
        with self.server.snapshot() as view:
            while page := after(view, found[-1].position if found else since, 1000):
                found += [Kept(entry.position, entry.category, entry.time, json.loads(entry.record)) for entry in page]
        return found

    def judge(self, told: list[Told]) -> None:
        """Holds the calls of a load against journal, history and state."""
        with self.server.snapshot() as view:
            verdict = verify(view)
        assert verdict.why == "", verdict
        kept = self.records(self.seen)
        assert [record.position for record in kept] == list(range(self.seen + 1, self.seen + 1 + len(kept)))
        by_agent: dict[str, list[Kept]] = {}
        for record in kept:
            by_agent.setdefault(record.json["userAgent"], []).append(record)
        for call in told:
            check_recorded(call, by_agent.get(call.agent, []))
        self.check_lists([by_agent[call.agent][0] for call in told if call.done and call.kind == "search"])
        mine = {call.agent for call in told}
        self.check_history([record for record in kept if record.category == MANAGEMENT and record.json["userAgent"] in mine])
        done = {agent for agent, records in by_agent.items() if agent in mine and "errorCode" not in records[0].json}
        self.check_effects(told, done)
        self.seen = kept[-1].position if kept else self.seen

    def check_lists(self, searches: list[Kept]) -> None:
        """The whole list of the patients that a search showed lies beside its record."""
        with self.server.snapshot() as view:
            for record in searches:
                assert disclosures.items(view, record.position, "patients") == list(CROWD), record.position

    def check_history(self, kept: list[Kept]) -> None:
        """LookupEvents shows each of them exactly once."""
        if not kept:
            return
        pages = self.server.client("cloudtrail").get_paginator("lookup_events").paginate(StartTime=min(record.time for record in kept))
        shown = Counter(event["EventId"] for page in pages for event in page["Events"])
        wrong = {record.json["eventID"]: shown[record.json["eventID"]] for record in kept if shown[record.json["eventID"]] != 1}
        assert not wrong, f"in LookupEvents not exactly once: {wrong}"

    def check_effects(self, told: list[Told], done: set[str]) -> None:
        """What the records say was done is done, and nothing else; by name for users and objects, by id for patients."""
        kinds = {call.agent: call.kind for call in told}
        self.users |= {agent for agent in done if kinds[agent] == "user"}
        pages = self.server.client("iam").get_paginator("list_users").paginate()
        assert {one["UserName"] for page in pages for one in page["Users"]} == self.users
        self.objects |= {agent for agent in done if kinds[agent] == "object"}
        pages = self.server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        etags = {one["Key"]: one["ETag"].strip('"') for page in pages for one in page.get("Contents", ())}
        assert etags == {key: hashlib.md5(key.encode(), usedforsecurity=False).hexdigest() for key in self.objects}
        client = Client(self.server.url, self.server.credentials)
        for call in told:
            if call.done and call.kind == "patient":
                found = client.call("judge", "read", patient(self.datastore, "GET", json.loads(call.body)["id"]))
                assert (found.status, found.body) == (200, call.body), f"{call.agent} was told of a patient that is not there"
            if call.done and call.kind == "object" and call.agent.endswith("1"):
                assert self.server.client("s3").get_object(Bucket=BUCKET, Key=call.agent)["Body"].read() == call.agent.encode()
        client.close()

    def check_log_files(self, patience: float = 60.0) -> int:
        """Every record that the trail selects, exactly once in its log files; and `opentrail verify` finds nothing wrong. How many
        records the trail had to deliver."""
        wanted = {record.json["eventID"] for record in self.records(self.begun) if selected(record)}
        delivered = self.await_delivered(wanted, patience)
        doubles = [id for id, count in delivered.items() if count != 1]
        assert not doubles, f"more than once in the log files: {doubles[:5]}"
        self.await_digests(patience)
        status, said = self.server.verify(TRAIL_ARN)
        assert status == 0, said
        return len(wanted)

    def await_delivered(self, wanted: set[str], patience: float = 60.0) -> Counter[str]:
        """The ids in the log files, and how often each is there, once all that are wanted are."""
        until = time.monotonic() + patience
        while True:
            found = Counter(id for key in self.keys("CloudTrail") for id in self.ids_in(key))
            missing = wanted - set(found)
            if not missing:
                return found
            assert time.monotonic() < until, f"{len(missing)} of {len(wanted)} records are not in the log files:\n{self.server.said()}"
            time.sleep(0.5)

    def keys(self, kind: str) -> list[str]:
        pages = self.server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=TRAIL_BUCKET, Prefix=f"AWSLogs/{ACCOUNT}/{kind}/")
        return [one["Key"] for page in pages for one in page.get("Contents", ()) if one["Key"].endswith(".json.gz")]

    def ids_in(self, key: str) -> list[str]:
        body = self.server.client("s3").get_object(Bucket=TRAIL_BUCKET, Key=key)["Body"].read()
        return [record["eventID"] for record in json.loads(gzip.decompress(body))["Records"]]

    def await_digests(self, patience: float) -> None:
        """Waits until digests cover every log file that is there now."""
        files, until = set(self.keys("CloudTrail")), time.monotonic() + patience
        s3 = self.server.client("s3")
        while True:
            covered: set[str] = set()
            for key in self.keys("CloudTrail-Digest"):
                body = s3.get_object(Bucket=TRAIL_BUCKET, Key=key)["Body"].read()
                covered |= {file["s3Object"] for file in json.loads(gzip.decompress(body))["logFiles"]}
            if files <= covered:
                return
            assert time.monotonic() < until, f"no digest covers {len(files - covered)} log files:\n{self.server.said()}"
            time.sleep(0.5)


def check_recorded(call: Told, records: Iterable[Kept]) -> None:
    """One call against the journal: an answered one has one record, which says what the caller was told."""
    found = list(records)
    assert len(found) <= 1, f"{call.agent} is recorded {len(found)} times"
    if not call.answered:
        return
    assert found, f"{call.agent} ({call.kind}) was answered {call.status} and is not in the journal"
    assert found[0].json["requestID"] == call.request_id
    assert ("errorCode" in found[0].json) == (not call.done), f"{call.agent}: told {call.status}, recorded {found[0].json.get('errorCode')}"


def selected(record: Kept) -> bool:
    """Whether the trail wants it: management events, and objects of the load's bucket."""
    if record.category == MANAGEMENT:
        return True
    return any(resource.get("ARN", "").startswith(f"arn:aws:s3:::{BUCKET}/") for resource in record.json.get("resources", ()))


def bucket_policy(allow: bool = True) -> dict[str, Any]:
    """The policy of the trail's bucket; with `allow` False one that keeps CloudTrail from writing."""
    service = {"Service": "cloudtrail.amazonaws.com"}
    effect = "Allow" if allow else "Deny"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{TRAIL_BUCKET}"},
            {"Effect": effect, "Principal": service, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{TRAIL_BUCKET}/*"},
        ],
    }
