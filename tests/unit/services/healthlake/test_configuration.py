"""What a data store can be set to: what is off is taken, what would promise more is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from opentrail.contract import operation
from opentrail.kernel.errors import ServiceError
from opentrail.services.healthlake.configuration import CHECKS, checked, merged, shown


def input(**members: Any) -> Any:
    return operation("healthlake", "UpdateFHIRDatastore").from_value({"DatastoreId": "0" * 32, **members})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("NlpConfiguration", {"Status": "DISABLED"}),
        ("BackupConfiguration", {"Status": "DISABLED"}),
        ("ProfileConfiguration", {"DefaultProfiles": []}),
    ],
)
def test_what_is_taken_is_shown(member: str, value: dict[str, Any]) -> None:
    found = checked(input(**{member: value}), ())
    assert found == {member: value}
    told = shown({"DatastoreTypeVersion": "R4", **found})
    assert told.pop("SseConfiguration") == {"KmsEncryptionConfig": {"CmkType": "AWS_OWNED_KMS_KEY"}}
    assert told == ({"BackupStatusInfo": {"Configuration": value}} if member == "BackupConfiguration" else {member: value})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("IdentityProviderConfiguration", {"AuthorizationStrategy": "SMART_ON_FHIR"}),
        ("IdentityProviderConfiguration", {"AuthorizationStrategy": "AWS_AUTH", "FineGrainedAuthorizationEnabled": True}),
        ("AnalyticsConfiguration", {"Status": "PAUSED"}),
        ("NlpConfiguration", {}),
        ("BackupConfiguration", {"Status": "ENABLED"}),
        ("ProfileConfiguration", {"DefaultProfiles": ["us-core"]}),
    ],
)
def test_what_is_not_done_is_refused_by_name(member: str, value: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as refused:
        checked(input(**{member: value}), ())
    assert refused.value.code == "ValidationException"
    assert refused.value.for_record().startswith(member + ": ")


def test_nothing_given_is_nothing_set() -> None:
    assert checked(input(), ()) == {}
    known = {name for name in input().__struct_fields__ if name.endswith("Configuration")}
    assert known == {*CHECKS, "IdentityProviderConfiguration"}


def test_going_back_to_iam_takes_the_identity_provider_away() -> None:
    change = checked(input(IdentityProviderConfiguration={"AuthorizationStrategy": "AWS_AUTH"}), ())
    assert change == {"IdentityProviderConfiguration": None}
    assert merged({"DatastoreTypeVersion": "R4", "IdentityProviderConfiguration": {}}, change) == {"DatastoreTypeVersion": "R4"}
