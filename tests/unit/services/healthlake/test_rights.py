"""Who may do which FHIR interaction: the IAM action of each, and what a bearer token allows of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from opentrail.calls.fhir import FhirInput
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal
from opentrail.services.healthlake import interactions
from opentrail.services.healthlake.audit import FHIR_OPERATIONS
from opentrail.services.healthlake.engine.bundle import parse_bundle
from opentrail.services.healthlake.engine.smart.reach import Grant
from opentrail.services.healthlake.engine.smart.scopes import parse
from opentrail.services.healthlake.service import OPERATIONS, SERVICE

STORE = "d" * 32
ARN = f"arn:aws:healthlake:eu-west-2:123456789012:datastore/fhir/{STORE}"
OFFERED = [name for name in FHIR_OPERATIONS if name in SERVICE.operations]
PUBLIC = "GetSmartConfiguration"
ALWAYS = ("GetCapabilities", PUBLIC)


def call(name: str, grant: Grant | None = None) -> Any:
    caller = Principal("IAMUser", "123456789012")
    return SimpleNamespace(region="eu-west-2", account="123456789012", grant=grant, caller=caller, target=SimpleNamespace(name=name))


def asked(**more: Any) -> FhirInput:
    return FhirInput(datastoreId=STORE, **more)


BODIES: dict[str, Any] = {
    "ProcessBundle": {"resourceType": "Bundle", "type": "batch"},
    "StartFHIRExportJobWithPost": {
        "DataAccessRoleArn": "arn:aws:iam::123456789012:role/bulk",
        "OutputDataConfig": {"S3Configuration": {"S3Uri": "s3://bucket/out", "KmsKeyId": "arn:aws:kms:eu-west-2:123456789012:key/k"}},
    },
}


@pytest.mark.parametrize("name", OFFERED)
def test_an_interaction_needs_the_action_of_its_name_on_the_data_store(name: str) -> None:
    body = msgspec.json.encode(BODIES.get(name, {}))
    found = SERVICE.operations[name].rights(call(name), asked(resourceType="Patient", body=body))
    action = {"DescribeTransaction": "ProcessBundle"}.get(name, name)
    wanted = [] if name == PUBLIC else [(f"healthlake:{action}", ARN)]
    assert [(one.action, one.resource) for one in found if one.action != "iam:PassRole"] == wanted


def test_a_bundle_needs_the_actions_of_its_entries_too() -> None:
    entries = [("GET", "Patient/1"), ("GET", "Patient?name=x"), ("GET", "Patient/1/_history/1"), ("POST", "Patient"), ("PUT", "Patient/1"),
               ("PATCH", "Patient/1"), ("DELETE", "Patient/1"), ("POST", "Patient/_search")]  # fmt: skip
    patient = {"resourceType": "Patient", "id": "1"}
    rows = [{"request": {"method": method, "url": url}, "resource": patient} for method, url in entries]
    body = msgspec.json.encode({"resourceType": "Bundle", "type": "batch", "entry": rows})
    found = SERVICE.operations["ProcessBundle"].rights(call("ProcessBundle"), asked(body=body))
    wanted = ["ProcessBundle", "ReadResource", "SearchWithGet", "VersionReadResource", "CreateResource", "UpdateResource", "PatchResource",
              "DeleteResource", "SearchWithPost"]  # fmt: skip
    assert [(one.action, one.resource) for one in found] == [(f"healthlake:{name}", ARN) for name in wanted]


def test_a_conditional_create_shows_what_it_finds_and_needs_the_right_to_read() -> None:
    found = SERVICE.operations["CreateResource"].rights(call("CreateResource"), asked(resourceType="Patient", if_none_exist="_id=1"))
    assert [one.action for one in found] == ["healthlake:CreateResource", "healthlake:ReadResource"]
    entry = {"request": {"method": "POST", "url": "Patient", "ifNoneExist": "_id=1"}, "resource": {"resourceType": "Patient"}}
    body = msgspec.json.encode({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    found = SERVICE.operations["ProcessBundle"].rights(call("ProcessBundle"), asked(body=body))
    assert [one.action for one in found] == ["healthlake:ProcessBundle", "healthlake:CreateResource", "healthlake:ReadResource"]


def test_every_operation_but_the_public_one_needs_a_right() -> None:
    assert [one.name for one in OPERATIONS if one.public] == [PUBLIC]
    assert all(one.read_only for one in OPERATIONS if one.public)


def grant(text: str) -> Grant:
    return Grant(parse(text, True, True), "p1")


def allowed(name: str, scopes: str, **more: Any) -> bool:
    given = {"resourceType": "Patient", "resourceId": "p1", **more}
    answered = (200, "")
    try:
        interactions.allow(call(name, grant(scopes)), asked(**given))
    except ServiceError as refused:
        answered = (refused.status, refused.code)
    assert answered in ((200, ""), (403, "AccessDeniedException"))
    return answered[0] == 200


@pytest.mark.parametrize("name", FHIR_OPERATIONS)
def test_without_scopes_nothing_is_allowed_but_what_describes_the_data_store(name: str) -> None:
    assert allowed(name, "openid launch/patient") is (name in ALWAYS)


@pytest.mark.parametrize("name", FHIR_OPERATIONS)
def test_what_is_not_offered_to_tokens_is_refused_to_all(name: str) -> None:
    listed = {*ALWAYS, *interactions.ON_ONE, *interactions.SEARCHES, *interactions.EXPORTS, "ProcessBundle", "GetHistoryByResourceType", "GetFullHistory",
              "SearchEverything", "ValidateResource"}  # fmt: skip
    listed |= {verb + end for verb in interactions.TERMS for end in ("WithGet", "WithPost")}
    one = {} if name != "ProcessBundle" else {"resourceId": None}
    assert allowed(name, "system/*.*", **one) is (name in listed)


@pytest.mark.parametrize("name", [*interactions.ON_ONE, *interactions.SEARCHES])
def test_one_patients_token_is_allowed_single_resources_and_searches_of_a_type(name: str) -> None:
    assert allowed(name, "patient/*.*")
    assert not allowed(name, "patient/*.*", resourceType="Practitioner")
    assert not allowed(name, "patient/Observation.*")
    assert allowed(name, "patient/*.*", compartmentType="Patient")
    assert not allowed(name, "patient/Observation.*", compartmentType="Patient")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("CreateResource", {"if_none_exist": "identifier=x"}),
        ("UpdateResource", {"resourceId": None}),
        ("PatchResource", {"resourceId": None}),
        ("DeleteResource", {"resourceId": None}),
        ("SearchWithGet", {"resourceType": None}),
        ("SearchWithPost", {"resourceType": None}),
        ("SearchWithGet", {"compartmentType": "Patient", "resourceType": None}),
        ("GetHistoryByResourceType", {}),
        ("GetFullHistory", {"resourceType": None}),
        *((name, {"resourceType": None}) for name in interactions.EXPORTS),
    ],
)
def test_what_looks_at_everything_needs_a_scope_that_reaches_everything(name: str, more: dict[str, Any]) -> None:
    assert not allowed(name, "patient/*.*", **more)
    assert not allowed(name, "system/*.*?status=x", **more)
    assert allowed(name, "system/*.*", **more)


@pytest.mark.parametrize(
    ("letters", "names"),
    [
        ("c", ["CreateResource"]),
        ("r", ["ReadResource", "VersionReadResource", "GetHistoryByResourceId"]),
        ("u", ["UpdateResource"]),
        ("ru", ["ReadResource", "VersionReadResource", "GetHistoryByResourceId", "UpdateResource", "PatchResource"]),
        ("d", ["DeleteResource"]),
        ("s", ["SearchWithGet", "SearchWithPost"]),
    ],
)
def test_letters(letters: str, names: list[str]) -> None:
    assert [name for name in (*interactions.ON_ONE, *interactions.SEARCHES) if allowed(name, f"patient/*.{letters}")] == names


def test_a_bundle_that_is_done_later_is_refused() -> None:
    assert allowed("ProcessBundle", "system/*.*", resourceId=None)
    assert not allowed("ProcessBundle", "system/*.*", resourceId=None, prefer="handling=strict, Respond-Async")
    assert not allowed("ProcessBundle", "system/*.*", resourceId="waiting")


@pytest.mark.parametrize(
    ("method", "url", "patients", "everything"),
    [
        ("GET", "Patient/p1", True, True),
        ("GET", "Patient/p1/_history/1", True, True),
        ("GET", "Observation?code=x", True, True),
        ("POST", "Observation/_search", True, True),
        ("DELETE", "Observation/o1", True, True),
        ("DELETE", "Observation?code=x", False, True),
        ("GET", "Practitioner/d1", False, True),
        ("GET", "Patient/p1/_history", False, False),
        ("GET", "Patient/p1/$everything", False, False),
        ("POST", "$export", False, False),
    ],
)
def test_entries_of_a_bundle_are_judged_one_by_one(method: str, url: str, patients: bool, everything: bool) -> None:
    entry = {"request": {"method": method, "url": url}}
    found = parse_bundle({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/p1"}}, entry]})
    for scopes, wanted in (("patient/*.*", patients), ("system/*.*", everything)):
        try:
            interactions.allow_entries(call("ProcessBundle", grant(scopes)), found.entries)
            judged = True
        except ServiceError:
            judged = False
        assert judged is wanted
    interactions.allow_entries(call("ProcessBundle"), found.entries)
