"""Lists beside records: counted, cut and hashed in the record, whole beside it, verified and pruned with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.journal import disclosures
from opentrail.journal.append import Appender, Fresh
from opentrail.journal.disclosures import LIST_BYTES, LIST_ITEMS, PART, Disclosed, listed
from opentrail.journal.prune import LISTS, prune
from opentrail.journal.read import head
from opentrail.journal.verify import verify
from opentrail.kernel.ambient import stamp
from opentrail.store.sql import Sql, Value
from tests.databases import Database

ACCOUNT, REGION, UNDER = "123456789012", "us-east-1", "arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/ab/Patient"


def fresh(time: int, items: Sequence[str] = (), name: str = "patients") -> Fresh:
    """A record that lists the items, with what lies beside it."""
    shown, text = listed(items, UNDER)
    record = {
        "eventID": f"event-{time}", "eventTime": stamp(time), "eventName": "SearchWithGet", "eventSource": "healthlake.amazonaws.com",
        "awsRegion": REGION, "userIdentity": {}, "recipientAccountId": ACCOUNT, "additionalEventData": {name: shown},
    }  # fmt: skip
    return Fresh(time, ACCOUNT, REGION, 0, msgspec.json.encode(record), (Disclosed(name, text),) if text else ())


def many(count: int, stem: str = "p") -> list[str]:
    return [f"{stem}-{number:040}" for number in range(count)]


@pytest.fixture
def journal(main_database: Database) -> Database:
    """Records at positions 1 to 4; lists lie beside 2 (several parts) and 4."""
    with main_database.write() as tx:
        lists: list[Sequence[str]] = [["p1"], many(14_000), [], many(200, "q")]
        Appender().append(tx, [([fresh(100 + number, items)], ()) for number, items in enumerate(lists)])
    return main_database


def run(database: Database, statement: str, **values: Value) -> None:
    with database.write() as tx:
        assert tx.run(Sql(statement), **values)


def test_a_short_list_is_whole() -> None:
    assert listed(["Patient/1", "Patient/2"], UNDER) == ({"count": 2, "items": ["Patient/1", "Patient/2"]}, b"")
    assert listed([]) == ({"count": 0, "items": []}, b"")


@given(
    st.lists(st.text(st.characters(exclude_characters='\n"\\', exclude_categories=("Cs", "Cc")), max_size=64), max_size=700), st.booleans()
)
def test_a_list_has_its_start_and_the_hash_of_all(items: list[str], beside: bool) -> None:
    found, text = listed(iter(items), UNDER, beside)
    kept = found["items"]
    assert (found["count"], kept) == (len(items), items[: len(kept)])
    assert len(kept) <= LIST_ITEMS
    assert len(json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()) <= LIST_BYTES + 2
    apart = len(kept) < len(items) or (beside and bool(items))
    assert text == ("".join(f"{one}\n" for one in items).encode() if apart else b"")
    assert (found.get("sha256"), found.get("under")) == ((hashlib.sha256(text).hexdigest(), UNDER) if apart else (None, None))


def test_a_list_that_does_not_fit_lies_beside_its_record(journal: Database) -> None:
    assert len(many(14_000)) * 43 > 2 * PART
    with journal.read() as view:
        assert disclosures.items(view, 2, "patients") == many(14_000)
        assert disclosures.items(view, 4, "patients") == many(200, "q")
        assert [disclosures.items(view, position, "patients") for position in (1, 3)] == [[], []]
        assert (verify(view).records, verify(view).why) == (4, "")


def test_a_list_names_resources_as_event_history_asks(journal: Database) -> None:
    record, plain = fresh(103, many(200, "q")).record, fresh(103, ["p1"]).record
    held = many(200, "q")
    with journal.read() as view:
        for one in (held[0], held[-1]):
            assert all(disclosures.names(view, 4, record, name) for name in (f"{UNDER}/{one}", f"Patient/{one}", one))
        wrong = (
            held[0][:-1],
            held[0][1:],
            f"{UNDER}{held[0]}",
            f"Group/{held[0]}",
            f"x/Patient/{held[0]}",
            f"/{held[0]}",
            "",
            "Patient/",
            UNDER,
        )
        assert not any(disclosures.names(view, 4, record, name) for name in wrong)
        assert not disclosures.names(view, 4, plain, held[0])


@pytest.mark.parametrize(
    ("statement", "bad", "why"),
    [
        ("UPDATE disclosure SET items = :bytes WHERE position = 4", 4, "the list patients beside the record was changed"),
        ("DELETE FROM disclosure WHERE position = 4", 4, "the list patients beside the record is missing"),
        ("DELETE FROM disclosure WHERE position = 2 AND part = 1", 2, "was changed"),
        ("DELETE FROM disclosure WHERE position = 2 AND part = 0", 2, "is missing"),
        ("UPDATE disclosure SET position = 3 WHERE position = 4", 3, "a list patients lies beside the record, which has none"),
        ("UPDATE disclosure SET name = 'returned' WHERE position = 4", 4, "is missing"),
        ("UPDATE disclosure SET part = 9 WHERE position = 4", 4, "is missing"),
        ("INSERT INTO disclosure (position, name, part, items) VALUES (1, 'patients', 0, :bytes)", 1, "which has none"),
        ("INSERT INTO disclosure (position, name, part, items) VALUES (2, 'patients', 3, :bytes)", 2, "was changed"),
        ("INSERT INTO disclosure (position, name, part, items) VALUES (0, 'patients', 0, :bytes)", 0, "which has none"),
        ("INSERT INTO disclosure (position, name, part, items) VALUES (5, 'patients', 0, :bytes)", 5, "which has none"),
    ],
)
def test_every_change_of_a_list_is_named_by_its_position(journal: Database, statement: str, bad: int, why: str) -> None:
    run(journal, statement, **({"bytes": b"q\n"} if ":bytes" in statement else {}))
    with journal.read() as view:
        verdict = verify(view)
    assert (verdict.bad, why in verdict.why) == (bad, True), verdict


def test_a_record_that_no_longer_names_its_list_is_found(journal: Database) -> None:
    run(journal, "UPDATE journal SET record = :record WHERE position = 4", record=fresh(103).record)
    with journal.read() as view:
        assert verify(view).bad == 4


def test_a_list_and_record_that_are_changed_together_break_the_running_hash(journal: Database) -> None:
    other = fresh(103, many(200, "r"))
    run(journal, "UPDATE journal SET record = :record WHERE position = 4", record=other.record)
    run(journal, "UPDATE disclosure SET items = :items WHERE position = 4", items=other.disclosed[0].text)
    with journal.read() as view:
        assert "the running hash does not fit" in verify(view).why


def test_lists_are_pruned_with_their_records(journal: Database) -> None:
    with journal.write() as tx:
        assert prune(tx, 2, 10**6) == 2
    with journal.read() as view:
        assert (head(view).first, disclosures.items(view, 2, "patients")) == (3, [])
        assert (len(disclosures.items(view, 4, "patients")), verify(view).why) == (200, "")


def test_one_transaction_prunes_bounded_lists(main_database: Database) -> None:
    text = b"x" * (LISTS // 2) + b"\n"
    with main_database.write() as tx:
        Appender().append(
            tx, [([Fresh(100, ACCOUNT, REGION, 0, b"{}", (Disclosed("patients", text),) * (number % 2))], ()) for number in range(10)]
        )
        Appender().append(tx, [([Fresh(100, ACCOUNT, REGION, 0, b"{}", (Disclosed("patients", text * 5),))], ())])
    sizes = []
    while not sizes or sizes[-1]:
        with main_database.write() as tx:
            sizes.append(prune(tx, 11, 1000))
    assert sizes == [3, 2, 2, 2, 1, 1, 0]


def test_something_else_that_has_a_hash_is_no_list() -> None:
    record = b'{"additionalEventData":{"a":{"sha256":"0"},"b":{"count":"1","sha256":"0"},"c":"sha256","d":{"count":1,"sha256":"0"}}}'
    assert list(disclosures.claims(record)) == ["d"]
    assert disclosures.claims(b'{"requestParameters":{"sha256":"0"}}') == {}
