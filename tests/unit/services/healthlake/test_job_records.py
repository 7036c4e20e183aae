"""An export's or import's records: found by patient, in the name of who started the job, whole beside what they have room for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from opentrail.client.report import seen
from opentrail.journal import disclosures
from opentrail.journal.verify import verify
from opentrail.kernel.principal import Principal
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail.lookup import lookup_events
from opentrail.services.healthlake import job_records
from opentrail.services.healthlake.job_records import EXPORT, IMPORT
from opentrail.services.healthlake.store import Datastore
from tests.databases import MakeDatabase
from tests.unit.services.cloudtrail.world import ACCOUNT, NOW, REGION, Input, World

STORE = Datastore("0a" * 16, 1, ACCOUNT, REGION, None, "ACTIVE", 0.0, "{}")
NURSE = Principal("IAMUser", ACCOUNT, "AIDA", f"arn:aws:iam::{ACCOUNT}:user/nurse", "AKIA", "nurse")
PATIENTS = [f"patient-{number:05}" for number in range(job_records.MOST // 2)]
RESOURCES = [name for id in PATIENTS for name in (f"Patient/{id}", f"Observation/of-{id}")]


@pytest.fixture
def world(make_database: MakeDatabase, tmp_path: Any) -> World:
    return World(make_database("main"), make_database("history"), make_database("delivery"), tmp_path)


def tell(world: World, kind: str, resources: list[str], patients: list[str]) -> None:
    with world.main.write() as tx:
        job_records.telling(world.tools)(tx, NURSE, STORE, kind, "job-1", resources, patients)


def found(world: World, patient: str) -> list[dict[str, Any]]:
    asked = [Input(AttributeKey="ResourceName", AttributeValue=f"Patient/{patient}")]
    return [json.loads(event["CloudTrailEvent"]) for event in world.read(lookup_events, LookupAttributes=asked)["Events"]]


@pytest.mark.parametrize("indexed", [False, True])
def test_every_patient_of_a_job_is_found(world: World, indexed: bool) -> None:
    world.clock.time = NOW
    tell(world, EXPORT, RESOURCES, PATIENTS)
    tell(world, IMPORT, ["Patient/one", "Device/d"], ["one"])
    if indexed:
        world.follow(world.entries())
    for patient in (PATIENTS[0], PATIENTS[700], PATIENTS[-1]):
        (record,) = found(world, patient)
        line = seen(record, patient)
        assert (line.who, line.via, line.what, line.effect, line.others, line.source) == (
            NURSE.arn, job_records.SERVICE, "ExportFHIRResources", "read", len(PATIENTS) - 1, job_records.SERVICE,
        )  # fmt: skip
    (record,) = found(world, "one")
    assert (seen(record, "one").effect, record["eventName"], record["eventType"]) == ("changed", "ImportFHIRResources", "AwsServiceEvent")
    assert record["additionalEventData"] == {
        "jobId": "job-1", "returned": {"count": 2, "items": ["Patient/one", "Device/d"]}, "patients": {"count": 1, "items": ["one"]},
    }  # fmt: skip
    assert record["userIdentity"] == {
        "type": "IAMUser", "principalId": "AIDA", "arn": NURSE.arn, "accountId": ACCOUNT, "accessKeyId": "AKIA", "userName": "nurse",
        "invokedBy": job_records.SERVICE,
    }  # fmt: skip
    assert found(world, "nobody") == []
    with world.main.read() as view:
        assert disclosures.items(view, 1, "patients") == PATIENTS
        assert disclosures.items(view, 1, "returned") == RESOURCES
        assert verify(view).why == ""


def test_a_job_that_fails_in_the_transaction_tells_nothing(world: World) -> None:
    writer = world.main.writer()
    writer.begin(writes=True)
    job_records.tell(writer.enter(), world.tools, NURSE, STORE, EXPORT, "job-1", RESOURCES, PATIENTS)
    writer.rollback()
    with world.main.read() as view:
        assert (verify(view).records, disclosures.items(view, 1, "patients")) == (0, [])


def test_ids_of_a_job_are_hashed_where_they_are_to_be(world: World) -> None:
    world.tools = replace(world.tools, settings=Settings(hash_resource_ids=True))
    tell(world, EXPORT, RESOURCES, PATIENTS)
    (record,) = found(world, PATIENTS[-1])
    with world.main.read() as view:
        lists = disclosures.text(view, 1, "patients") + disclosures.text(view, 1, "returned")
    assert b"patient-" not in lists + json.dumps(record).encode()
    assert lists.count(b"\n") == len(PATIENTS) + len(RESOURCES)
