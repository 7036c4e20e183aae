"""Calls over the wire with the stock client, against a server that notes what it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import service_principal
from opentrail.work.remote_calls import Credentials, RemoteCalls
from tests.unit.services.cloudtrail.deliveries import HandClock

TRAIL = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/t"
PRINCIPAL = service_principal("cloudtrail.amazonaws.com", "123456789012", TRAIL)
MISSING = b"<Error><Code>NoSuchBucket</Code><Message>the bucket of John Smith</Message></Error>"


class Noting(BaseHTTPRequestHandler):
    """Answers what the server is told to; keeps requests."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server: Any = self.server
        server.requests.append((self.command, self.path, dict(self.headers), body))
        status, answer = server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_PUT = do_GET = do_HEAD = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    made.requests = []
    made.answer = (200, b"")
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def calls(server: Any) -> RemoteCalls:
    return RemoteCalls(
        f"http://127.0.0.1:{server.server_port}",
        lambda principal: Credentials("AKID", "secret", f"for {principal.source_arn}"),
        HandClock(),
    )


def put(made: RemoteCalls) -> Any:
    input = {"Bucket": "b", "Key": "p/k", "ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "ab"}}
    return made.make(PRINCIPAL, "eu-west-1", "s3", "PutObject", input, b"body")


def test_an_object_is_put_signed_by_the_session_of_the_principal(server: Any) -> None:
    put(calls(server))
    ((method, path, headers, body),) = server.requests
    assert (method, path, body) == ("PUT", "/b/p/k", b"body")
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Encoding"] == "gzip"
    assert headers["x-amz-meta-signature"] == "ab"
    assert headers["X-Amz-Security-Token"] == f"for {TRAIL}"
    assert "/eu-west-1/s3/aws4_request" in headers["Authorization"]


def test_a_call_that_no_model_names_is_signed_alike(server: Any) -> None:
    server.answer = (412, b"{}")
    assert calls(server).plain(PRINCIPAL, "eu-west-1", "healthlake", "POST", "/datastore/d/r4/Transaction/t") == (412, b"{}")
    ((method, path, headers, body),) = server.requests
    assert (method, path, body) == ("POST", "/datastore/d/r4/Transaction/t", b"")
    assert headers["X-Amz-Security-Token"] == f"for {TRAIL}"
    assert "/eu-west-1/healthlake/aws4_request" in headers["Authorization"]


def test_a_streamed_answer_is_read(server: Any) -> None:
    server.answer = (200, b"bytes")
    assert calls(server).make(PRINCIPAL, "eu-west-1", "s3", "GetObject", {"Bucket": "b", "Key": "k"})["Body"] == b"bytes"


def test_a_refusal_is_the_services_error_with_its_text_hidden_from_records(server: Any) -> None:
    server.answer = (404, MISSING)
    with pytest.raises(ServiceError) as raised:
        put(calls(server))
    assert (raised.value.code, raised.value.status) == ("NoSuchBucket", 404)
    assert "Smith" in raised.value.for_caller()
    assert "Smith" not in raised.value.for_record()


def test_each_call_is_one_request(server: Any) -> None:
    server.answer = (503, b"")
    with pytest.raises(ServiceError):
        put(calls(server))
    assert len(server.requests) == 1


def test_nobody_there_is_unavailable(server: Any) -> None:
    made = RemoteCalls("http://127.0.0.1:1", lambda principal: Credentials("AKID", "secret", ""), HandClock())
    with pytest.raises(Unavailable):
        put(made)
    with pytest.raises(Unavailable):
        made.plain(PRINCIPAL, "eu-west-1", "healthlake", "GET", "/")


ASSUMED = (
    b"<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>"
    b"<SecretAccessKey>s</SecretAccessKey><SessionToken>the role's</SessionToken><Expiration>2026-01-01T00:00:00Z</Expiration></Credentials>"
    b"</AssumeRoleResult></AssumeRoleResponse>"
)


def test_a_service_in_a_role_assumes_it_once_and_calls_with_its_session(server: Any) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    in_role = service_principal("healthlake.amazonaws.com", "123456789012", TRAIL, role)
    made = calls(server)
    server.answer = (200, ASSUMED)
    for _ in range(2):
        made.make(in_role, "eu-west-1", "s3", "HeadBucket", {"Bucket": "b"})
    (_, _, first, body), second, third = server.requests
    assert b"RoleSessionName=healthlake" in body
    assert first["X-Amz-Security-Token"] == f"for {TRAIL}"
    assert {headers["X-Amz-Security-Token"] for _, _, headers, _ in (second, third)} == {"the role's"}


def test_a_role_that_may_not_be_assumed_is_the_calls_error(server: Any) -> None:
    server.answer = (403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>")
    in_role = service_principal("healthlake.amazonaws.com", "123456789012", TRAIL, "arn:aws:iam::123456789012:role/reader")
    with pytest.raises(ServiceError) as raised:
        calls(server).make(in_role, "eu-west-1", "s3", "HeadBucket", {"Bucket": "b"})
    assert raised.value.code == "AccessDenied"
