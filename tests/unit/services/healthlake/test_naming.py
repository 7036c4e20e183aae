"""Lists in records: counted, cut to their room, and hashed when cut."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.naming import LIST_BYTES, listed


def test_a_short_list_is_whole() -> None:
    assert listed(["Patient/1", "Patient/2"]) == {"count": 2, "items": ["Patient/1", "Patient/2"]}
    assert listed([]) == {"count": 0, "items": []}


@given(st.lists(st.from_regex(r"[A-Z][a-z]{3,20}/[A-Za-z0-9.\-]{1,64}", fullmatch=True), max_size=400))
def test_a_list_has_its_start_and_the_hash_of_all(items: list[str]) -> None:
    found = listed(iter(items))
    kept = found["items"]
    assert isinstance(kept, list)
    assert (found["count"], kept) == (len(items), items[: len(kept)])
    assert len(json.dumps(kept, separators=(",", ":"))) <= LIST_BYTES + 2
    whole = hashlib.sha256("".join(f"{one}\n" for one in items).encode()).hexdigest()
    assert found.get("sha256") == (whole if len(kept) < len(items) else None)


def test_a_long_list_is_cut() -> None:
    assert len(listed(["Patient/" + "x" * 64] * 400)["items"]) == LIST_BYTES // 75  # type: ignore[arg-type]
