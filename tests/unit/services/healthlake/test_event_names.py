"""Records of FHIR interactions are called as the IAM actions are, which is what policies and auditors know."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from opentrail.calls.fhir import FhirInput
from opentrail.services.healthlake.audit import FHIR_OPERATIONS
from opentrail.services.healthlake.datastores import TYPE
from opentrail.services.healthlake.service import SERVICE, SHOWS, with_data_events

ACTIONS = {
    *("CreateResource", "ReadResource", "VersionReadResource", "UpdateResource", "PatchResource", "DeleteResource", "SearchWithGet"),
    *("SearchWithPost", "SearchEverything", "GetHistoryByResourceId", "GetHistoryByResourceType", "GetFullHistory", "ProcessBundle"),
    *("GetCapabilities", "ValidateResource", "ExpandValueSetWithGet", "ExpandValueSetWithPost", "LookupCodeSystemWithGet"),
    *(
        "LookupCodeSystemWithPost",
        "TranslateConceptMapWithGet",
        "TranslateConceptMapWithPost",
        "StartFHIRExportJobWithGet",
        "GetExportedFile",
    ),
    *("StartFHIRExportJobWithPost", "DescribeFHIRExportJobWithGet", "CancelFHIRExportJobWithDelete"),
}
"""HealthLake's actions of the service authorization reference, as far as their requests are known here."""
OWN = {"GetSmartConfiguration", "DescribeTransaction", "FHIROperation"}
"""Requests for which HealthLake has no action: discovery, the poll of an asynchronous transaction, other $operations."""


def test_every_interaction_is_recorded_under_its_action() -> None:
    assert set(FHIR_OPERATIONS) == ACTIONS | OWN
    offered = {name: one for name, one in SERVICE.operations.items() if name in ACTIONS}
    assert len(offered) > 15
    assert {one.event_name or one.name for one in offered.values()} == set(offered)


BY_BODY = {"ProcessBundle", "StartFHIRExportJobWithPost"}
"""Their rights depend on what is sent: see test_rights."""


@pytest.mark.parametrize("name", sorted(ACTIONS & set(SERVICE.operations) - BY_BODY))
def test_the_right_to_an_interaction_is_its_action_on_the_data_store(name: str) -> None:
    call = SimpleNamespace(region="us-east-1", account="123456789012")
    right = SERVICE.operations[name].rights(call, FhirInput(datastoreId="ab"))[0]  # type: ignore[arg-type]
    assert (right.action, right.resource) == (f"healthlake:{name}", "arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/ab")


def test_what_shows_resources_becomes_data_events_and_nothing_else() -> None:
    of_data = with_data_events(SERVICE)
    assert {name for name, one in of_data.operations.items() if one.data_type == TYPE} == SHOWS
    assert not any(one.data_type for one in SERVICE.operations.values())
    assert all(SERVICE.operations[name].read_only for name in SHOWS)
