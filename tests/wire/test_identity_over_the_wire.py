"""Who may call, proven on the wire: signatures, time, revoked credentials, regions, and callers of what is not offered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.exceptions import ClientError

from tests.wire.story import REGION, Live, Story, policy

JSON = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "CloudTrail_20131101.ListTrails"}


def at(moment: timedelta, patch: pytest.MonkeyPatch) -> None:
    """Makes signers believe in another time."""
    patch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: (datetime.now(UTC) + moment).replace(tzinfo=None))


def code(answer: Any) -> str:
    """The error of a JSON answer."""
    return str(json.loads(answer.data)["__type"])


def test_an_altered_request_is_refused_and_recorded_as_its_key_holders(story: Story) -> None:
    signed = story.live.signed(story.root, "cloudtrail", "POST", "/", b"{}", JSON)
    good = story.live.submit(signed)
    assert good.status == 200, good.data
    bad = story.live.send("POST", "/", dict(signed.headers), b'{ "NextToken": "x" }')
    assert (bad.status, code(bad)) == (400, "InvalidSignatureException")
    (record,) = story.looked_up(story.root.account, REGION, "ListTrails", bad.headers["x-amzn-requestid"])
    assert (record["errorCode"], record["requestParameters"]) == ("InvalidSignatureException", None)
    assert record["userIdentity"] == story.root.identity


def test_a_signature_of_another_secret_is_refused(story: Story) -> None:
    signed = story.live.signed(story.root, "cloudtrail", "POST", "/", b"{}", JSON)
    head, _, signature = signed.headers["Authorization"].rpartition("=")
    signed.headers.replace_header("Authorization", f"{head}={signature[::-1]}")
    assert code(story.live.submit(signed)) == "InvalidSignatureException"


CBOR = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_stale_request_is_refused(story: Story, minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    at(timedelta(minutes=minutes), monkeypatch)
    signed = story.live.signed(story.root, "cloudtrail", "POST", "/", b"{}", JSON)
    assert code(story.live.submit(signed)) == "InvalidSignatureException"


def test_clocks_may_differ_by_minutes(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    at(timedelta(minutes=-10), monkeypatch)
    assert story.live.submit(story.live.signed(story.root, "cloudtrail", "POST", "/", b"{}", JSON)).status == 200


def test_an_expired_presigned_address_is_refused(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    at(timedelta(minutes=-5), monkeypatch)
    client = story.client("s3", signature_version="s3v4")
    link = client.generate_presigned_url("get_object", {"Bucket": "some-bucket", "Key": "k"}, ExpiresIn=60)
    answer = story.live.send("GET", link, {})
    assert (answer.status, b"Request has expired" in answer.data) == (403, True)


def test_an_address_presigned_in_version_2_is_told_what_to_use(story: Story) -> None:
    """boto3 and the AWS CLI make such addresses for us-east-1 unless they are configured for s3v4."""
    link = story.client("s3", signature_version="s3").generate_presigned_url("get_object", {"Bucket": "some-bucket", "Key": "k"})
    answer = story.live.send("GET", link, {})
    assert (answer.status, b"<Code>InvalidRequest</Code>" in answer.data) == (400, True)
    assert b"Please use AWS4-HMAC-SHA256." in answer.data


def test_query_calls_may_be_presigned(story: Story) -> None:
    path = "/?Action=GetCallerIdentity&Version=2011-06-15"
    signed = story.live.signed(story.root, "sts", "GET", path, signer=SigV4QueryAuth)
    answer = story.live.send("GET", signed.url, {})
    assert (answer.status, b"<Account>123456789012</Account>" in answer.data) == (200, True)


def test_an_unknown_key_leaves_no_record(live: Live) -> None:
    story = Story(live)
    stranger = type(story.root)("123456789012", "AKIAAAAAAAAAAAAAAAAA", "x" * 40, {})
    answer = live.submit(live.signed(stranger, "cloudtrail", "POST", "/", b"{}", JSON))
    assert (answer.status, code(answer)) == (400, "UnrecognizedClientException")
    assert live.journal(answer.headers["x-amzn-requestid"]) == []


def test_a_revoked_key_fails_in_the_very_next_call(story: Story) -> None:
    user, name = story.user(("cloudtrail:*", "*")), {"UserName": ""}
    name["UserName"] = str(user.identity["userName"])
    iam, cloudtrail = story.client("iam"), story.client("cloudtrail", user)
    cloudtrail.list_trails()
    iam.update_access_key(**name, AccessKeyId=user.key, Status="Inactive")
    refused(cloudtrail.list_trails, "UnrecognizedClientException")
    iam.update_access_key(**name, AccessKeyId=user.key, Status="Active")
    cloudtrail.list_trails()
    iam.delete_user_policy(**name, PolicyName="own")
    refused(cloudtrail.list_trails, "AccessDeniedException")
    iam.put_user_policy(**name, PolicyName="own", PolicyDocument=policy(("cloudtrail:*", "*")))
    cloudtrail.list_trails()
    iam.delete_access_key(**name, AccessKeyId=user.key)
    refused(cloudtrail.list_trails, "UnrecognizedClientException")


def test_a_session_ends_with_its_role(story: Story) -> None:
    user = story.user(("sts:*", "*"))
    role = story.role(user.identity["arn"], ("cloudtrail:*", "*"))
    session = story.session(role, user)
    story.call("cloudtrail", "ListTrails", caller=session)
    story.client("iam").delete_role_policy(RoleName=role["RoleName"], PolicyName="own")
    story.call("cloudtrail", "ListTrails", caller=session, request=None, error="AccessDeniedException")
    story.client("iam").delete_role(RoleName=role["RoleName"])
    refused(story.client("cloudtrail", session).list_trails, "UnrecognizedClientException")


def refused(call: Any, wanted: str) -> None:
    """The call fails with that code."""
    with pytest.raises(ClientError) as error:
        call()
    assert error.value.response["Error"]["Code"] == wanted


def test_the_region_is_the_credential_scopes(story: Story) -> None:
    for region in ("us-east-1", "eu-central-1", "ap-southeast-2"):
        made = story.client("personalize", region=region).list_schemas()
        (record,) = story.live.journal(made["ResponseMetadata"]["RequestId"])
        assert record["awsRegion"] == region


def test_a_scope_of_another_service_is_refused(story: Story) -> None:
    answer = story.live.submit(story.live.signed(story.root, "personalize", "POST", "/", b"{}", JSON))
    assert answer.status == 400
    assert "UnknownOperationException" in code(answer)


@pytest.mark.parametrize(
    ("service", "operation", "input"),
    [
        ("cloudtrail", "list_queries", {"EventDataStore": "arn:aws:cloudtrail:us-east-1:123456789012:eventdatastore/x"}),
        ("sts", "get_access_key_info", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}),
        ("sns", "list_topics", {}),
        ("iam", "list_groups", {}),
        ("s3", "get_bucket_cors", {"Bucket": "some-bucket"}),
    ],
)
def test_what_is_not_offered_says_so_in_the_callers_protocol_and_is_recorded(
    story: Story, service: str, operation: str, input: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as error:
        getattr(story.client(service), operation)(**input)
    answer = error.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("NotImplemented", 501)
    assert "is not offered by this server" in answer["Error"]["Message"]
    (record,) = story.live.journal(answer["ResponseMetadata"]["RequestId"])
    assert (record["errorCode"], record["requestParameters"]) == ("NotImplemented", None)
    assert "Canary" not in json.dumps(record)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "shape"),
    [
        (
            "POST",
            "/",
            {"content-type": "application/x-amz-json-1.1", "x-amz-target": "CloudTrail_20131101.Nothing"},
            b"{}",
            400,
            b'"__type"',
        ),
        ("POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"Action=Nothing&Version=2011-06-15", 400, b"<ErrorResponse"),
        ("POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"\xff\xfe", 400, b"<Error"),
        ("POST", "/service/ComprehendMedical_20181030/operation/Nothing", CBOR, b"\xa0", 400, b"__type"),
        ("POST", "/service/Nothing/operation/Nothing", CBOR, b"\xa0", 404, b"__type"),
        ("DELETE", "/", {"content-type": "application/json"}, b"", 405, b"<Code>MethodNotAllowed"),
    ],
)
def test_calls_of_nothing_known_are_answered_in_the_callers_protocol(
    live: Live, method: str, path: str, headers: dict[str, str], body: bytes, status: int, shape: bytes
) -> None:
    answer = live.send(method, path, headers, body)
    assert (answer.status, shape in answer.data) == (status, True), answer.data


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"MaxResults":"x"}', b"\xff", b"[" * 5000, b'{"MaxResults":1e400}'])
def test_bodies_that_cannot_be_read_are_refused_and_recorded(story: Story, body: bytes) -> None:
    headers = {**JSON, "x-amz-target": "CloudTrail_20131101.LookupEvents"}
    answer = story.live.submit(story.live.signed(story.root, "cloudtrail", "POST", "/", body, headers, signer=SigV4Auth))
    assert (answer.status, code(answer)) == (400, "SerializationException"), answer.data
    (record,) = story.live.journal(answer.headers["x-amzn-requestid"])
    assert record["errorCode"] == "SerializationException"


def test_health_and_metrics_are_open(live: Live) -> None:
    health = live.send("GET", "/_opentrail/health", {})
    assert (health.status, json.loads(health.data)) == (200, {"status": "ok", "reasons": []})
    assert b"opentrail_journal_position" in live.send("GET", "/_opentrail/metrics", {}).data
