"""What is offered is proven, and the committed table says so; and the proof itself notices what is taken away."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tools import coverage

from opentrail.app import SERVICES
from tests.wire.conftest import Live, judged
from tests.wire.story import Story


def test_every_offered_operation_has_a_wire_test() -> None:
    claimed = coverage.claims()
    offered = {(service.name, name) for service in SERVICES for name in service.operations}
    assert offered - {(service, name) for service, names in claimed.items() for name in names} == set()


def test_no_test_claims_what_is_not_offered() -> None:
    offered = {service.name: set(service.operations) for service in SERVICES}
    assert {service: names - offered[service] for service, names in coverage.claims().items() if names - offered[service]} == {}


def test_the_committed_table_is_the_generated_one() -> None:
    assert coverage.PAGE.read_text("utf-8") == coverage.page(), "run: python -m tools.coverage"


def test_a_wire_test_that_is_taken_away_takes_its_operation_off_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(__file__).parent, tmp_path / "wire")
    file = tmp_path / "wire" / "test_cloudtrail.py"
    text = file.read_text("utf-8")
    assert '@covers("cloudtrail", "ListPublicKeys")\n' in text
    file.write_text(text.replace('@covers("cloudtrail", "ListPublicKeys")\n', ""), "utf-8")
    left = coverage.claims(tmp_path / "wire")
    assert coverage.claims()["cloudtrail"] - left["cloudtrail"] == {"ListPublicKeys"}
    monkeypatch.setattr(coverage, "claims", lambda: left)
    assert coverage.page() != coverage.PAGE.read_text("utf-8")
    part = coverage.page().partition("## cloudtrail\n")[2].partition("\n## ")[0]
    offered, _, rest = part.partition("Known, not offered:")
    assert "`ListPublicKeys`" not in offered
    assert "`ListPublicKeys`" in rest


def test_a_claim_fails_without_a_compared_record(live: Live) -> None:
    """An answer alone proves nothing, nor does a record that is not as expected, nor a refused call."""
    story = Story(live)
    story.client("sts").get_caller_identity()
    with pytest.raises(AssertionError, match="claimed and not proven"):
        claimed(story, "GetCallerIdentity")
    with pytest.raises(AssertionError):
        story.call("sts", "GetCallerIdentity", request={"another": "parameter"})
    with pytest.raises(AssertionError, match="claimed and not proven"):
        claimed(story, "GetCallerIdentity")
    story.call(
        "sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/none", "RoleSessionName": "s1"}, request=None, error="AccessDenied"
    )
    with pytest.raises(AssertionError, match="claimed and not proven"):
        claimed(story, "AssumeRole")
    story.call("sts", "GetCallerIdentity")
    claimed(story, "GetCallerIdentity")


def claimed(story: Story, *names: str) -> None:
    """What happens after a test of this story that claims operations of STS."""
    marks: Sequence[Any] = [SimpleNamespace(args=("sts", *names))]
    item: Any = SimpleNamespace(iter_markers=lambda name: marks if name == "covers" else [], funcargs={"story": story})
    judged(item)
