"""Reading rows of segments: intersections of lists and bitmaps, and their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.cloudtrail.history.segments import common, descending

NUMBERS = st.sets(st.integers(0, 200), min_size=1)


def bitmap(numbers: set[int]) -> bytes:
    return sum(1 << number for number in numbers).to_bytes(max(numbers) // 8 + 1, "little")


@given(st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=4), st.integers(0, 200), st.integers(0, 201))
def test_what_all_have_comes_from_the_greatest_down(found: list[tuple[set[int], bool]], start: int, end: int) -> None:
    shared = common([bitmap(numbers) if packed else sorted(numbers) for numbers, packed in found])
    wanted = sorted(set.intersection(*(numbers for numbers, _ in found)), reverse=True)
    assert list(descending(shared, 0, 201)) == wanted
    assert bool(shared) == bool(wanted)
    assert list(descending(shared, start, end)) == [number for number in wanted if start <= number < end]
