"""A bundle holds the lane no longer than it may: each entry looks at the clock before it acts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from opentrail.calls.fhir import FhirInput
from opentrail.services.healthlake import bundle_entries, bundle_plans, bundles
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.writing import Done, Want

ENTRIES = 4


class Clock:
    """Every look at it takes two seconds."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        self.time += 2.0
        return self.time


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that entries asked for, in turn, without a database."""
    found: list[str] = []

    def carry_out(_tx: object, _call: object, _store: object, want: Want) -> Done:
        found.append(want.id)
        return Done(204, "Patient", want.id, 1, 0, None)

    monkeypatch.setattr(bundles, "carry_out", carry_out)
    monkeypatch.setattr(bundles.requests, "active", lambda *_: None)
    monkeypatch.setattr(bundle_entries, "tell", lambda *_: None)
    return found


def plan(kind: str) -> tuple[Any, bundle_plans.Plan]:
    rows = [{"request": {"method": "DELETE", "url": f"Patient/{n}"}} for n in range(ENTRIES)]
    body = msgspec.json.encode({"resourceType": "Bundle", "type": kind, "entry": rows})
    read = bundle_entries.taken_apart(FhirInput(datastoreId="d", body=body))
    conditions = bundle_plans.Conditions("", 0)
    wants = {entry.place: Want("delete", entry.type, entry.id) for entry in read.entries}
    call = SimpleNamespace(tools=SimpleNamespace(clock=Clock()), id="c")
    return call, bundle_plans.Plan("d", read, {}, {}, {}, conditions, "strict", None, "", wants=wants)  # type: ignore[arg-type]


def test_the_rest_of_a_batch_is_refused_when_its_time_is_over(acted: list[str]) -> None:
    call, wanted = plan("batch")
    _, results = bundles.process(None, call, wanted)  # type: ignore[arg-type]
    assert acted == ["0", "1"]
    assert [one.line[2] for one in results] == [204, 204, 422, 422]
    outcome = results[3].entry["response"]["outcome"]["issue"][0]
    assert (outcome["code"], outcome["diagnostics"]) == (
        "too-costly",
        "The entries before took 5.0 seconds, which is all that a bundle may take.",
    )


def test_a_transaction_is_refused_whole_when_its_time_is_over(acted: list[str]) -> None:
    call, wanted = plan("transaction")
    with pytest.raises(FhirError) as refused:
        bundles.process(None, call, wanted)  # type: ignore[arg-type]
    assert refused.value.status == 422
    assert refused.value.issues[0].location == "/Bundle/entry[2]"
    assert acted == ["0", "1"]
