"""Segments: what is built, merged and stored is what was put in."""

from __future__ import annotations

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.journal.read import Entry
from opentrail.services.cloudtrail.history import build as module
from opentrail.services.cloudtrail.history import segments
from opentrail.services.cloudtrail.history.build import build, merge
from opentrail.services.cloudtrail.history.facts import facts
from opentrail.services.cloudtrail.history.segments import Stored
from opentrail.services.cloudtrail.history.terms import terms

ACCOUNT, REGION = "123456789012", "us-east-1"


def entries(count: int, seed: int = 1, data: float = 0.1) -> list[Entry]:
    """Entries of few users and many ids, times nearly in order, some of them data events."""
    drawn = random.Random(seed)
    found = []
    for position in range(100, 100 + count):
        record = {
            "eventID": f"event-{position}",
            "eventName": f"Operation{int(drawn.expovariate(0.3))}",
            "eventSource": "s3.amazonaws.com",
            "readOnly": drawn.random() < 0.5,
            "userIdentity": {"type": "IAMUser", "userName": f"user{int(drawn.expovariate(0.1))}"},
            "resources": [{"ARN": f"arn:aws:s3:::bucket{drawn.randrange(5)}"}] * drawn.randrange(3),
        }
        time = 1_790_000_000 + position // 7 + drawn.randrange(-3, 3)
        found.append(Entry(position, time, ACCOUNT, REGION, int(drawn.random() < data), msgspec.json.encode(record)))
    return found


def built(some: list[Entry]) -> Stored:
    segment = build(some, {})
    assert segment is not None
    return segment


def contents(segment: Stored) -> dict[int, list[tuple[int, int]]]:
    """Every term with the (time, position) of its records, newest first, read as a search reads them."""
    rows = dict(segment.rows)
    places = [segments.unpacked(rows[segments.places_key(n)])[n % segments.CHUNK] for n in range(segment.size)]
    keyed = {key - segments.BUCKETS for key in rows if key >= segments.BUCKETS}
    listed = {entry >> 16 for key, row in rows.items() if 0 <= key < segments.BUCKETS for entry in segments.unpacked(row)}
    found = {}
    for term in keyed | listed:
        bucket, bitmap = segments.keys(term)
        numbers = segments.common([rows[bitmap] if term in keyed else segments.listed(term, rows[bucket])])
        where = [places[number] for number in segments.descending(numbers, 0, segment.size)]
        found[term] = [(segments.time_of(segment.oldest, at), segments.position_of(segment.first, at)) for at in where]
    return found


def expected(some: list[Entry]) -> dict[int, list[tuple[int, int]]]:
    """The same from the entries."""
    found: dict[int, list[tuple[int, int]]] = {}
    for entry in sorted(some, key=lambda entry: (entry.time, entry.position), reverse=True):
        if entry.category == 0:
            for term in set(terms(entry.account, entry.region, facts(entry.record))):
                found.setdefault(term, []).append((entry.time, entry.position))
    return found


@pytest.mark.parametrize("count", [2, 50, 2_000])
def test_a_segment_holds_every_term_of_every_record_newest_first(count: int) -> None:
    some = entries(count)
    segment = built(some)
    assert contents(segment) == expected(some)
    times = [entry.time for entry in some if entry.category == 0]
    assert (segment.oldest, segment.newest, segment.size) == (min(times), max(times), len(times))
    assert [key for key, _ in segment.rows] == sorted(key for key, _ in segment.rows)


def test_frequent_terms_are_bitmaps_and_others_are_not() -> None:
    segment = built(entries(2_000))
    frequent = {term for term, places in contents(segment).items() if len(places) > segments.SPARSE}
    assert {key - segments.BUCKETS for key, _ in segment.rows if key >= segments.BUCKETS} == frequent
    assert len(frequent) > 5


def test_data_events_alone_make_no_segment() -> None:
    assert build(entries(5, data=1.0), {}) is None


@given(cuts=st.lists(st.integers(1, 199), min_size=1, max_size=6, unique=True), seed=st.integers(0, 99), sparse=st.sampled_from((4, 256)))
@settings(max_examples=40, deadline=None)
def test_merged_segments_are_the_segment_built_at_once(cuts: list[int], seed: int, sparse: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SPARSE", sparse)
        some = entries(200, seed, data=0.0)
        edges = [0, *sorted(cuts), 200]
        parts = [built(some[low:high]) for low, high in pairwise(edges)]
        assert merge(parts) == built(some)
