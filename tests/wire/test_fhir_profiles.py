"""Profiles from packages: loaded into a running server by the command line, and what resources that claim them meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import program

from tests.unit.services.healthlake.engine.validation.test_profiles import FILES, GOOD, URL, package
from tests.wire.fhir_data import filled, send
from tests.wire.story import Story

LEVEL = "x-amzn-healthlake-fhir-validation-level"
CLAIMS = {**GOOD, "meta": {"profile": [URL]}}
BREAKS = {**CLAIMS, "language": "de"}
"""Good R4, against the profile."""


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def profiles(story: Story, *arguments: str) -> str:
    done = program("profiles", *arguments, "--data-dir", story.live.server.settings.data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def loaded(story: Story, tmp_path: Path) -> Iterator[str]:
    """The package's name and version."""
    file = tmp_path / "guide.tgz"
    file.write_bytes(package(FILES))
    assert profiles(story, "load", str(file)) == "loaded x.org#1.0.0: 3 profiles, 1 value sets\n"
    yield "x.org#1.0.0"
    if "x.org" in profiles(story, "list"):
        profiles(story, "remove", "x.org#1.0.0")


def issues(answer: Any) -> list[tuple[str, str]]:
    found = json.loads(answer.data)
    assert found["resourceType"] == "OperationOutcome", found
    return [(one["severity"], one.get("location", [""])[0]) for one in found["issue"]]


def test_a_claim_is_checked_while_its_profile_is_loaded(story: Story, ward: str, loaded: str) -> None:
    assert send(story, ward, "POST", "Patient", CLAIMS).status == 201
    refused = send(story, ward, "POST", "Patient", BREAKS)
    assert (refused.status, issues(refused)) == (400, [("error", "/Patient/language")])
    assert send(story, ward, "POST", "Patient", BREAKS, {LEVEL: "structure-only"}).status == 201
    flagged = send(story, ward, "POST", "Patient", BREAKS, {LEVEL: "minimal"})
    assert flagged.status == 201
    assert send(story, ward, "POST", "Patient", {**GOOD, "language": "de"}).status == 201, "what is not claimed is not checked"
    made = json.loads(send(story, ward, "POST", "Patient", CLAIMS).data)
    path = f"Patient/{made['id']}"
    assert send(story, ward, "PUT", path, {**made, "language": "de"}).status == 400
    patch = [{"op": "replace", "path": "/language", "value": "de"}]
    assert send(story, ward, "PATCH", path, patch, {"content-type": "application/json-patch+json"}).status == 400
    for kind, status in (("batch", 200), ("transaction", 400)):
        entry = {"request": {"method": "POST", "url": "Patient"}, "resource": BREAKS}
        answer = send(story, ward, "POST", "", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.status == status
        assert kind == "transaction" or json.loads(answer.data)["entry"][0]["response"]["status"] == "400"
    profiles(story, "remove", loaded)
    warned = send(story, ward, "POST", "Patient", BREAKS, {"prefer": "return=OperationOutcome"})
    assert (warned.status, issues(warned)) == (201, [("warning", "/Patient")])


def test_validate_names_a_profile(story: Story, ward: str, loaded: str) -> None:
    plain = {**GOOD, "language": "de"}
    assert issues(send(story, ward, "POST", "Patient/$validate", plain)) == [("information", "")]
    asked = send(story, ward, "POST", f"Patient/$validate?profile={URL}", plain)
    assert (asked.status, issues(asked)) == (200, [("error", "/Patient/language")])
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": plain}, {"name": "profile", "valueUri": URL}],
    }
    assert issues(send(story, ward, "POST", "Patient/$validate", parameters)) == [("error", "/Patient/language")]
    assert issues(send(story, ward, "POST", "Patient/$validate?profile=http://nowhere", plain)) == [("warning", "/Patient")]
    assert issues(send(story, ward, "POST", "Patient/$validate", {**plain, "meta": {"profile": [URL]}}))[0][0] == "error"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["load"], 2),
        (["list", "x"], 2),
        (["remove"], 2),
        (["unload", "x"], 2),
        (["load", "/nowhere.tgz"], 1),
        (["remove", "x"], 1),
        (["remove", "../x#1"], 1),
    ],
)
def test_commands_that_cannot_be_done_say_why(tmp_path: Path, arguments: list[str], status: int) -> None:
    done = program("profiles", *arguments, "--data-dir", str(tmp_path))
    assert done.returncode == status
    assert done.stderr
    assert "Traceback" not in done.stderr
