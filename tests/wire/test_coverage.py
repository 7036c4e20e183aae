"""What is offered is proven, and the committed table says so."""

from __future__ import annotations

from tools import coverage

from opentrail.app import SERVICES


def test_every_offered_operation_has_a_wire_test() -> None:
    claimed = coverage.claims()
    offered = {(service.name, name) for service in SERVICES for name in service.operations}
    assert offered - {(service, name) for service, names in claimed.items() for name in names} == set()


def test_no_test_claims_what_is_not_offered() -> None:
    offered = {service.name: set(service.operations) for service in SERVICES}
    assert {service: names - offered[service] for service, names in coverage.claims().items() if names - offered[service]} == {}


def test_the_committed_table_is_the_generated_one() -> None:
    assert coverage.PAGE.read_text("utf-8") == coverage.page(), "run: python -m tools.coverage"
