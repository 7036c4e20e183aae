"""What a request calls: signed, unsigned by Host, by target, by path; and in which protocol nothing known is refused."""

from __future__ import annotations

import pytest

from opentrail.app import SERVICES
from opentrail.calls.call import Request
from opentrail.gateway import resolve as resolving
from opentrail.gateway.resolve import Routes, UnknownCall, resolve, signing_name

ROUTES = Routes(SERVICES, fhir="healthlake")


def request(method: str = "POST", path: str = "/", query: str = "", signed: str = "", body: bytes = b"", **headers: str) -> Request:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    if signed:
        scope = f"AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/{signed}/aws4_request"
        found["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    return Request(method, path, query, found, body, "127.0.0.1", 1.7e9)


@pytest.mark.parametrize("prefix", ["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "CloudTrail_20131101"])
@pytest.mark.parametrize("signed", ["cloudtrail", ""])
def test_both_target_prefixes_of_cloudtrail(prefix: str, signed: str) -> None:
    found = resolve(request(signed=signed, x_amz_target=f"{prefix}.LookupEvents"), ROUTES)
    assert (found.service, found.operation, found.protocol) == ("cloudtrail", "LookupEvents", "json")


@pytest.mark.parametrize("bucket", ["events", "datastore", "items", "users", "personalize-ranking", "service", "actions"])
@pytest.mark.parametrize(
    ("method", "operation"), [("PUT", "CreateBucket"), ("GET", "ListObjects"), ("HEAD", "HeadBucket"), ("DELETE", "DeleteBucket")]
)
def test_buckets_named_like_other_services_paths(bucket: str, method: str, operation: str) -> None:
    found = resolve(request(method, f"/{bucket}", signed="s3"), ROUTES)
    assert (found.service, found.operation, found.labels) == ("s3", operation, {"Bucket": bucket})


def test_an_object_in_a_bucket_named_datastore_is_not_fhir() -> None:
    found = resolve(request("GET", "/datastore/a/r4/Patient/1", signed="s3"), ROUTES)
    assert (found.service, found.operation, found.labels) == ("s3", "GetObject", {"Bucket": "datastore", "Key": "a/r4/Patient/1"})


@pytest.mark.parametrize("signed", ["healthlake", ""])
@pytest.mark.parametrize("path", ["/datastore/a/r4", "/datastore/a/r4/", "/datastore/a/r4/Patient/1"])
def test_fhir_signed_and_unsigned(path: str, signed: str) -> None:
    assert resolve(request("GET", path, signed=signed), ROUTES) == ("healthlake", "", "fhir", {})


@pytest.mark.parametrize(
    ("host", "method", "path", "body", "expected"),
    [
        ("s3.us-east-1.amazonaws.com", "GET", "/events", b"", ("s3", "ListObjects")),
        ("iam.amazonaws.com", "POST", "/", b"Action=ListUsers&Version=2010-05-08", ("iam", "ListUsers")),
        ("sts.localhost:4580", "POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", ("sts", "GetCallerIdentity")),
        ("127.0.0.1:4580", "POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", ("sts", "GetCallerIdentity")),
        ("127.0.0.1:4580", "GET", "/bucket/key", b"", ("s3", "GetObject")),
        ("personalize-events.us-east-1.amazonaws.com", "POST", "/events", b"{}", ("personalize-events", "PutEvents")),
    ],
)
def test_unsigned_requests_by_host_then_by_form_and_path(host: str, method: str, path: str, body: bytes, expected: tuple[str, str]) -> None:
    found = resolve(request(method, path, body=body, host=host, content_type="application/x-www-form-urlencoded"), ROUTES)
    assert (found.service, found.operation) == expected


@pytest.mark.parametrize(
    ("sent", "protocol", "service", "code", "status"),
    [
        (request(signed="nope"), "rest_json", "", "UnknownOperationException", 404),
        (request(signed="nope", x_amz_target="a.b"), "json", "", "UnknownOperationException", 404),
        (request(signed="cloudtrail", x_amz_target="CloudTrail_20131101.Nope"), "json", "cloudtrail", "UnknownOperationException", 400),
        (request(signed="cloudtrail", x_amz_target="Other.LookupEvents"), "json", "cloudtrail", "UnknownOperationException", 400),
        (request(signed="cloudtrail", x_amz_target="nodot"), "json", "cloudtrail", "UnknownOperationException", 400),
        (
            request("GET", signed="cloudtrail", x_amz_target="CloudTrail_20131101.ListTrails"),
            "json",
            "cloudtrail",
            "UnknownOperationException",
            404,
        ),
        (
            request("POST", "/x", signed="cloudtrail", x_amz_target="CloudTrail_20131101.ListTrails"),
            "json",
            "cloudtrail",
            "UnknownOperationException",
            404,
        ),
        (request(signed="iam", body=b"Action=Nope&Version=2010-05-08"), "query", "iam", "InvalidAction", 400),
        (request(signed="iam", body=b"Action=ListUsers&Version=2011-06-15"), "query", "", "InvalidAction", 400),
        (request(signed="iam", body=b"Action=ListUsers"), "query", "", "InvalidAction", 400),
        (request(signed="iam"), "query", "iam", "MissingAction", 400),
        (request("PATCH", "/bucket", signed="s3"), "rest_xml", "s3", "MethodNotAllowed", 405),
        (request("POST", "/nope", signed="personalize"), "rest_json", "", "UnknownOperationException", 404),
        (
            request("POST", "/service/Nope/operation/Nope", signed="comprehendmedical", smithy_protocol="rpc-v2-cbor"),
            "cbor",
            "comprehendmedical",
            "UnknownOperationException",
            404,
        ),
    ],
)
def test_nothing_known_is_refused_in_the_callers_protocol(sent: Request, protocol: str, service: str, code: str, status: int) -> None:
    with pytest.raises(UnknownCall) as caught:
        resolve(sent, ROUTES)
    error = caught.value
    assert (error.protocol, error.service, error.code, error.status) == (protocol, service, code, status)
    assert "Nope" not in error.for_record()


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("X-Amz-Credential=AKIA%2F20261121%2Fus-east-1%2Fs3%2Faws4_request", "s3"),
        ("X-Amz-Credential=AKIA/20261121/us-east-1/healthlake/aws4_request&a=b", "healthlake"),
        ("X-Amz-Credential=short/s3", ""), ("a=b", ""), ("", ""),
    ],
)  # fmt: skip
def test_signing_names_of_presigned_urls(query: str, name: str) -> None:
    assert signing_name(request("GET", "/b/k", query)) == name


@pytest.mark.parametrize("sub", ["analytics", "cors", "website", "replication", "lifecycle"])
def test_a_sub_resource_never_falls_through_to_the_bucket(sub: str) -> None:
    assert (
        resolve(request("DELETE", "/bucket", sub + ("&id=a" if sub == "analytics" else ""), signed="s3"), ROUTES).operation
        != "DeleteBucket"
    )


CBOR = "/service/ComprehendMedical_20181030/operation/DetectPHI"


@pytest.mark.parametrize("signed", ["comprehendmedical", ""])
def test_cbor_is_what_its_header_says(signed: str) -> None:
    found = resolve(request("POST", CBOR, signed=signed, smithy_protocol="rpc-v2-cbor"), ROUTES)
    assert (found.service, found.operation, found.protocol) == ("comprehendmedical", "DetectPHI", "cbor")


def test_an_object_may_have_the_name_of_a_cbor_address() -> None:
    found = resolve(request("PUT", "/service/a/operation/b", signed="s3"), ROUTES)
    assert (found.service, found.operation, found.labels["Key"]) == ("s3", "PutObject", "a/operation/b")


def test_a_service_whose_model_does_not_list_cbor_is_not_called_in_it() -> None:
    with pytest.raises(UnknownCall):
        resolve(
            request("POST", "/service/CloudTrail_20131101/operation/ListTrails", signed="cloudtrail", smithy_protocol="rpc-v2-cbor"), ROUTES
        )


def test_addresses_without_labels_are_what_their_patterns_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for candidates in {*ROUTES.signed.values(), ROUTES.names}:
        known = dict(resolving._literal(candidates))
        with monkeypatch.context() as patch:
            patch.setattr(resolving, "_literal", lambda names: {})
            for (method, path), found in known.items():
                assert resolving._by_path(request(method, path), candidates) == found
    assert resolving._literal(ROUTES.signed["personalize"])["POST", "/recommendations"].operation == "GetRecommendations"
