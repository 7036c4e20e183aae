"""LookupEvents: what a naive filter over all records gives, however far the index has come."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.journal import read as journal
from opentrail.journal.append import Fresh
from opentrail.journal.read import Entry
from opentrail.kernel.settings import Settings
from opentrail.services.cloudtrail import lookup
from opentrail.services.cloudtrail.history import index, merging, store
from opentrail.services.cloudtrail.history.facts import facts
from opentrail.services.cloudtrail.history.segments import FULL, HEAVY
from opentrail.services.cloudtrail.history.terms import matches
from opentrail.services.cloudtrail.lookup import lookup_events
from tests.unit.services.cloudtrail.world import ACCOUNT, NOW, PATIENTS, REGION, Input, World, error_of, fresh

DAY = 86400
NAMES, USERS = ("CreateTrail", "LookupEvents", "ReadResource"), ("alice", "bob", "")
ARNS = (
    "arn:aws:cloudtrail:us-east-1:123456789012:trail/audit",
    "arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/0a1b/r4/Patient/7",
    "arn:aws:s3:::bucket",
)
ASKED = (
    ("EventName", "ReadResource"),
    ("EventName", "CreateTrail"),
    ("Username", "alice"),
    ("ReadOnly", "true"),
    ("ReadOnly", "false"),
    ("ResourceName", "audit"),
    ("ResourceName", "Patient/7"),
    ("ResourceName", ARNS[2]),
    ("ResourceType", "AWS::S3::Bucket"),
    ("EventSource", "s3.amazonaws.com"),
    ("AccessKeyId", "AKIA2"),
    ("EventId", "event-3"),
    ("Username", "nobody"),
    ("ResourceName", f"{PATIENTS}/p3"),
    ("ResourceName", "Patient/p5"),
    ("ResourceName", "p7"),
)


def some(seed: int, count: int, start: int = 0, own: str = ACCOUNT) -> list[Fresh]:
    """Records of mixed kinds; times nearly, not quite, in order."""
    drawn = random.Random(seed)
    return [
        fresh(
            start + number,
            int(NOW) - 5000 + (start + number) // 3 + drawn.choice((0, 0, 0, -2, 1)),
            name=drawn.choice(NAMES),
            user=drawn.choice(USERS),
            source=drawn.choice(("s3.amazonaws.com", "cloudtrail.amazonaws.com")),
            read_only=drawn.random() < 0.5,
            key=drawn.choice(("AKIA1", "AKIA2")),
            resources=tuple(("AWS::S3::Bucket" if arn == ARNS[2] else "", arn) for arn in ARNS if drawn.random() < 0.4),
            account=drawn.choice((own, own, own, "210987654321")),
            region=drawn.choice((REGION, REGION, REGION, "eu-west-1")),
            category=int(drawn.random() < 0.2),
            patients=tuple(f"p{drawn.randrange(12)}" for _ in range(drawn.choice((0, 0, 1, 6)))),
        )
        for number in range(count)
    ]


def expected(
    entries: list[Entry], pairs: tuple[tuple[str, str], ...], low: float = 0, high: float = 2**40, own: str = ACCOUNT
) -> list[str]:
    """Event ids by the plainest filter there is."""
    wanted = [
        entry
        for entry in entries
        if entry.category == 0
        and (entry.account, entry.region) == (own, REGION)
        and low <= entry.time <= high
        and matches(facts(entry.record), pairs, listing(entry.record))
    ]
    return [facts(e.record).eventID for e in sorted(wanted, key=lambda e: (e.time, e.position), reverse=True)]


def listing(record: bytes) -> Callable[[str], bool]:
    """Whether the record's own list, which is whole in these tests, names a resource."""
    listed = json.loads(record).get("additionalEventData", {}).get("patients", {}).get("items", [])
    return lambda value: value in {name for item in listed for name in (f"{PATIENTS}/{item}", f"Patient/{item}", item)}


def attributes(pairs: tuple[tuple[str, str], ...]) -> list[Input]:
    return [Input(AttributeKey=key, AttributeValue=value) for key, value in pairs]


def paged(world: World, pairs: tuple[tuple[str, str], ...], between: Any = None, **members: Any) -> list[str]:
    """Event ids of all pages; `between` is done after each page."""
    found: list[str] = []
    token = None
    while True:
        output = world.read(lookup_events, LookupAttributes=attributes(pairs), NextToken=token, **members)
        assert len(output["Events"]) <= (members.get("MaxResults") or 50)
        found += [event["EventId"] for event in output["Events"]]
        token = output.get("NextToken")
        if token is None:
            return found
        if between:
            between()


