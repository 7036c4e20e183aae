"""Reading notes, over calls that a table answers: what is sent, when it is not, and what becomes of refusals and outages."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.healthlake import fhir_store, notes, store
from opentrail.services.healthlake.engine import nlp
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.note_reading import NoteReading
from opentrail.work import jobs
from opentrail.work.jobs import MOST_CRASHES, Jobs
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import HandClock

ACCOUNT, STORE = "123456789012", "s" * 32
NOTE = "Canaryberg has diabetes."
ENTITY = {
    "Id": 0, "Text": "diabetes", "BeginOffset": 15, "EndOffset": 23, "Score": 0.9, "Traits": [{"Name": "DIAGNOSIS", "Score": 0.9}],
    "ICD10CMConcepts": [{"Code": "E11.9", "Description": "Type 2 diabetes", "Score": 0.8}],
}  # fmt: skip


class Wire:
    """Comprehend Medical and the FHIR interface."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.bundles: list[list[dict[str, Any]]] = []
        self.sent: list[bytes] = []
        self.statuses: list[int] = []
        self.refusal: ServiceError | None = None

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        assert (principal.service, service) == (notes.PRINCIPAL, "comprehendmedical")
        if self.refusal:
            raise self.refusal
        self.asked.append((operation, input["Text"]))
        return {"Entities": [ENTITY] if operation == "InferICD10CM" else [], "ModelVersion": "1"}

    def plain(
        self, principal: Principal, region: str, service: str, method: str, path: str, body: bytes = b"", content_type: str = ""
    ) -> tuple[int, bytes]:
        assert notes.is_reading(principal)
        assert (service, method, path) == ("healthlake", "POST", f"/datastore/{STORE}/r4/")
        self.sent.append(body)
        self.bundles.append(json.loads(body)["entry"])
        return (self.statuses.pop(0) if self.statuses else 200), b""


class SentEntry(msgspec.Struct):
    """An entry of a Bundle that was sent."""

    resource: msgspec.Raw


class Sent(msgspec.Struct):
    """A Bundle that was sent."""

    entry: list[SentEntry]


