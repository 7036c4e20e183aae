"""Exports and imports in reports on patients: who started the job, as done by HealthLake, with everything that it took or brought."""

from __future__ import annotations

import json

from tests.wire.bulk_data import Ward, ward
from tests.wire.fhir_data import observation, send
from tests.wire.story import Story

__all__ = ["ward"]
CROWD = [f"crowd-{number:04}-{'x' * 40}" for number in range(1_200)]


def reported(story: Story, ward: Ward, patient: str) -> list[tuple[str, str, str, str, int]]:
    """Who, through whom, what, how, and how many other patients: oldest first."""
    done = story.live.server.run("report", "patient", f"Patient/{patient}", "--datastore", ward.store, "-o", "json")
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout)["calls"][::-1]
    return [(one["who"], one["via"], one["what"], one["effect"], one["others"]) for one in calls]


def test_a_report_has_what_an_import_brought_and_an_export_took(story: Story, ward: Ward) -> None:
    ward.put("in/Patient.ndjson", *({"resourceType": "Patient", "id": id} for id in CROWD))
    ward.put("in/Observation.ndjson", observation("o1", CROWD[7]), observation("o2", CROWD[7]))
    user = story.user((["healthlake:*", "iam:PassRole"], "*"))
    client = story.client("healthlake", user)
    brought = ward.imported(client.start_fhir_import_job(**ward.import_input())["JobId"])
    assert brought["JobStatus"] == "COMPLETED", str(brought)
    assert ward.exported(client.start_fhir_export_job(**ward.export_input())["JobId"])["JobStatus"] == "COMPLETED"
    assert send(story, ward.store, "GET", "Observation/o1").status == 200
    arn, service = user.identity["arn"], "healthlake.amazonaws.com"
    imported, exported = (arn, service, "ImportFHIRResources", "changed"), (arn, service, "ExportFHIRResources", "read")
    last = reported(story, ward, CROWD[-1])
    assert [one[:4] for one in last] == [imported, exported]
    assert last[1][4] == len(CROWD) - 1
    seventh = reported(story, ward, CROWD[7])
    assert sorted(one[:4] for one in seventh) == sorted(
        [imported, imported, exported, exported, (story.root.identity["arn"], "", "ReadResource", "read")]
    )
    assert reported(story, ward, "nobody") == []
