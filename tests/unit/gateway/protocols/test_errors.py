"""Errors in each protocol: code, status, message member, declared members, request id; botocore reads them back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from defusedxml import ElementTree

from opentrail.calls.call import Answer, Request
from opentrail.contract import operation
from opentrail.gateway.protocols import fhir, guess, json, query, rest_json, rest_xml, xml
from opentrail.gateway.resolve import UnknownCall
from opentrail.kernel.errors import Content, ServiceError

ERROR = ServiceError("SomethingElse", "{what} <&> is wrong", status=418, what=Content("it"))


def parsed(protocol: str, contract: Any, answer: Answer) -> Any:
    response = {"status_code": answer.status, "headers": HeadersDict(dict(answer.headers)), "body": answer.body}
    return create_parser(protocol).parse(response, contract.model.output_shape)


@pytest.mark.parametrize(
    ("protocol", "module", "service", "name", "declared", "wire", "status"),
    [
        ("json", json, "cloudtrail", "CreateTrail", "TrailAlreadyExistsException", "TrailAlreadyExistsException", 400),
        ("json", json, "healthlake", "DescribeFHIRDatastore", "ResourceNotFoundException", "ResourceNotFoundException", 400),
        ("query", query, "iam", "GetUser", "NoSuchEntityException", "NoSuchEntity", 404),
        ("query", query, "sts", "AssumeRole", "MalformedPolicyDocumentException", "MalformedPolicyDocument", 400),
        (
            "rest-json",
            rest_json,
            "personalize-runtime",
            "GetRecommendations",
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            404,
        ),
        ("rest-xml", rest_xml, "s3", "GetObject", "NoSuchKey", "NoSuchKey", 404),
    ],
)
def test_declared_and_other_errors(protocol: str, module: Any, service: str, name: str, declared: str, wire: str, status: int) -> None:
    contract = operation(service, name)
    answer = module.encode_error(contract, ServiceError(declared, "no {what}", status=404, what="trail"), "r-1")
    read = parsed(protocol, contract, answer)
    assert (read["Error"]["Code"], read["Error"]["Message"], read["ResponseMetadata"]["RequestId"]) == (wire, "no trail", "r-1")
    assert answer.status == (status if protocol != "json" else 400 if contract.errors[declared].status else 404)
    other = module.encode_error(contract, ERROR, "r-2")
    assert other.status == 418
    assert parsed(protocol, contract, other)["Error"]["Code"] == "SomethingElse"
    assert parsed(protocol, contract, other)["Error"]["Message"] == "it <&> is wrong"


@pytest.mark.parametrize("module", [json, query, rest_json, rest_xml])
def test_without_a_contract(module: Any) -> None:
    answer = module.encode_error(None, ERROR, "r-1")
    assert answer.status == 418
    assert b"SomethingElse" in answer.body or ("x-amzn-errortype", "SomethingElse") in answer.headers
    assert any(value == "r-1" for _, value in answer.headers)


def test_the_message_member_is_the_models() -> None:
    body = json.encode_error(operation("healthlake", "DescribeFHIRDatastore"), ServiceError("ResourceNotFoundException", "gone"), "r").body
    assert msgspec.json.decode(body) == {"__type": "ResourceNotFoundException", "Message": "gone"}


def test_members_of_a_declared_error_are_written_and_no_others() -> None:
    contract = operation("personalize-runtime", "GetRecommendations")
    error = ServiceError("ResourceNotFoundException", "gone")
    error.members = {"nope": "x", "message": "another"}
    assert msgspec.json.decode(rest_json.encode_error(contract, error, "r").body) == {"message": "gone"}


def test_head_has_no_body() -> None:
    assert rest_xml.encode_error(operation("s3", "HeadObject"), ServiceError("NoSuchKey", "x", status=404), "r").body == b""


def test_s3_names_what_it_means() -> None:
    error = ServiceError("NoSuchBucket", "gone", status=404)
    error.members = {"BucketName": "a&b", "not a name": "x"}
    root = ElementTree.fromstring(rest_xml.encode_error(operation("s3", "GetObject"), error, "r").body)
    assert [child.tag for child in root] == ["Code", "Message", "BucketName", "RequestId", "HostId"]
    assert root.findtext("BucketName") == "a&b"


def test_query_tells_whose_fault_it_is() -> None:
    contract = operation("iam", "GetUser")
    for status, kind in ((400, b"Sender"), (500, b"Receiver"), (503, b"Receiver")):
        assert b"<Type>" + kind in query.encode_error(contract, ServiceError("Other", "x", status=status), "r").body


@pytest.mark.parametrize(("status", "issue"), [(400, "invalid"), (401, "login"), (404, "not-found"), (410, "deleted"), (418, "exception")])
def test_fhir_answers_with_an_outcome(status: int, issue: str) -> None:
    answer = fhir.encode_error(ServiceError("Any", "because {x}", status=status, x=Content("me")), "r-1")
    outcome = msgspec.json.decode(answer.body)
    assert outcome["issue"] == [{"severity": "error", "code": issue, "diagnostics": "because me"}]
    assert ("x-amzn-errortype", "Any") in answer.headers
    assert (("www-authenticate", "AWS4-HMAC-SHA256") in answer.headers) is (status == 401)


@pytest.mark.parametrize(
    ("headers", "path", "error", "protocol"),
    [
        ({}, "/", UnknownCall("query", "", "A", "b"), "query"),
        ({}, "/", UnknownCall("cbor", "", "A", "b"), "cbor"),
        ({}, "/datastore/x", ERROR, "fhir"),
        ({"x-amz-target": ""}, "/", ERROR, "json"),
        ({"content-type": "application/x-amz-json-1.1"}, "/", ERROR, "json"),
        ({"content-type": "application/x-www-form-urlencoded"}, "/", ERROR, "query"),
        ({"content-type": "application/json"}, "/", ERROR, "rest_json"),
        ({}, "/bucket", ERROR, "rest_xml"),
    ],
)
def test_guessing_a_protocol(headers: dict[str, str], path: str, error: ServiceError, protocol: str) -> None:
    assert guess(Request("POST", path, "", headers, b"", "", 0.0), error) == protocol


def test_what_xml_cannot_carry_is_replaced() -> None:
    text = xml.escape('a\x00\x0b\ud800\ufffe<&>"\r\n')
    assert text == "a\ufffd\ufffd\ufffd\ufffd&lt;&amp;&gt;&quot;&#13;\n"
    assert ElementTree.fromstring(f"<a>{text}</a>").text is not None


def test_header_values_stay_one_line() -> None:
    from opentrail.gateway.protocols import rest

    shape = SimpleNamespace(members={"A": SimpleNamespace(serialization={"location": "header", "name": "X-A"}, type_name="string")})
    assert rest.headers(shape, {"A": "a\r\nset-cookie: b\x00"}) == [("x-a", "a set-cookie: b ")]  # type: ignore[arg-type]
