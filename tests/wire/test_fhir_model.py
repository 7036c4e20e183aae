"""A data store under random requests, beside a model of a few lines: what was answered must be what the model says.

The model keeps the versions of each resource as FHIR defines them; it knows nothing of index, lane or SQL.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.wire.fhir_data import send
from tests.wire.story import Story

IDS = st.sampled_from(("a", "b", "c"))
FAMILIES = st.sampled_from(("Ann", "anna", "Böb", "bo"))
GENDERS = st.sampled_from(("male", "female"))
PATCH = {"content-type": "application/json-patch+json"}

Json = dict[str, Any]
Version = tuple[str, Json | None]
"""The method that wrote it, and the resource; None for a deletion."""


def folded(text: str) -> str:
    return text.lower().replace("ö", "o")


class Machine(RuleBasedStateMachine):
    """Requests about patients. `versions` is the model: by id, oldest first."""

    story: Story

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, list[Version]] = {}

    @initialize()
    def begin(self) -> None:
        client = self.story.client("healthlake")
        self.store = client.create_fhir_datastore(DatastoreTypeVersion="R4", DatastoreName=self.story.name("model"))["DatastoreId"]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.story.client("healthlake").delete_fhir_datastore(DatastoreId=self.store)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
        answer = send(self.story, self.store, method, path, body, headers)
        return answer.status, json.loads(answer.data) if answer.data else None, answer.headers

    def now(self, id: str) -> Json | None:
        return self.versions[id][-1][1] if id in self.versions else None

    def live(self) -> dict[str, Json]:
        return {id: resource for id in self.versions if (resource := self.now(id)) is not None}

    def expect_read(self, id: str) -> int:
        return 404 if id not in self.versions else 410 if self.now(id) is None else 200

    def write(self, method: str, id: str, resource: Json | None) -> None:
        self.versions.setdefault(id, []).append((method, resource))

    @staticmethod
    def same(found: Json, wanted: Json) -> bool:
        return {key: value for key, value in found.items() if key != "meta"} == wanted

    @rule(family=FAMILIES, gender=GENDERS)
    def create(self, family: str, gender: str) -> None:
        resource = {"resourceType": "Patient", "name": [{"family": family}], "gender": gender}
        status, made, headers = self.ask("POST", "Patient", resource)
        assert (status, headers["etag"]) == (201, 'W/"1"')
        assert headers["location"].endswith(f"/Patient/{made['id']}/_history/1")
        self.write("POST", made["id"], {**resource, "id": made["id"]})

    @rule(id=IDS, family=FAMILIES, gender=GENDERS, condition=st.sampled_from(("", "", "match", "stale", "none")))
    def update(self, id: str, family: str, gender: str, condition: str) -> None:
        resource = {"resourceType": "Patient", "id": id, "name": [{"family": family}], "gender": gender}
        before, count = self.expect_read(id), len(self.versions.get(id, ()))
        headers = {"match": {"if-match": f'W/"{count}"'}, "stale": {"if-match": f'W/"{count + 1}"'}, "none": {"if-none-match": "*"}}
        status, _, given = self.ask("PUT", f"Patient/{id}", resource, headers.get(condition))
        refused = {"match": before != 200, "stale": True, "none": before != 404}.get(condition, False)
        if refused:
            assert status == 412
            return
        assert (status, given["etag"]) == (200 if before == 200 else 201, f'W/"{count + 1}"')
        self.write("PUT", id, resource)

    @rule(id=IDS, gender=GENDERS)
    def patch(self, id: str, gender: str) -> None:
        status, found, _ = self.ask("PATCH", f"Patient/{id}", [{"op": "replace", "path": "/gender", "value": gender}], PATCH)
        assert status == self.expect_read(id)
        if status == 200:
            resource = {**(self.now(id) or {}), "gender": gender}
            assert self.same(found, resource)
            self.write("PATCH", id, resource)

    @rule(id=IDS)
    def delete(self, id: str) -> None:
        status, _, _ = self.ask("DELETE", f"Patient/{id}")
        assert status == (404 if id not in self.versions else 204)
        if self.now(id) is not None:
            self.write("DELETE", id, None)

    @rule(family=FAMILIES)
    def delete_by_condition(self, family: str) -> None:
        found = [id for id, resource in self.live().items() if resource["name"][0]["family"] == family]
        status, _, _ = self.ask("DELETE", f"Patient?family:exact={family}".replace("ö", "%C3%B6"))
        assert status == (404 if not found else 204 if len(found) == 1 else 412)
        if status == 204:
            self.write("DELETE", found[0], None)

    @rule(id=IDS, family=FAMILIES)
    def create_unless_there(self, id: str, family: str) -> None:
        resource = {"resourceType": "Patient", "name": [{"family": family}], "gender": "male"}
        status, found, _ = self.ask("POST", "Patient", resource, {"if-none-exist": f"_id={id}"})
        if self.expect_read(id) == 200:
            assert (status, found["id"]) == (200, id)
        else:
            assert status == 201
            self.write("POST", found["id"], {**resource, "id": found["id"]})

    @rule(one=IDS, other=IDS, family=FAMILIES, good=st.booleans())
    def transaction(self, one: str, other: str, family: str, good: bool) -> None:
        if one == other:
            return
        resource = {"resourceType": "Patient", "id": one, "name": [{"family": family}], "gender": "male"}
        last = {"method": "DELETE", "url": f"Patient/{other}", **({} if good else {"ifMatch": 'W/"999"'})}
        entries = [{"request": {"method": "PUT", "url": f"Patient/{one}"}, "resource": resource}, {"request": last}]
        status, _, _ = self.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert status == (200 if good and other in self.versions else 404 if good else 412)
        if status == 200:
            if self.now(other) is not None:
                self.write("DELETE", other, None)
            self.write("PUT", one, resource)

    @rule(id=IDS)
    def read(self, id: str) -> None:
        status, found, headers = self.ask("GET", f"Patient/{id}")
        assert status == self.expect_read(id)
        if status == 200:
            assert self.same(found, self.now(id) or {})
            assert headers["etag"] == f'W/"{len(self.versions[id])}"'
        else:
            assert found["resourceType"] == "OperationOutcome"

    @rule(id=IDS, number=st.integers(0, 4))
    def vread(self, id: str, number: int) -> None:
        status, found, _ = self.ask("GET", f"Patient/{id}/_history/{number}")
        known = self.versions.get(id, [])
        if not 1 <= number <= len(known):
            assert status == 404
            return
        resource = known[number - 1][1]
        assert status == (410 if resource is None else 200)
        assert resource is None or self.same(found, resource)

    @rule(id=IDS, count=st.integers(1, 3))
    def history(self, id: str, count: int) -> None:
        if id not in self.versions:
            assert self.ask("GET", f"Patient/{id}/_history")[0] == 404
            return
        found = self.paged(f"Patient/{id}/_history?_count={count}")
        assert [(one["request"]["method"], one.get("resource", {}).get("gender")) for one in found] == [
            (method, resource and resource["gender"]) for method, resource in reversed(self.versions[id])
        ]

    @rule(
        family=FAMILIES,
        gender=st.sampled_from(("", "male", "female")),
        count=st.integers(1, 3),
        sort=st.sampled_from(("", "-_id", "family")),
    )
    def search(self, family: str, gender: str, count: int, sort: str) -> None:
        query = (
            f"family={family}&_count={count}&_total=accurate" + (f"&gender={gender}" if gender else "") + (f"&_sort={sort}" if sort else "")
        )
        found = [one["resource"]["id"] for one in self.paged("Patient?" + query.replace("ö", "%C3%B6"))]
        wanted = {
            id: resource
            for id, resource in self.live().items()
            if folded(resource["name"][0]["family"]).startswith(folded(family)) and gender in ("", resource["gender"])
        }
        assert sorted(found) == sorted(wanted)
        if sort == "-_id":
            assert found == sorted(wanted, reverse=True)
        if sort == "family":
            keys = [folded(wanted[id]["name"][0]["family"]) for id in found]
            assert keys == sorted(keys)

    def paged(self, path: str) -> list[Json]:
        """The entries of every page; the totals of all pages agree."""
        entries: list[Json] = []
        totals = set()
        while path:
            status, page, _ = self.ask("GET", path)
            assert status == 200
            entries += page.get("entry", [])
            totals.add(page.get("total"))
            path = next((link["url"].partition("/r4/")[2] for link in page["link"] if link["relation"] == "next"), "")
        assert totals in ({None}, {len(entries)})
        return entries


def test_what_is_answered_is_what_the_model_says(story: Story) -> None:
    bound = type("Bound", (Machine,), {"story": story})
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    rules = settings(max_examples=4, stateful_step_count=40, deadline=None, suppress_health_check=quiet, database=None)
    run_state_machine_as_test(bound, settings=rules)  # type: ignore[no-untyped-call]
