"""Wrong signatures with a known key: recorded, but not without end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from opentrail.gateway.strangers import RATE, Strangers


def call(key: str = "AKIA", peer: str = "10.0.0.1") -> Any:
    return SimpleNamespace(caller=SimpleNamespace(access_key=key), request=SimpleNamespace(peer=peer), facts={})


def test_ten_a_second_and_the_next_record_tells_of_the_rest() -> None:
    strangers = Strangers()
    assert [strangers.records(call(), 1.0 + n / 100) for n in range(RATE + 5)] == [True] * RATE + [False] * 5
    later = call()
    assert strangers.records(later, 2.0)
    assert later.facts == {"suppressedFailures": 5}
    again = call()
    assert strangers.records(again, 2.1)
    assert again.facts == {}


def test_keys_and_sources_count_apart() -> None:
    strangers = Strangers()
    for _ in range(RATE + 1):
        strangers.records(call(), 1.0)
    assert not strangers.records(call(), 1.5)
    assert strangers.records(call(peer="10.0.0.2"), 1.5)
    assert strangers.records(call(key="AKIB"), 1.5)
