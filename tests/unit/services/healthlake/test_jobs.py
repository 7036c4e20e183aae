"""HealthLake's jobs on its own data: preloads in slices, resumed after a crash; transactions carried out, refused, tried again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opentrail.kernel.errors import Unavailable
from opentrail.kernel.principal import Principal
from opentrail.services.healthlake import data_queue, fhir_store, jobs, store, transaction_store
from opentrail.services.healthlake.tables import FHIR_TABLES
from opentrail.services.healthlake.transaction_store import Waiting
from opentrail.store.sql import Sql
from opentrail.work.jobs import MOST_CRASHES, Jobs
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import HandClock

ACCOUNT, REGION, STORE, OTHER, ID = "123456789012", "eu-west-1", "5" * 32, "6" * 32, "7" * 32
KEPT = Waiting(ID, STORE, ACCOUNT, REGION, "SUBMITTED", "request", "http://me/r4", "respond-async", "", b"{}")


FEW = jobs.drafts()[:12]


class Hasty(HandClock):
    """A clock on which every look takes a fifth of a slice."""

    def monotonic(self) -> float:
        self.seconds = getattr(self, "seconds", 0.0) + 0.002
        return self.seconds


class Place:
    """A main database with a data store, the task, and what the server answers to its calls."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.asked: list[tuple[Principal, str, str, str, str]] = []
        self.answers: list[tuple[int, bytes] | Exception] = []
        self.restart()
        with database.write() as tx:
            store.insert_datastore(tx, STORE, ACCOUNT, REGION, None, "CREATING", 1.0, None, "", "{}")

    def restart(self) -> None:
        nothing: Any = None
        kinds, self.clock = jobs.kinds(self.ask), Hasty()
        self.task = Jobs(data_queue.QUEUE, kinds, self.database.read, self.database.write, nothing, nothing, self.clock, self.folder)

    def ask(self, *call: Any) -> tuple[int, bytes]:
        self.asked.append(call)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def step(self) -> bool:
        nothing: Any = None
        return self.task.step(nothing)

    def status(self) -> str:
        with self.database.read() as snapshot:
            found = store.datastore(snapshot, STORE)
        assert found is not None
        return found.status

    def held(self) -> int:
        with self.database.read() as snapshot:
            return sum(fhir_store.current(snapshot, 1, made.type, id) is not None for id, made in jobs.drafts())

    def transaction(self) -> transaction_store.Ended:
        with self.database.read() as snapshot:
            found = transaction_store.state(snapshot, STORE, ID)
        assert found is not None
        return found


