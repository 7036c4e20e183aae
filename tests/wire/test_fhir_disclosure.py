"""Who saw which patient: reports and lookups by patient give every call that returned or changed what is in the patient's
compartment, by whom and how, and no other call."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from benchmarks.servers import OTHER

from opentrail.journal import read as journal
from opentrail.journal.verify import verify
from tests.wire.fhir_data import PATIENT, observation, touched
from tests.wire.issuer import Issuer
from tests.wire.story import Caller, Story, host, root

CROWD = [[f"crowd-{group}-{number:02}-{'x' * 40}" for number in range(100)] for group in range(7)]
"""More patients than a record names."""
EVERYONE = [id for group in CROWD for id in group]


@dataclass(frozen=True)
class Holder:
    """Somebody with a bearer token, and how reports name them."""

    identity: dict[str, str]
    token: str


@dataclass
class Ward:
    """A data store and the truth about it: by eventID who called what, and whose data that read or changed."""

    story: Story
    id: str
    truth: dict[str, tuple[str, str, dict[str, str]]] = field(default_factory=dict)

    def do(
        self, caller: Caller | Holder, what: str, method: str, path: str, body: Any = None, *,
        reads: Iterable[str] = (), changes: Iterable[str] = (), prefer: str = "",
    ) -> Any:  # fmt: skip
        """Makes a call that must succeed; the answer's JSON."""
        sent = json.dumps(body).encode() if body else b""
        answer = self.send(caller, method, path, sent, {"prefer": prefer} if prefer else {})
        assert answer.status < 300, (path, answer.data)
        (record,) = self.story.live.journal(answer.headers["x-amzn-requestid"])
        assert record["eventName"] == what
        self.truth[record["eventID"]] = (
            caller.identity["arn"],
            what,
            {**dict.fromkeys(reads, "read"), **dict.fromkeys(changes, "changed")},
        )
        is_json = "json;" in answer.headers.get("content-type", "")
        return json.loads(answer.data) if is_json else None

    def send(self, caller: Caller | Holder, method: str, path: str, sent: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
        if isinstance(caller, Holder):
            named = {"host": host(self.story.live), "authorization": f"Bearer {caller.token}", **(headers or {})}
            return self.story.live.send(method, f"/datastore/{self.id}/r4/{path}", named, sent)
        return self.story.live.submit(
            self.story.live.signed(caller, "healthlake", method, f"/datastore/{self.id}/r4/{path}", sent, headers)
        )

    def expected(self, patient: str) -> dict[str, tuple[str, str, str, int]]:
        """By eventID: who, what, how, and how many other patients."""
        return {
            event: (who, what, concerned[patient], len(concerned) - 1)
            for event, (who, what, concerned) in self.truth.items()
            if patient in concerned
        }

    def reported(self, patient: str, *options: str) -> dict[str, tuple[str, str, str, int]]:
        """The same, as the program says it."""
        found = json.loads(self.printed(patient, "json", *options))
        assert found["notes"] == []
        assert {(one["datastore"], one["from"]) for one in found["calls"]} <= {(self.id, "127.0.0.1")}
        assert [one["time"] for one in found["calls"]] == sorted((one["time"] for one in found["calls"]), reverse=True)
        return {one["eventID"]: (one["who"], one["what"], one["effect"], one["others"]) for one in found["calls"]}

    def printed(self, patient: str, kind: str, *options: str) -> str:
        done = self.story.live.server.run("report", "patient", f"Patient/{patient}", "--datastore", self.id, "-o", kind, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def looked_up(self, name: str) -> set[str]:
        """What LookupEvents finds by a resource's name, refused calls left out."""
        pages = self.story.client("cloudtrail").get_paginator("lookup_events")
        asked = [{"AttributeKey": "ResourceName", "AttributeValue": name}, {"AttributeKey": "EventSource", "AttributeValue": SOURCE}]
        events = [event for page in pages.paginate(LookupAttributes=asked) for event in page["Events"]]
        return {event["EventId"] for event in events if "errorCode" not in json.loads(event["CloudTrailEvent"])}


SOURCE = "healthlake.amazonaws.com"


@pytest.fixture
def ward(story: Story, issuer: Issuer) -> Iterator[Ward]:
    """A data store that takes tokens too; patients p1 and p2 with observations o1, o2 and o3, made by root."""
    client = story.client("healthlake")
    provider = {"AuthorizationStrategy": "SMART_ON_FHIR", "Metadata": json.dumps(issuer.metadata())}
    store = client.create_fhir_datastore(
        DatastoreTypeVersion="R4", DatastoreName=story.name("ward"), IdentityProviderConfiguration=provider
    )
    made = Ward(story, store["DatastoreId"])
    for one in ("p1", "p2"):
        made.do(story.root, "UpdateResource", "PUT", f"Patient/{one}", {**PATIENT, "id": one}, changes=[one])
    for one, patient in (("o1", "p1"), ("o2", "p1"), ("o3", "p2")):
        made.do(story.root, "UpdateResource", "PUT", f"Observation/{one}", observation(one, patient), changes=[patient])
    yield made
    client.delete_fhir_datastore(DatastoreId=made.id)


def callers(story: Story) -> list[Caller]:
    """Root, a user, a role session, a federated user, and a role session of another account's user."""
    everything = ("healthlake:*", "*")
    user = story.user(everything, (["sts:AssumeRole", "sts:GetFederationToken"], "*"))
    mine = story.session(story.role(user.identity["arn"], everything), by=user, name="night")
    stranger = story.user(("sts:AssumeRole", "*"), owner=root(OTHER, story.live.server.keys))
    theirs = story.session(story.role(stranger.identity["arn"], everything), by=stranger, name="visit")
    return [story.root, user, mine, federated(story, user), theirs]


def federated(story: Story, by: Caller) -> Caller:
    statement = {"Effect": "Allow", "Action": "healthlake:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    answer = story.client("sts", by).get_federation_token(Name="visitor", Policy=policy)
    given = answer["Credentials"]
    identity = {"arn": answer["FederatedUser"]["Arn"]}
    return Caller(by.account, given["AccessKeyId"], given["SecretAccessKey"], identity, given["SessionToken"])


def bundle(kind: str, *asked: tuple[str, str, Any]) -> dict[str, Any]:
    entries = [{"request": {"method": method, "url": url}, **({"resource": body} if body else {})} for method, url, body in asked]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def group(*patients: str) -> dict[str, Any]:
    """A group of patients."""
    members = [{"entity": {"reference": f"Patient/{one}"}} for one in patients]
    return {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}


def with_a_token(ward: Ward, issuer: Issuer) -> None:
    """What an app with a token does."""
    token = issuer.token(f"{ward.story.live.server.url}/datastore/{ward.id}/r4/", "system/*.cruds")
    app = Holder({"arn": f"{issuer.origin} nurse-7"}, token)
    ward.do(app, "ReadResource", "GET", "Observation/o1", reads=["p1"])
    ward.do(app, "VersionReadResource", "GET", "Observation/o3/_history/1", reads=["p2"])
    ward.do(app, "SearchWithGet", "GET", "Observation?patient=p1", reads=["p1"])
    ward.do(app, "SearchWithPost", "POST", "Observation/_search?code=c1", reads=["p1", "p2"])
    ward.do(app, "SearchWithGet", "GET", "Observation?_id=o3&_include=Observation:subject", reads=["p2"])
    ward.do(app, "SearchEverything", "GET", "Patient/p2/$everything", reads=["p2"])
    mixed = bundle("transaction", ("GET", "Patient/p1", None), ("PUT", "Observation/o3", observation("o3", "p2")))
    ward.do(app, "ProcessBundle", "POST", "", mixed, reads=["p1"], changes=["p2"])
    job = ward.do(app, "StartFHIRExportJobWithGet", "GET", "$export?_type=Patient,Observation", prefer="respond-async")["jobId"]
    until = time.monotonic() + 30
    while "output" not in (found := ward.do(app, "DescribeFHIRExportJobWithGet", "GET", f"export/{job}")):
        assert time.monotonic() < until
        time.sleep(0.05)
    for one in found["output"]:
        ward.do(app, "GetExportedFile", "GET", one["url"].partition("/r4/")[2], reads=["p1", "p2"])


def rounds(ward: Ward, who: list[Caller]) -> None:
    """Every kind of call, each by the next caller."""
    number = iter(range(1000))

    def do(*call: Any, **truth: Any) -> Any:
        return ward.do(who[next(number) % len(who)], *call, **truth)

    do("ReadResource", "GET", "Patient/p1", reads=["p1"])
    do("ReadResource", "GET", "Patient/p2", reads=["p2"])
    do("ReadResource", "GET", "Observation/o1", reads=["p1"])
    do("VersionReadResource", "GET", "Observation/o3/_history/1", reads=["p2"])
    do("GetHistoryByResourceId", "GET", "Observation/o1/_history", reads=["p1"])
    do("GetHistoryByResourceType", "GET", "Patient/_history", reads=["p1", "p2"])
    do("GetFullHistory", "GET", "_history?_count=1", reads=["p2"])
    do("SearchWithGet", "GET", "Observation?patient=p1", reads=["p1"])
    do("SearchWithGet", "GET", "Observation?patient=p2", reads=["p2"])
    do("SearchWithGet", "GET", "Patient?_id=p2&_revinclude=Observation:subject", reads=["p2"])
    do("SearchWithGet", "GET", "Observation?_id=o2&_include=Observation:subject", reads=["p1"])
    do("SearchWithGet", "GET", "Observation?patient=p1&_summary=count")
    do("SearchWithPost", "POST", "Observation/_search?code=c1", reads=["p1", "p2"])
    do("SearchEverything", "GET", "Patient/p1/$everything", reads=["p1"])
    do("GetCapabilities", "GET", "metadata")
    do("ProcessBundle", "POST", "", bundle("batch", ("GET", "Observation?patient=p1", None)), reads=["p1"])
    do("ProcessBundle", "POST", "", bundle("batch", ("GET", "Patient/p2", None), ("GET", "Patient/never", None)), reads=["p2"])
    mixed = bundle(
        "transaction", ("GET", "Patient/p1", None), ("PUT", "Observation/o3", observation("o3", "p2")), ("DELETE", "Observation/o2", None)
    )
    do("ProcessBundle", "POST", "", mixed, changes=["p1", "p2"])
    mixed = bundle("transaction", ("GET", "Observation/o1", None), ("PUT", "Observation/o3", observation("o3", "p2")))
    do("ProcessBundle", "POST", "", mixed, reads=["p1"], changes=["p2"])
    do("UpdateResource", "PUT", "Observation/o1", observation("o1", "p2"), changes=["p1", "p2"])
    do("DeleteResource", "DELETE", "Observation/o1", changes=["p2"])
    new = do("CreateResource", "POST", "Patient", PATIENT)["id"]
    ward.truth[next(reversed(ward.truth))][2][new] = "changed"
    for patients in CROWD:
        puts = [("PUT", f"Patient/{id}", {**PATIENT, "id": id, "name": [{"family": f"Crowd{id[6]}"}]}) for id in patients]
        do("ProcessBundle", "POST", "", bundle("transaction", *puts), changes=patients)
    do("SearchWithGet", "GET", "Patient?family=Crowd6&_count=100", reads=CROWD[6])
    do(
        "ProcessBundle",
        "POST",
        "",
        bundle("batch", *(("GET", f"Patient?family=Crowd{n}&_count=100", None) for n in range(7))),
        reads=EVERYONE,
    )
    do("UpdateResource", "PUT", "Group/g", group(*EVERYONE), changes=EVERYONE)
    do("ReadResource", "GET", "Group/g", reads=EVERYONE)
    do("SearchWithGet", "GET", "Group?type=person", reads=EVERYONE)


def test_a_report_is_the_truth_whoever_called_and_whatever(story: Story, issuer: Issuer, ward: Ward) -> None:
    who = callers(story)
    assert len({caller.identity["arn"] for caller in who}) == 5
    with_a_token(ward, issuer)
    rounds(ward, who)
    nobody = story.user()
    assert ward.send(nobody, "GET", "Patient/p1").status == 403
    assert ward.send(story.root, "GET", "Patient/p1/_history/9").status == 404
    for patient in ("p1", "p2", CROWD[0][0], CROWD[5][99], CROWD[6][99]):
        expected = ward.expected(patient)
        assert ward.reported(patient) == expected, patient
        for name in (touched(ward.id, f"Patient/{patient}")[1][1], f"Patient/{patient}"):
            assert ward.looked_up(name) & set(ward.truth) == set(expected), name
    assert ward.reported("p1", "--since", "1h") == ward.expected("p1")
    assert ward.reported("p1", "--until", "1h") == {}


def test_lists_lie_beside_their_records_and_the_journal_verifies(story: Story, ward: Ward) -> None:
    rounds(ward, [story.root])
    record = next(
        one for one in last_records(story) if one["eventName"] == "ReadResource" and one["requestParameters"]["resourceType"] == "Group"
    )
    said = record["additionalEventData"]["patients"]
    assert (said["count"], said["items"]) == (700, EVERYONE[: len(said["items"])])
    assert said["under"] == touched(ward.id, "Patient")[1][1]
    assert len(record["resources"]) == 600
    with story.live._main.read() as snapshot:
        assert verify(snapshot).why == ""


def last_records(story: Story) -> list[dict[str, Any]]:
    with story.live._main.read() as snapshot:
        head = journal.head(snapshot).position
        return [json.loads(entry.record) for entry in journal.after(snapshot, head - 40, 40)]


def test_what_a_report_prints(ward: Ward) -> None:
    lines = list(csv.DictReader(io.StringIO(ward.printed("p2", "csv"))))
    assert [(one["what"], one["effect"], one["others"], one["via"]) for one in lines] == [("UpdateResource", "changed", "0", "")] * 2
    table = ward.printed("p2", "table")
    assert table.count("UpdateResource") == 2
    assert table.endswith("2 calls\n")
    assert ward.printed("nobody", "table").endswith("0 calls\n")


def test_a_period_that_the_journal_does_not_reach_is_said(story: Story) -> None:
    for kind in ("table", "csv"):
        done = story.live.server.run("report", "patient", "Patient/1", "--since", "400d", "-o", kind)
        assert done.returncode == 0
        assert "note: The journal keeps 90 days: calls before 20" in done.stderr
    done = story.live.server.run("report", "patient", "Patient/1", "--since", "400d", "-o", "json")
    assert "NOT in this report" in json.loads(done.stdout)["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["patient", "Observation/1"], "Patient/123"),
        (["patient", "Patient/1", "--datastore", "x"], "--datastore"),
        (["nurse", "Patient/1"], "nurse"),
    ],
)
def test_what_a_report_refuses(story: Story, arguments: list[str], said: str) -> None:
    done = story.live.server.run("report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
