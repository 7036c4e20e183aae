"""Asynchronous transactions: sent, carried out once by HealthLake itself with a record of its own, polled for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.wire.covers import covers
from tests.wire.fhir_data import PATIENT, facts, filled, observation, send, touched
from tests.wire.story import Story
from tests.wire.test_fhir_bundles import asks, bundle, pointing

ASYNC = {"prefer": "respond-async"}
PATIENCE = 30


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def ended(story: Story, store: str, path: str) -> tuple[int, dict[str, Any]]:
    """The status and body of the answer, once the transaction has ended."""
    for _ in range(PATIENCE * 10):
        answer = send(story, store, "GET", path)
        if answer.status != 202:
            return answer.status, json.loads(answer.data)
        assert answer.headers["x-progress"] in ("SUBMITTED", "IN_PROGRESS")
        time.sleep(0.1)
    raise AssertionError("the transaction did not end")


def sent(story: Story, store: str, wanted: Any) -> str:
    """Sends a transaction; where its outcome will be, below the data store."""
    answer = send(story, store, "POST", "", wanted, ASYNC)
    assert answer.status == 202, answer.data
    assert "Submitted Asynchronous Bundle Transaction" in answer.data.decode()
    return answer.headers["content-location"].partition("/r4/")[2]


@covers("healthlake", "ProcessBundle", "DescribeTransaction")
def test_a_transaction_is_carried_out_later_and_once(story: Story, ward: str) -> None:
    mother = "urn:uuid:11111111-1111-4111-8111-111111111111"
    wanted = bundle(
        "transaction",
        asks("POST", "Patient", PATIENT, mother),
        asks("PUT", "Observation/o9", {**pointing(mother), "id": "o9"}),
        asks("DELETE", "Observation/o3"),
    )
    request = {"datastoreId": ward}
    _, headers = story.fhir(
        "ProcessBundle", "POST", f"/{ward}/r4/", wanted, status=202, headers=ASYNC, request=request, resources=touched(ward)
    )
    said = facts(story, headers)
    assert said["entries"]["items"] == ["POST Patient", "PUT Observation/o9", "DELETE Observation/o3"]
    path = headers["content-location"].partition("/r4/")[2]
    assert path == f"Transaction/{said['transaction']}"
    status, answer = ended(story, ward, path)
    assert (status, answer["type"]) == (200, "transaction-response")
    assert [one["response"]["status"] for one in answer["entry"]] == ["201", "201", "204"]
    made = answer["entry"][0]["response"]["location"].partition("/_history")[0]
    assert json.loads(send(story, ward, "GET", "Observation/o9").data)["subject"]["reference"] == made
    found, headers = story.fhir(
        "DescribeTransaction", "GET", f"/{ward}/r4/{path}", request={**request, "resourceId": said["transaction"]}, resources=ANY
    )
    assert found == answer
    assert set(facts(story, headers)["patients"]["items"]) == {made.partition("/")[2], "p2"}
    (own,) = story.live.naming(said["transaction"] + '","submittedBy')
    assert (own["eventName"], own["userIdentity"]["invokedBy"]) == ("ProcessBundle", "healthlake.amazonaws.com")
    assert own["additionalEventData"]["entries"]["items"] == [f"POST {made} 201", "PUT Observation/o9 201", "DELETE Observation/o3 204"]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (asks("PUT", "Patient/p1", {**PATIENT, "id": "p1"}, ifMatch='W/"9"'), 412),
        (asks("POST", "Observation", {"resourceType": "Observation"}), 400),
        (asks("POST", "Observation", pointing("Patient?_id=nobody")), 412),
    ],
)
def test_a_refused_transaction_says_so_when_asked_and_leaves_nothing(story: Story, ward: str, last: Any, status: int) -> None:
    path = sent(story, ward, bundle("transaction", asks("PUT", "Patient/new", {**PATIENT, "id": "new"}), last))
    found, outcome = ended(story, ward, path)
    assert (found, outcome["issue"][0]["location"][0].partition(".")[0]) == (status, outcome["issue"][0]["location"][0])
    assert outcome["issue"][0]["location"][0].startswith("/Bundle/entry[1]")
    assert send(story, ward, "GET", "Patient/new").status == 404


def test_five_hundred_entries_are_carried_out(story: Story, ward: str) -> None:
    entries = [asks("PUT", f"Observation/n{n}", observation(f"n{n}", "p1")) for n in range(500)]
    status, answer = ended(story, ward, sent(story, ward, bundle("transaction", *entries)))
    assert (status, len(answer["entry"])) == (200, 500)


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (bundle("batch", asks("GET", "Patient/p1")), 400),
        (bundle("transaction", *[asks("GET", f"Patient/p{n}") for n in range(501)]), 422),
        (bundle("transaction", asks("PATCH", "Patient/p1", {"resourceType": "Binary"})), 400),
        (bundle("transaction", {}), 400),
        (PATIENT, 400),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(story: Story, ward: str, wanted: Any, status: int) -> None:
    assert send(story, ward, "POST", "", wanted, ASYNC).status == status


def test_nobody_but_healthlake_runs_a_transaction(story: Story, ward: str) -> None:
    assert send(story, ward, "POST", "Transaction/" + "0" * 32).status == 405
    assert send(story, ward, "GET", "Transaction/" + "0" * 32).status == 404


def test_what_an_ended_transaction_showed_of_earlier_versions_is_told_again(story: Story, ward: str) -> None:
    assert send(story, ward, "DELETE", "Observation/o3").status == 204
    path = sent(story, ward, bundle("transaction", asks("GET", "Observation/o3/_history/1")))
    assert ended(story, ward, path)[0] == 200
    _, headers = story.fhir("DescribeTransaction", "GET", f"/{ward}/r4/{path}", request=ANY, resources=ANY)
    said = facts(story, headers)
    assert (said["patients"]["items"], said["returned"]["items"]) == (["p2"], ["Observation/o3/_history/1"])