@pytest.fixture
def place(main_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """With a preload of few resources."""
    monkeypatch.setattr(jobs, "drafts", lambda: FEW)
    return Place(main_database, tmp_path)


def test_a_preload_goes_in_by_slices_and_goes_on_after_a_crash(place: Place) -> None:
    with place.database.write() as tx:
        data_queue.preload(tx, STORE, 1.0)
    assert place.step()
    first = place.held()
    assert 0 < first < len(FEW)
    assert place.status() == "CREATING"
    place.restart()
    while place.step():
        assert place.status() in ("CREATING", "ACTIVE")
    assert (place.status(), place.held()) == ("ACTIVE", len(FEW))


def test_a_preload_that_cannot_be_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError

    monkeypatch.setattr(jobs, "drafts", broken)
    with place.database.write() as tx:
        data_queue.preload(tx, STORE, 1.0)
    for _ in range(MOST_CRASHES):
        place.step()
        place.clock.seconds += 60
    place.step()
    assert place.status() == "CREATE_FAILED"


def test_a_deleted_data_store_leaves_no_row_and_others_keep_theirs(place: Place) -> None:
    with place.database.write() as tx:
        data_queue.preload(tx, STORE, 1.0)
        store.insert_datastore(tx, OTHER, ACCOUNT, REGION, None, "CREATING", 2.0, None, "", "{}")
        data_queue.preload(tx, OTHER, 2.0)
    done(place)
    kept(place)
    place.answers = [(200, b"")]
    done(place)
    before = rows(place)
    with place.database.write() as tx:
        fhir_store.remember(tx, 1, "key", "Patient", "p00")
        store.set_status(tx, STORE, "DELETED")
        data_queue.erasure(tx, STORE, 3.0)
    place.step()
    place.restart()
    done(place)
    assert {table: found.get(1, 0) for table, found in rows(place).items()} == dict.fromkeys(before, 0)
    assert {table: found[2] for table, found in rows(place).items() if 2 in found} == {t: f[2] for t, f in before.items() if 2 in f}
    with place.database.read() as snapshot:
        assert transaction_store.state(snapshot, STORE, ID) is None


def rows(place: Place) -> dict[str, dict[int, int]]:
    """How many rows each table has of each data store."""
    found = {}
    with place.database.read() as snapshot:
        for table in [*(one.name for one in FHIR_TABLES), "fhir_idempotency"]:
            counted = snapshot.all(Sql(f"SELECT store, COUNT(*) FROM {table} GROUP BY store"))
            found[table] = {int(row[0]): int(row[1]) for row in counted}
    return found


def kept(place: Place) -> None:
    """Keeps a transaction, as the call that sent it does."""
    with place.database.write() as tx:
        transaction_store.insert(tx, KEPT, 1_000)
        data_queue.transaction(tx, ID, 1.0)


def done(place: Place) -> None:
    """Steps until no job is left."""
    while place.step():
        continue


def test_a_transaction_is_carried_out_by_a_call_of_the_service(place: Place) -> None:
    kept(place)
    place.answers = [(200, b"")]
    done(place)
    ((principal, *rest),) = place.asked
    assert (principal.service, principal.account) == ("healthlake.amazonaws.com", ACCOUNT)
    assert principal.source_arn == f"arn:aws:healthlake:{REGION}:{ACCOUNT}:datastore/fhir/{STORE}"
    assert rest == [REGION, "healthlake", "POST", f"/datastore/{STORE}/r4/Transaction/{ID}"]
    assert place.transaction().status == "IN_PROGRESS", "the call itself writes the end"


def test_a_refusal_ends_the_transaction_with_what_was_answered(place: Place) -> None:
    kept(place)
    place.answers = [(412, b'{"resourceType":"OperationOutcome"}')]
    done(place)
    assert place.transaction() == ("FAILED", 412, b'{"resourceType":"OperationOutcome"}', None)


def test_what_cannot_be_now_is_tried_again_and_a_fault_not_for_ever(place: Place) -> None:
    kept(place)
    place.step()
    place.answers = [Unavailable("nobody there"), (503, b"")] * 4
    for asked in range(8):
        done(place)
        assert len(place.answers) == 7 - asked
        place.clock.seconds += 60
    place.answers = [(500, b"")] * MOST_CRASHES
    for _ in range(MOST_CRASHES):
        done(place)
        place.clock.seconds += 60
    done(place)
    ended = place.transaction()
    assert (ended.status, ended.answer_status) == ("FAILED", 500)
    assert json.loads(ended.answer or b"")["issue"][0]["code"] == "exception"


def test_what_has_ended_is_not_asked_for_again(place: Place) -> None:
    kept(place)
    with place.database.write() as tx:
        transaction_store.end(tx, ID, transaction_store.COMPLETED, 200, b"{}")
        transaction_store.end(tx, ID, transaction_store.FAILED, 500, b"late")
    done(place)
    assert (place.asked, place.transaction().status) == ([], "COMPLETED")


def test_transactions_are_forgotten_by_age_and_only_when_they_ended(place: Place) -> None:
    kept(place)
    for end, known in ((False, True), (True, False)):
        with place.database.write() as tx:
            if end:
                transaction_store.end(tx, ID, transaction_store.COMPLETED, 200, b"{}")
            transaction_store.forget(tx, STORE, 2_000)
            assert (transaction_store.state(tx, STORE, ID) is not None) is known