class World:
    """A data store with one note that waits to be read."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.wire = database, Wire()
        with database.write() as tx:
            settings = json.dumps({"NlpConfiguration": {"Status": "ENABLED"}})
            store.insert_datastore(tx, STORE, ACCOUNT, "us-east-1", None, "ACTIVE", 1.0, None, "", settings)
            data = base64.b64encode(NOTE.encode()).decode()
            self.document = {
                "resourceType": "DocumentReference", "id": "d1", "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00.000Z"},
                "status": "current", "subject": {"reference": "Patient/p1"},
                "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
            }  # fmt: skip
            fhir_store.insert(tx, 1, notes.TYPE, "d1", "PUT", 1, msgspec.json.encode(self.document), IndexRows())
            asked = notes.Asked(STORE, ACCOUNT, "us-east-1", "d1", 1)
            jobs.submit(tx, notes.QUEUE, notes.KIND, "j", 1.0, msgspec.json.encode(asked))
        nothing: Any = None
        kinds = {notes.KIND: NoteReading(self.wire.plain)}
        self.clock = HandClock()
        self.task = Jobs(notes.QUEUE, kinds, database.read, database.write, self.wire, nothing, self.clock, folder)

    def step(self, times: int = 3) -> None:
        nothing: Any = None
        for _ in range(times):
            self.task.step(nothing)

    @property
    def waits(self) -> bool:
        with self.database.read() as view:
            return jobs.under_way(view, "j") is not None

    def status(self) -> tuple[str, str]:
        """Status and message in the document that was sent last."""
        document = self.wire.bundles[-1][-1]["resource"]
        held = next(one for one in document["extension"] if one["url"] == nlp.CM)["extension"]
        status, message = held[-2:]
        return status["valueString"], message["valueString"]


@pytest.fixture
def world(main_database: Database, tmp_path: Path) -> World:
    return World(main_database, tmp_path)


def test_a_note_is_read_and_written_back_while_it_is_that_version(world: World) -> None:
    world.step()
    assert world.wire.asked == [(name, NOTE) for name in ("DetectEntitiesV2", "InferICD10CM", "InferRxNorm")]
    (entries,) = world.wire.bundles
    assert [one["request"]["url"].partition("/")[0] for one in entries] == ["Condition", "Linkage", "DocumentReference"]
    assert entries[-1]["request"]["ifMatch"] == 'W/"1"'
    assert (world.status()[0], world.waits) == ("SUCCESS", False)


def test_decimals_of_the_document_stay_as_they_are_and_what_is_there_already_is_not_sent(world: World) -> None:
    place = {"reference": "Patient/p1", "extension": [{"url": "urn:x", "valueDecimal": msgspec.Raw(b"1.50")}]}
    body = msgspec.json.encode({**world.document, "subject": place})
    with world.database.write() as tx:
        before = fhir_store.current(tx, 1, notes.TYPE, "d1")
        assert before is not None
        fhir_store.replace(tx, 1, notes.TYPE, "d1", "PUT", before, 2, body, IndexRows(), IndexRows())
        jobs.submit(tx, notes.QUEUE, notes.KIND, "j2", 2.0, msgspec.json.encode(notes.Asked(STORE, ACCOUNT, "us-east-1", "d1", 2)))
    world.step(6)
    (sent,), (entries,) = world.wire.sent, world.wire.bundles
    assert sent.count(b'"valueDecimal":1.50}') == 2  # of the document and of the condition
    with world.database.write() as tx:
        for entry, one in zip(msgspec.json.decode(sent, type=Sent).entry, entries, strict=True):
            if one["resource"]["resourceType"] != notes.TYPE:
                kept = bytes(entry.resource).replace(b'"meta":{', b'"meta":{"versionId":"1",')
                fhir_store.insert(tx, 1, one["resource"]["resourceType"], one["resource"]["id"], "PUT", 3, kept, IndexRows())
        jobs.submit(tx, notes.QUEUE, notes.KIND, "j3", 3.0, msgspec.json.encode(notes.Asked(STORE, ACCOUNT, "us-east-1", "d1", 2)))
    world.step(6)
    assert [one["request"]["url"] for one in world.wire.bundles[-1]] == ["DocumentReference/d1"]


def test_a_version_that_is_not_the_newest_is_not_read(world: World) -> None:
    with world.database.write() as tx:
        before = fhir_store.current(tx, 1, notes.TYPE, "d1")
        assert before is not None
        fhir_store.replace(tx, 1, notes.TYPE, "d1", "PUT", before, 2, b"{}", IndexRows(), IndexRows())
    world.step()
    assert (world.wire.asked, world.wire.bundles, world.waits) == ([], [], False)


def test_a_document_that_changes_meanwhile_is_left_to_its_own_job(world: World) -> None:
    world.wire.statuses = [412]
    world.step()
    assert (len(world.wire.bundles), world.waits) == (1, False)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_is_tried_again(world: World, status: int) -> None:
    world.wire.statuses = [status]
    world.step()
    assert world.waits
    world.clock.time += 60
    world.step()
    assert (world.status()[0], world.waits) == ("SUCCESS", False)


def test_a_refusal_of_the_text_is_said_in_the_document(world: World) -> None:
    world.wire.refusal = ServiceError("InvalidRequestException", "Canaryberg")
    world.step()
    assert world.status() == ("INTERNAL_ERROR", "The text could not be read: InvalidRequestException.")
    assert not world.waits


def test_what_the_store_refuses_is_said_in_the_document(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.wire.statuses = [400]
    world.step()
    assert (world.status()[0], len(world.wire.bundles), world.waits) == ("VALIDATION_ERROR", 2, False)
    assert "Canaryberg" not in caplog.text


def test_a_fault_that_comes_again_and_again_is_said_in_the_document(world: World) -> None:
    world.wire.refusal = KeyError("Canaryberg")  # type: ignore[assignment]
    for _ in range(MOST_CRASHES - 1):
        world.step(1)
        world.clock.time += 60
    world.step()
    assert (world.status()[0], world.waits) == ("INTERNAL_ERROR", False)


def test_too_many_objects_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nlp, "MOST_OBJECTS", 5)
    world.step()
    status, message = world.status()
    assert (status, message.endswith("nested objects exceeds the limit of 5.")) == ("VALIDATION_ERROR", True)


def test_many_resources_go_in_several_bundles_the_document_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opentrail.services.healthlake.note_reading.AT_ONCE", 2)
    world.step()
    assert [len(bundle) for bundle in world.wire.bundles] == [2, 1]
    assert world.wire.bundles[-1][-1]["request"]["url"] == "DocumentReference/d1"


def test_only_the_reading_itself_goes_unread() -> None:
    source = notes.source("us-east-1", ACCOUNT, STORE)
    assert notes.is_reading(service_principal(notes.PRINCIPAL, ACCOUNT, source))
    assert not notes.is_reading(service_principal(notes.PRINCIPAL, ACCOUNT, source.removesuffix(f"/{notes.TYPE}")))
    assert not notes.is_reading(service_principal("other.amazonaws.com", ACCOUNT, source))
    assert not notes.is_reading(Principal("IAMUser", ACCOUNT, source_arn=source))


def test_an_imported_note_is_asked_for_by_itself(world: World) -> None:
    with world.database.write() as tx:
        found = store.datastore(tx, STORE)
        assert found is not None
        notes.ask_for(tx, found, "d1", 1, msgspec.json.encode(world.document), 5.0)
        notes.ask_for(tx, found, "d2", 1, b"{}", 5.0)
        assert jobs.under_way(tx, f"{notes.source('us-east-1', ACCOUNT, STORE)}/d1/1") is not None
        assert jobs.waiting(tx, notes.QUEUE, notes.KIND) == 2
