"""Signatures: what botocore signs is accepted, and anything altered, stale or foreign is refused with its own reason."""

from __future__ import annotations

import datetime
from unittest import mock
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from opentrail.calls.call import Request
from opentrail.identity.canonical import canonical_path, canonical_query
from opentrail.identity.refusals import Family, Rejected, refusal
from opentrail.identity.sigv4 import (
    Claim,
    check_streamed,
    read_claim,
    signing_key,
    verify,
)

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_790_000_000.0
MOMENT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)


def signed(
    service: str = "cloudtrail",
    method: str = "POST",
    url: str = "http://127.0.0.1:4580/",
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    token: str | None = None,
    presigned: bool = False,
    region: str = "us-east-1",
    expires: int = 300,
) -> Request:
    """The request as botocore signs it."""
    aws = AWSRequest(method=method, url=url, headers=headers or {}, data=body)
    credentials = Credentials(KEY, SECRET, token)
    signers = {(True, False): S3SigV4Auth, (False, False): SigV4Auth, (True, True): S3SigV4QueryAuth, (False, True): SigV4QueryAuth}
    signer = signers[(service == "s3", presigned)]
    with mock.patch("botocore.auth.get_current_datetime", return_value=MOMENT):
        (signer(credentials, service, region, expires=expires) if presigned else signer(credentials, service, region)).add_auth(aws)
    parts = urlsplit(aws.url)
    sent = {name.lower(): str(value) for name, value in aws.headers.items()}
    sent.setdefault("host", parts.netloc)
    return Request(method, parts.path or "/", parts.query, sent, body, "127.0.0.1", NOW)


def check(request: Request, now: float = NOW, secret: str = SECRET) -> Claim:
    claim = read_claim(request, now)
    verify(claim, request, secret)
    return claim


def reason(request: Request, now: float = NOW, secret: str = SECRET) -> str:
    with pytest.raises(Rejected) as caught:
        check(request, now, secret)
    return caught.value.reason


def with_header(request: Request, name: str, value: str) -> Request:
    return replace(request, headers={**request.headers, name: value})


words = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#%\\"), min_size=1, max_size=12).filter(
    lambda word: word not in (".", "..")
)
anything = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def address(segments: list[str], pairs: list[tuple[str, str]]) -> str:
    path = "/".join(quote(segment, safe="") for segment in segments)
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    return f"http://127.0.0.1:4580/{path}" + (f"?{query}" if query else "")


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["s3", "healthlake", "iam"]),
    st.booleans(),
    st.sampled_from(["GET", "PUT", "POST"]),
    st.lists(anything.filter(lambda word: word not in ("", ".", "..")), max_size=3),
    st.lists(st.tuples(anything.filter(lambda name: not name.startswith("X-Amz-")), anything), max_size=4),
    st.dictionaries(st.sampled_from(["X-Amz-Meta-A", "Content-Type", "x-amz-target"]), values),
    st.binary(max_size=40),
    st.sampled_from([None, "tok/en+="]),
)
def test_accepts_what_botocore_signs(
    service: str,
    presigned: bool,
    method: str,
    segments: list[str],
    pairs: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
) -> None:
    request = signed(service, method, address(segments, pairs), headers, b"" if presigned else body, token, presigned)
    claim = check(request)
    assert (claim.access_key, claim.region, claim.service, claim.presigned) == (KEY, "us-east-1", service, presigned)
    assert claim.token == (token or "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words.filter(lambda w: "&" not in w and "=" not in w), words.filter(lambda w: "&" not in w)), max_size=4))
def test_accepts_queries_that_botocore_signs_as_they_are_written(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    check(signed("healthlake", "GET", f"http://127.0.0.1:4580/datastore/1/r4/Patient?{query}", body=b""))


ALTERED = {
    "method": (lambda r: replace(r, method="PUT"), "mismatch"),
    "path": (lambda r: replace(r, path="/other"), "mismatch"),
    "query": (lambda r: replace(r, query="a=2"), "mismatch"),
    "query added": (lambda r: replace(r, query="b=2"), "mismatch"),
    "body": (lambda r: replace(r, body=b"{ }"), "mismatch"),
    "target": (lambda r: with_header(r, "x-amz-target", "Other"), "mismatch"),
    "host": (lambda r: with_header(r, "host", "elsewhere"), "mismatch"),
    "header taken away": (lambda r: replace(r, headers={n: v for n, v in r.headers.items() if n != "x-amz-target"}), "mismatch"),
    "header slipped in": (lambda r: with_header(r, "x-amz-acl", "public-read"), "unsigned-headers"),
    "dot segments": (lambda r: replace(r, path="/a/.." + r.path), "malformed"),
    "double slash": (lambda r: replace(r, path="/" + r.path), "malformed"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_refuses_an_altered_request(name: str) -> None:
    request = signed(url="http://127.0.0.1:4580/?a=1", headers={"X-Amz-Target": "CloudTrail_20131101.ListTrails"})
    check(request)
    alter, why = ALTERED[name]
    assert reason(alter(request)) == why


def authorization(request: Request, old: str, new: str) -> Request:
    text = request.headers["authorization"]
    assert old in text
    return with_header(request, "authorization", text.replace(old, new))


DAY = MOMENT.strftime("%Y%m%d")
BROKEN = [
    ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", "unsupported"),
    ("AWS4-HMAC-SHA256", "AWS", "unsupported"),
    ("aws4_request", "aws5_request", "scope"),
    (DAY, "20200101", "scope"),
    ("us-east-1", "us-east-2", "mismatch"),
    ("us-east-1", "", "scope"),
    ("us-east-1", "us-east-1\n", "scope"),
    ("/cloudtrail", "/iam", "mismatch"),
    (KEY, KEY + "\n", "unknown-key"),
    (KEY, "A'; --", "unknown-key"),
    ("/aws4_request", "", "malformed"),
    (", Signature=", ", Sig=", "malformed"),
    (", SignedHeaders=", ", Signature=", "malformed"),
    ("SignedHeaders=host;", "SignedHeaders=", "mismatch"),
    ("SignedHeaders=host;x-amz-date", "SignedHeaders=x-amz-date;host", "malformed"),
    ("SignedHeaders=host", "SignedHeaders=HOST", "malformed"),
    ("SignedHeaders=host", "SignedHeaders=host;host", "malformed"),
    ("Signature=", "Signature=z", "mismatch"),
]


@pytest.mark.parametrize(("old", "new", "why"), BROKEN)
def test_refuses_a_broken_authorization_header(old: str, new: str, why: str) -> None:
    assert reason(authorization(signed(), old, new)) == why


def test_refuses_a_signature_with_a_trailing_newline() -> None:
    request = signed()
    assert reason(with_header(request, "authorization", request.headers["authorization"] + "\n")) == "mismatch"
    upper = request.headers["authorization"].rpartition("=")
    assert reason(with_header(request, "authorization", upper[0] + "=" + upper[2].upper() + "A")) == "mismatch"


@pytest.mark.parametrize(("offset", "why"), [(-901, "stale"), (901, "stale"), (-899, ""), (899, "")])
def test_the_clock_may_differ_by_fifteen_minutes(offset: float, why: str) -> None:
    request = signed()
    if why:
        assert reason(request, NOW + offset) == why
    else:
        check(request, NOW + offset)


@pytest.mark.parametrize(
    "date", ["20261321T000000Z", "20260230T000000Z", "2026-01-01T00:00:00Z", "20260101T000000Z\n", "", "٢٠٢٦٠١٠١T000000Z"]
)
def test_refuses_a_time_that_is_none(date: str) -> None:
    assert reason(with_header(signed(), "x-amz-date", date)) in ("malformed", "scope")


def test_wrong_secret_and_unsigned() -> None:
    assert reason(signed(), secret=SECRET + "x") == "mismatch"
    assert reason(Request("GET", "/", "", {"host": "h"}, b"", "", NOW)) == "missing"


def test_one_mechanism_only() -> None:
    request = signed("s3", "GET", "http://h/b/k", body=b"", presigned=True)
    assert reason(with_header(request, "authorization", "AWS4-HMAC-SHA256 x")) == "malformed"


@pytest.mark.parametrize(
    ("now", "expires", "why"),
    [
        (299, 300, ""),
        (300, 300, "expired-url"),
        (-901, 300, "expired-url"),
        (0, 604800, ""),
        (0, 604801, "malformed-query"),
        (0, 0, "malformed-query"),
    ],
)
def test_presigned_urls_live_as_long_as_they_say_and_seven_days_at_most(now: float, expires: int, why: str) -> None:
    request = signed("s3", "GET", "http://h/bucket/key", body=b"", presigned=True, expires=expires)
    if why:
        assert reason(request, NOW + now) == why
    else:
        check(request, NOW + now)


@pytest.mark.parametrize("part", ["X-Amz-Expires=300", "X-Amz-SignedHeaders=host", "Amz-Date=20"])
def test_presigned_parts_cannot_be_changed_or_repeated(part: str) -> None:
    request = signed("s3", "GET", "http://h/bucket/key", body=b"", presigned=True)
    repeated = replace(request, query=request.query + "&X-Amz-Expires=301")
    assert reason(repeated) == "malformed-query"
    assert part in request.query
    assert reason(replace(request, query=request.query.replace(part, part + "1"))) in (
        "mismatch",
        "malformed-query",
        "scope",
        "expired-url",
    )


def test_a_presigned_url_takes_no_unsigned_amz_headers() -> None:
    request = signed("s3", "PUT", "http://h/bucket/key", body=b"", presigned=True)
    assert reason(with_header(request, "x-amz-acl", "public-read")) == "unsigned-headers"


def test_the_object_stores_payload_hash_is_required_and_checked() -> None:
    request = signed("s3", "PUT", "http://h/bucket/key", body=b"content")
    check(request)
    assert reason(replace(request, body=b"other")) == "payload"
    bare = {name: value for name, value in request.headers.items() if name != "x-amz-content-sha256"}
    assert reason(replace(request, headers=bare)) == "no-payload-hash"
    assert reason(with_header(request, "x-amz-content-sha256", "STREAMING-OTHER")) == "bad-payload-hash"
    assert reason(with_header(signed(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD")) == "bad-payload-hash"
    claim = read_claim(request, NOW)
    verify(claim, replace(request, body=b""), SECRET, streamed=True)
    with pytest.raises(Rejected, match="payload"):
        check_streamed(claim, "0" * 64)
    check_streamed(claim, claim.payload)


@given(anything)
def test_paths_are_encoded_once_for_the_object_store(text: str) -> None:
    raw = "/" + quote(text, safe="")
    once = canonical_path(raw, once=True)
    assert canonical_path(once, once=True) == once
    assert "\n" not in canonical_path("/" + text, once=True)


@given(st.lists(st.tuples(anything, anything), max_size=5), st.randoms())
def test_the_order_of_a_query_does_not_matter(pairs: list[tuple[str, str]], random: object) -> None:
    texts = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs]
    assert canonical_query("&".join(texts)) == canonical_query("&".join(reversed(texts)))
    assert "\n" not in canonical_query("&".join(f"{name}={value}" for name, value in pairs if "&" not in name + value))


def test_signing_keys_are_of_one_secret_day_region_and_service() -> None:
    keys = {signing_key(*parts) for parts in [("s", "d", "r", "x"), ("s", "d", "r", "y"), ("s", "d", "q", "x"), ("s", "e", "r", "x")]}
    assert len(keys) == 4


CODES: list[tuple[str, Family, str, int]] = [
    ("missing", "json", "MissingAuthenticationTokenException", 400),
    ("missing", "fhir", "MissingAuthenticationTokenException", 401),
    ("missing", "query", "MissingAuthenticationToken", 403),
    ("missing", "rest-xml", "AccessDenied", 403),
    ("stale", "json", "InvalidSignatureException", 400),
    ("stale", "query", "SignatureDoesNotMatch", 403),
    ("stale", "rest-xml", "RequestTimeTooSkewed", 403),
    ("mismatch", "rest-json", "InvalidSignatureException", 403),
    ("unknown-key", "json", "UnrecognizedClientException", 400),
    ("unknown-key", "query", "InvalidClientTokenId", 403),
    ("unknown-key", "rest-xml", "InvalidAccessKeyId", 403),
    ("expired-token", "json", "ExpiredTokenException", 400),
    ("expired-token", "query", "ExpiredToken", 403),
    ("expired-token", "rest-xml", "ExpiredToken", 400),
    ("malformed", "json", "IncompleteSignatureException", 400),
    ("malformed", "query", "IncompleteSignature", 400),
    ("malformed-query", "query", "IncompleteSignature", 400),
    ("malformed-query", "rest-xml", "AuthorizationQueryParametersError", 400),
    ("payload", "rest-xml", "XAmzContentSHA256Mismatch", 400),
]


@pytest.mark.parametrize(("why", "family", "code", "status"), CODES)
def test_each_family_of_protocols_has_its_own_code(why: str, family: Family, code: str, status: int) -> None:
    error = refusal(Rejected(why), family)  # type: ignore[arg-type]
    assert (error.code, error.status) == (code, status)
    assert error.for_caller()


def test_a_chunked_payload_is_accepted_only_where_its_chunks_are_checked() -> None:
    headers = {"X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    aws = AWSRequest("PUT", "http://h/bucket/key", headers=headers, data=b"")
    signer = SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1")
    with mock.patch("botocore.auth.get_current_datetime", return_value=MOMENT):
        signer.add_auth(aws)
    sent = {name.lower(): str(value) for name, value in aws.headers.items()} | {"host": "h"}
    request = Request("PUT", "/bucket/key", "", sent, b"", "", NOW)
    claim = read_claim(request, NOW)
    verify(claim, request, SECRET, streamed=True)
    with pytest.raises(Rejected, match="bad-payload-hash"):
        verify(claim, request, SECRET)