@pytest.fixture
def small_piles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merges after every other batch, and segments that are soon full."""
    monkeypatch.setattr(merging, "PILE", 2)
    monkeypatch.setattr(merging, "FULL", 200)


@pytest.mark.usefixtures("small_piles")
def test_any_split_of_index_and_tail_gives_what_a_filter_gives(world: World) -> None:
    world.record(*some(1, 300))
    entries = world.entries()
    drawn = random.Random(2)
    done = 0
    for cut in (0, 1, 40, 41, 280, 300):
        while done < cut:
            step = min(cut - done, drawn.randint(1, 40))
            world.follow(entries[done : done + step])
            while drawn.random() < 0.7 and world.merge():
                pass
            done += step
        for pairs in [(), *((one,) for one in drawn.sample(ASKED, 3)), *(tuple(sorted(drawn.sample(ASKED, 2))) for _ in range(3))]:
            assert paged(world, pairs) == expected(entries, pairs), (cut, pairs)


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 80),
    cuts=st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=8),
    pairs=st.lists(st.sampled_from(ASKED), max_size=3, unique=True),
    limit=st.integers(1, 50),
    span=st.none() | st.tuples(st.integers(-5010, -4970), st.integers(0, 40)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("small_piles")
def test_lookup_equals_a_naive_filter(
    sqlite_world: World,
    seed: int,
    count: int,
    cuts: list[tuple[int, bool]],
    pairs: list[tuple[str, str]],
    limit: int,
    span: tuple[int, int] | None,
) -> None:
    with sqlite_world.main.read() as snapshot:
        done = journal.head(snapshot).position
    own = f"{done:012d}"  # what other examples have left in the world is another account's
    sqlite_world.record(*some(seed, count, done, own))
    entries = sqlite_world.entries(done)
    for step, merges in cuts:
        sqlite_world.follow(entries[:step])
        entries = entries[step:]
        while merges and sqlite_world.merge():
            pass
    low, high = (NOW + span[0], NOW + span[0] + span[1]) if span else (None, None)
    asked = tuple(sorted(pairs))
    found = paged(sqlite_world, asked, MaxResults=limit, StartTime=low, EndTime=high, account=own)
    assert found == expected(sqlite_world.entries(done), asked, low or 0, high or 2**40, own)
    sqlite_world.follow(entries)


def test_paging_neither_skips_nor_repeats_while_records_arrive_and_the_index_moves(world: World) -> None:
    world.record(*some(3, 200))
    wanted = expected(world.entries(), ())
    moved = [0]

    def meanwhile() -> None:
        world.record(*some(4, 7, 1000 + moved[0]))
        moved[0] += 7
        entries = world.entries()
        world.follow(entries[: 30 * moved[0] // 7])

    assert paged(world, (), meanwhile, MaxResults=9) == wanted
    assert moved[0] > 50


def test_an_answer_shows_the_record_and_what_stands_out_of_it(world: World) -> None:
    world.record(fresh(1, int(NOW) - 10, read_only=True, resources=(("AWS::S3::Bucket", "arn:aws:s3:::bucket"),)))
    (entry,) = world.entries()
    assert world.read(lookup_events)["Events"] == [
        {
            "EventId": "event-1",
            "EventName": "CreateTrail",
            "ReadOnly": "true",
            "AccessKeyId": "AKIA1",
            "EventTime": int(NOW) - 10,
            "EventSource": "cloudtrail.amazonaws.com",
            "Username": "alice",
            "Resources": [{"ResourceType": "AWS::S3::Bucket", "ResourceName": "arn:aws:s3:::bucket"}],
            "CloudTrailEvent": entry.record.decode(),
        }
    ]


def test_history_reaches_back_ninety_days(world: World) -> None:
    world.record(fresh(1, int(NOW) - 91 * DAY), fresh(2, int(NOW) - 89 * DAY))
    assert [event["EventId"] for event in world.read(lookup_events)["Events"]] == ["event-2"]
    world.follow(world.entries())
    assert [event["EventId"] for event in world.read(lookup_events)["Events"]] == ["event-2"]


def test_while_the_index_is_far_behind_a_call_is_throttled_not_answered_in_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "TAIL", 10)
    world.record(*some(5, 11))
    assert error_of(lambda: world.read(lookup_events))[0] == "ThrottlingException"
    world.follow(world.entries()[:1])
    assert paged(world, ()) == expected(world.entries(), ())


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"LookupAttributes": attributes((("ReadOnly", "True"),))}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": attributes((("Colour", "red"),))}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": attributes((("EventName", ""),))}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": attributes((("EventName", "x" * 2001),))}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": attributes(tuple(("ResourceName", str(i)) for i in range(9)))}, "InvalidLookupAttributesException"),
        ({"StartTime": NOW + 1}, "InvalidTimeRangeException"),
        ({"StartTime": NOW - 10, "EndTime": NOW - 11}, "InvalidTimeRangeException"),
        ({"MaxResults": 0}, "InvalidMaxResultsException"),
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"NextToken": "abc"}, "InvalidNextTokenException"),
        ({"EventCategory": "insight"}, "UnsupportedOperationException"),
        ({"EventCategory": "other"}, "InvalidEventCategoryException"),
    ],
)
def test_bad_input_is_refused_by_name(sqlite_world: World, members: dict[str, Any], code: str) -> None:
    assert error_of(lambda: sqlite_world.read(lookup_events, **members))[0] == code


def test_a_token_holds_for_its_question_account_and_region_only(sqlite_world: World) -> None:
    sqlite_world.record(*(fresh(i, int(NOW) - 10) for i in range(3)))
    token = sqlite_world.read(lookup_events, MaxResults=1)["NextToken"]
    assert len(sqlite_world.read(lookup_events, NextToken=token)["Events"]) == 2
    for other in (
        lambda: sqlite_world.read(lookup_events, NextToken=token, StartTime=NOW - 100),
        lambda: sqlite_world.read(lookup_events, NextToken=token, region="eu-west-1"),
        lambda: sqlite_world.read(lookup_events, NextToken=token, account="210987654321"),
        lambda: sqlite_world.read(lookup_events, NextToken=token, LookupAttributes=attributes((("ReadOnly", "true"),))),
    ):
        assert error_of(other)[0] == "InvalidNextTokenException"


def hashing(world: World) -> None:
    """From now on ids are hashed in records, and in what is asked for."""
    world.tools = replace(world.tools, settings=Settings(hash_resource_ids=True))


@pytest.mark.parametrize("indexed", [0, 3, 6])
def test_plain_ids_find_records_with_hashed_and_with_plain_ids(world: World, indexed: int) -> None:
    hashed = world.sealer.pseudonym("p1")
    world.record(
        fresh(0, int(NOW) - 6, resources=(("", f"{PATIENTS}/p1"),)),
        fresh(1, int(NOW) - 5, resources=(("", f"{PATIENTS}/{hashed}"),)),
        fresh(2, int(NOW) - 4, patients=(hashed,)),
        fresh(3, int(NOW) - 3, patients=("p1", hashed), resources=(("", f"{PATIENTS}/p1"),)),
        fresh(4, int(NOW) - 2, patients=("p2",), resources=(("", f"{PATIENTS}/p2"),)),
        fresh(5, int(NOW) - 1, patients=("p1",)),
    )
    world.follow(world.entries()[:indexed])
    plain = ["event-5", "event-3", "event-0"]
    for name in (f"{PATIENTS}/p1", "Patient/p1", "p1"):
        assert paged(world, (("ResourceName", name),)) == plain
    hashing(world)
    for name in (f"{PATIENTS}/p1", "Patient/p1", "p1"):
        assert paged(world, (("ResourceName", name),), MaxResults=2) == ["event-5", "event-3", "event-2", "event-1", "event-0"]
        assert paged(world, (("ResourceName", name), ("ReadOnly", "true"))) == []
    four = tuple(("ResourceName", f"Patient/{number}") for number in range(4))
    assert error_of(lambda: paged(world, four))[0] == "InvalidLookupAttributesException"


def test_a_list_of_many_is_indexed_whole_in_batches_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_NAMES", 1_000)
    long = [tuple(f"{stem}{number}" for number in range(900)) for stem in "abc"]
    world.record(
        *(fresh(number, int(NOW) - 10 + number, patients=patients) for number, patients in enumerate(long)), fresh(3, int(NOW) - 1)
    )
    entries = world.entries()
    with world.main.read() as snapshot:
        assert [index.gather(snapshot, entries[start:])[0] for start in range(4)] == [1, 1, 2, 1]
    world.follow(entries)
    with world.history.read() as view:
        assert len(store.weights(view, FULL)) == 3
    for number, patients in enumerate(long):
        for one in (patients[0], patients[499], patients[500], patients[-1]):
            assert paged(world, (("ResourceName", f"{PATIENTS}/{one}"),)) == [f"event-{number}"]


def test_segments_with_many_entries_weigh_more(world: World) -> None:
    world.record(fresh(0, int(NOW), patients=tuple(f"p{number}" for number in range(10_000))))
    world.follow(world.entries())
    with world.history.read() as view:
        ((_, weight),) = store.weights(view, FULL)
        assert 30_000 // HEAVY <= weight <= 30_100 // HEAVY
        assert store.load(view, 1).size == 1
