"""References that give a resource of the data store by its address: as local as relative ones, whatever the server is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.wire.bulk_data import Ward, ward
from tests.wire.fhir_data import filled, observation, send
from tests.wire.issuer import Issuer
from tests.wire.story import Story
from tests.wire.test_fhir_bundles import asks, bundle
from tests.wire.test_smart import Ward as SmartWard

__all__ = ["ward"]
HOSTS = ("", "https://health.example/", "http://LOCALHOST:1/")


@pytest.fixture
def store(story: Story) -> Iterator[str]:
    yield from filled(story)


def address(story: Story, store: str, host: str = "") -> str:
    """The data store's address: as it is described, or under another scheme and host."""
    described = story.client("healthlake").describe_fhir_datastore(DatastoreId=store)["DatastoreProperties"]["DatastoreEndpoint"]
    return host + f"datastore/{store}/r4/" if host else str(described)


def pointing(id: str, reference: str) -> dict[str, Any]:
    return {**observation(id, "x"), "subject": {"reference": reference}}


def found(story: Story, store: str, query: str) -> list[str]:
    answer = send(story, store, "GET", query)
    assert answer.status == 200, answer.data
    return sorted(one["resource"]["id"] for one in json.loads(answer.data).get("entry", ()))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("version", ["", "/_history/1"])
def test_they_are_found_followed_and_told(story: Story, store: str, host: str, version: str) -> None:
    reference = f"{address(story, store, host)}Patient/p1{version}"
    assert send(story, store, "DELETE", "Observation?patient=p1&_count=9").status == 200
    written = send(story, store, "PUT", "Observation/a", pointing("a", reference))
    assert written.status == 201
    assert json.loads(written.data)["subject"]["reference"] == reference
    for query in ("patient=p1", "subject=Patient/p1", f"subject={quote(reference, safe='')}", "subject:Patient.family=canary-lindqvist"):
        assert "a" in found(story, store, f"Observation?{query}")
    for other in HOSTS:
        assert found(story, store, f"Observation?subject={quote(address(story, store, other), safe='')}Patient/p1") == ["a"]
    assert found(story, store, "Observation?_id=a&_include=Observation:subject") == ["a", "p1"]
    assert found(story, store, "Patient?_id=p1&_revinclude=Observation:subject") == ["a", "p1"]
    assert found(story, store, "Patient/p1/Observation") == ["a"]
    assert found(story, store, "Patient?_has:Observation:patient:code=c1") == ["p1", "p2"]
    assert found(story, store, "Patient/p1/$everything") == ["a", "p1"]
    for path in ("Observation/a", "Observation/a/_history/1", "Observation/a/_history", "Observation?_id=a"):
        answer = send(story, store, "GET", path)
        (record,) = story.live.journal(answer.headers["x-amzn-requestid"])
        assert any(one["ARN"].endswith("/Patient/p1") for one in record["resources"]), path
    assert send(story, store, "PUT", "Observation/a", pointing("a", "Patient/p2")).status == 200
    assert found(story, store, "Observation?patient=p1") == []
    assert found(story, store, "Observation?subject:missing=false&_id=a") == ["a"]
    assert send(story, store, "DELETE", "Observation/a").status == 204
    assert found(story, store, "Observation?patient=p2") == ["o3"]


def test_by_whatever_way_they_come(story: Story, store: str) -> None:
    mine = address(story, store)
    patch = [{"op": "replace", "path": "/subject/reference", "value": f"{mine}Patient/p1"}]
    assert send(story, store, "PATCH", "Observation/o3", patch, {"content-type": "application/json-patch+json"}).status == 200
    sent = bundle("transaction", asks("PUT", "Observation/t1", pointing("t1", f"{mine}Patient/p1")))
    assert send(story, store, "POST", "", sent).status == 200
    sent = bundle("batch", asks("POST", "Observation", {**pointing("", f"{mine}Patient/p1"), "id": "t2"}))
    made = json.loads(send(story, store, "POST", "", sent).data)["entry"][0]["response"]["location"].split("/")[1]
    assert found(story, store, "Observation?patient=p1") == sorted(["o1", "o2", "o3", "t1", made])


def test_imports_and_exports_know_them(story: Story, ward: Ward) -> None:
    mine = address(story, ward.store, "https://health.example/")
    ward.put("in/a.ndjson", {"resourceType": "Patient", "id": "p1"}, pointing("a", f"{mine}Patient/p1"), pointing("b", "Patient/p2"))
    entity = {"entity": {"reference": f"{mine}Patient/p1"}}
    ward.put("in/g.ndjson", {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [entity]})
    job = story.client("healthlake").start_fhir_import_job(**ward.import_input())["JobId"]
    assert ward.imported(job)["JobStatus"] == "COMPLETED"
    assert found(story, ward.store, "Observation?patient=p1") == ["a"]
    assert found(story, ward.store, "Group?member=Patient/p1") == ["g"]
    again = ward.put("again/a.ndjson", pointing("a", "Patient/p2"))
    job = story.client("healthlake").start_fhir_import_job(**ward.import_input("again/", ClientToken=story.name("again")))["JobId"]
    assert (again, ward.imported(job)["JobStatus"]) == (None, "COMPLETED")
    assert found(story, ward.store, "Observation?patient=p1") == []
    assert found(story, ward.store, "Observation?patient=p2") == ["a", "b"]


SPELLINGS = (
    "{}Patient/p2", "{}Patient/p2/_history/1", "{}/Patient/p2", "{}Patient/%702", "{}Observation/../Patient/p2", "Patient/%702",
    "../r4/Patient/p2",
)  # fmt: skip


def test_a_token_of_one_patient_writes_about_no_other_by_an_address(story: Story, issuer: Issuer) -> None:
    made = SmartWard(story, issuer)
    token = made.token("patient/*.cruds", "p1")
    own = {**pointing("", f"{made.endpoint}Patient/p1")}
    del own["id"]
    lenient = {"x-amzn-healthlake-fhir-validation-level": "minimal"}
    assert made.ask(token, "POST", "Observation", own).status == 201
    for host in (*HOSTS, "HTTPS://health.example/"):
        for spelling in SPELLINGS:
            reference = spelling.format(address(story, made.id, host))
            for member in ({"performer": [{"reference": reference}]}, {"subject": {"reference": reference}}):
                answer = made.ask(token, "POST", "Observation", {**own, **member}, lenient)
                assert answer.status == 403, (reference, member)
    changed = [{"op": "add", "path": "/performer", "value": [{"reference": f"{made.endpoint}Patient/p2"}]}]
    patch = {"content-type": "application/json-patch+json"}
    assert made.ask(token, "PATCH", "Observation/o1", changed, patch).status == 403
    assert made.ask(token, "PUT", "Observation/o1", {**own, "id": "o1", "performer": changed[0]["value"]}).status == 403
    sent = bundle("transaction", asks("POST", "Observation", {**own, "performer": changed[0]["value"]}))
    assert made.ask(token, "POST", "", sent).status == 403
    made.close()
