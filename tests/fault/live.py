"""Every offered operation as a valid request, and a client that signs, sends and reads raw HTTP."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import msgspec
from benchmarks.servers import ACCOUNT, REGION, Server, serving
from botocore.credentials import Credentials
from botocore.serialize import create_serializer

from opentrail.app import SERVICES
from opentrail.calls.call import Request
from opentrail.contract.models import model
from opentrail.gateway.resolve import protocol_of
from opentrail.identity import sigv4
from opentrail.identity.canonical import canonical_path, canonical_query
from tests.fault import shop
from tests.unit.contract import samples

WIRE = {"json": "json", "query": "query", "rest_json": "rest-json", "rest_xml": "rest-xml"}
PATIENCE = 30.0


@contextmanager
def server(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """A server at log level debug that must end with status 0."""
    with serving(folder / "data", "--log-level", "debug", "--log-format", "json", *options, environment=environment) as running:
        yield running
        assert running.stop() == 0


@dataclass(frozen=True)
class Sent:
    """A request before it is signed. `headers` may hold a name twice; `length` overrides the content-length that is sent."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    signing: str
    length: str | None = None


@dataclass(frozen=True)
class Got:
    """An answer; `status` 0 when the connection ended without one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def request_id(self) -> str:
        return self.headers.get("x-amzn-requestid") or self.headers.get("x-amz-request-id", "")


def signed(sent: Sent, credentials: Credentials, payload: str = "") -> Sent:
    """The request with a signature that holds, by the rules of the server itself: it must get past authentication however
    odd it is. Raises Rejected for a path that nobody can sign."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    payload = payload or sha256(sent.body).hexdigest()
    lines = [(name, value) for name, value in sent.headers if name not in ("x-amz-date", "x-amz-content-sha256", "authorization")]
    lines += [("x-amz-date", stamp), ("x-amz-content-sha256", payload)]
    headers: dict[str, str] = {}
    for name, value in lines:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    names = tuple(sorted(name for name in headers if name == "host" or name.startswith("x-amz-") or name == "content-type"))
    claim = sigv4.Claim(credentials.access_key, stamp[:8], REGION, sent.signing, names, "", stamp, "", False, payload)
    request = Request(sent.method, sent.path, sent.query, headers, sent.body, "", 0.0)
    canonical = (
        f"{sent.method}\n{canonical_path(sent.path, sent.signing == 's3')}\n{canonical_query(sent.query)}\n"
        + sigv4._canonical_tail(claim, request, payload)
    )
    proof = sigv4._signature(sigv4.signing_key(credentials.secret_key, stamp[:8], REGION, sent.signing), claim, canonical)
    text = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{claim.scope}, SignedHeaders={';'.join(names)}, Signature={proof}"
    return replace(sent, headers=(*lines, ("authorization", text)))


def raw(sent: Sent) -> bytes:
    """The bytes on the wire."""
    target = sent.path + (f"?{sent.query}" if sent.query else "")
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.headers)
    length = str(len(sent.body)) if sent.length is None else sent.length
    return f"{sent.method} {target} HTTP/1.1\r\ncontent-length: {length}\r\n{lines}\r\n".encode("latin-1") + sent.body


def send_all(port: int, requests: Sequence[bytes], connections: int = 24) -> list[Got]:
    """Sends raw requests over several connections and returns their answers in order; each within PATIENCE seconds."""
    return asyncio.run(_send_all(port, requests, connections))


async def _send_all(port: int, requests: Sequence[bytes], connections: int) -> list[Got]:
    answers: list[Got] = [Got(0)] * len(requests)
    todo = iter(enumerate(requests))

    async def worker() -> None:
        reader = writer = None
        for number, request in todo:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
            assert reader is not None
            try:
                writer.write(request)
                got = await asyncio.wait_for(_read(reader, request.startswith(b"HEAD")), PATIENCE)
            except (ConnectionError, asyncio.IncompleteReadError):
                got = Got(0)
            answers[number] = got
            if not got.status or got.headers.get("connection") == "close":
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    await asyncio.gather(*(worker() for _ in range(connections)))
    return answers


async def _read(reader: asyncio.StreamReader, head_only: bool) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split()[1])
    if status == 100:
        return await _read(reader, head_only)
    length = int(headers.get("content-length", 0))
    body = await reader.readexactly(length) if length and not head_only and status not in (204, 304) else b""
    return Got(status, headers, body)


def call(server: Server, service: str, operation: str, input: Mapping[str, Any], caller: Credentials | None = None) -> Got:
    """One call signed by the root user or another caller."""
    [got] = send_all(server.port, [raw(signed(serialized(service, operation, input, server.port), caller or server.credentials))], 1)
    return got


def serialized(service: str, operation: str, input: Mapping[str, Any], port: int) -> Sent:
    """What botocore sends for an input, before signing."""
    shape = model(service).operation_model(operation)
    serializer = create_serializer(WIRE[protocol_of(service)], include_validation=False)
    wire = samples.request(shape, serializer.serialize_to_request(dict(input), shape), samples.SERVICES[service])
    headers = {name: value for name, value in wire.headers.items() if name not in ("authorization", "host")}
    return Sent(wire.method, wire.path, wire.query, (("host", f"127.0.0.1:{port}"), *headers.items()), wire.body, samples.SERVICES[service])


PART = b"some bytes"
"""The bytes of objects and parts."""
PART_OF_UPLOAD = {"PartNumber": 1, "ETag": md5(PART, usedforsecurity=False).hexdigest()}
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*",'
    '"Service":["personalize.amazonaws.com","healthlake.amazonaws.com","comprehendmedical.amazonaws.com"]},'
    '"Action":"sts:AssumeRole"}]}'
)
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Put*"],"Resource":"*"}]}'
AVRO = (
    '{"type":"record","name":"Interactions","namespace":"com.amazonaws.personalize.schema","fields":[{"name":"USER_ID","type":"string"},'
    '{"name":"ITEM_ID","type":"string"},{"name":"TIMESTAMP","type":"long"}],"version":"1.0"}'
)


def bucket_policy(bucket: str) -> str:
    """What CreateTrail wants of a bucket, and what imports want."""
    who = '"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"}'
    return (
        f'{{"Version":"2012-10-17","Statement":[{{{who},"Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::{bucket}"}},'
        f'{{{who},"Action":"s3:PutObject","Resource":"arn:aws:s3:::{bucket}/AWSLogs/{ACCOUNT}/*",'
        '"Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}}},'
        '{"Effect":"Allow","Principal":{"Service":"personalize.amazonaws.com"},"Action":["s3:GetObject","s3:ListBucket"],'
        f'"Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]}}]}}'
    )


def made(server: Server, service: str, operation: str, **input: Any) -> bytes:
    """The answer's body of a call that must succeed."""
    got = call(server, service, operation, input)
    assert got.status < 300, (service, operation, got)
    return got.body


def prepare(server: Server) -> dict[str, Any]:
    """Makes one of everything and returns what things are called, by member name."""
    made(server, "s3", "CreateBucket", Bucket="box")
    made(server, "s3", "PutBucketPolicy", Bucket="box", Policy=bucket_policy("box"))
    made(server, "s3", "PutObject", Bucket="box", Key="key", Body=b"bytes")
    made(server, "cloudtrail", "CreateTrail", Name="trail", S3BucketName="box")
    made(server, "iam", "CreateUser", UserName="nurse")
    made(server, "iam", "CreateRole", RoleName="worker", AssumeRolePolicyDocument=TRUST)
    made(server, "iam", "PutUserPolicy", UserName="nurse", PolicyName="policy", PolicyDocument=POLICY)
    made(server, "iam", "PutRolePolicy", RoleName="worker", PolicyName="policy", PolicyDocument=POLICY)
    store = msgspec.json.decode(made(server, "healthlake", "CreateFHIRDatastore", DatastoreTypeVersion="R4"))
    schema = msgspec.json.decode(made(server, "personalize", "CreateSchema", name="schema", schema=AVRO))
    group = msgspec.json.decode(made(server, "personalize", "CreateDatasetGroup", name="group"))
    return {
        "UserName": "nurse", "RoleName": "worker", "PolicyName": "policy", "PolicyDocument": POLICY, "AssumeRolePolicyDocument": TRUST,
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/worker", "RoleSessionName": "shift", "Bucket": "box", "Key": "key",
        "Policy": bucket_policy("box"), "CopySource": "box/key", "Name": "trail", "UploadId": upload(server), "PartNumber": 1,
        "TrailName": "trail", "S3BucketName": "box", "ResourceARN": store["DatastoreArn"], "DatastoreId": store["DatastoreId"],
        "ResourceId": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/trail", "schemaArn": schema["schemaArn"], "schema": AVRO,
        "datasetGroupArn": group["datasetGroupArn"], "DatastoreTypeVersion": "R4", "DurationSeconds": 3600,
        **shop.opened(server, group["datasetGroupArn"], schema["schemaArn"]),
    }  # fmt: skip


def upload(server: Server) -> str:
    """An upload of one part that was begun."""
    found = re.search(rb"<UploadId>([^<]+)<", made(server, "s3", "CreateMultipartUpload", Bucket="box", Key="key"))
    assert found is not None
    id = found.group(1).decode()
    made(server, "s3", "UploadPart", Bucket="box", Key="key", UploadId=id, PartNumber=1, Body=PART)
    return id


def chief(server: Server) -> Credentials:
    """A user who may do everything; the root user may not assume roles."""
    call(server, "iam", "CreateUser", {"UserName": "chief"})
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    made(server, "iam", "PutUserPolicy", UserName="chief", PolicyName="all", PolicyDocument=policy)
    body = made(server, "iam", "CreateAccessKey", UserName="chief").decode()
    found = re.search(r"<AccessKeyId>([^<]+)<.*<SecretAccessKey>([^<]+)<", body, re.DOTALL)
    assert found is not None
    return Credentials(found.group(1), found.group(2))


PATIENT = b'{"resourceType":"Patient","id":"p1","name":[{"family":"Long","given":["A"]}],"birthDate":"1970-01-01"}'
FHIR = {
    "CreateResource": ("POST", "Patient", PATIENT),
    "UpdateResource": ("PUT", "Patient/p1", PATIENT),
    "ReadResource": ("GET", "Patient/p1", b""),
    "VersionReadResource": ("GET", "Patient/p1/_history/1", b""),
    "DeleteResource": ("DELETE", "Patient/p1", b""),
    "PatchResource": ("PATCH", "Patient/p1", b"[]"),
    "GetHistoryByResourceId": ("GET", "Patient/p1/_history", b""),
    "GetHistoryByResourceType": ("GET", "Patient/_history", b""),
    "GetFullHistory": ("GET", "_history", b""),
    "SearchWithGet": ("GET", "Patient", b""),
    "SearchWithPost": ("POST", "Patient/_search", b""),
    "ProcessBundle": ("POST", "", b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient"}}]}'),
    "ValidateResource": ("POST", "Patient/$validate", PATIENT),
    "SearchEverything": ("GET", "Patient/p1/$everything", b""),
    "ExpandValueSetWithGet": ("GET", "ValueSet/$expand", b""),
    "ExpandValueSetWithPost": ("POST", "ValueSet/$expand", b'{"resourceType":"Parameters"}'),
    "LookupCodeSystemWithGet": ("GET", "CodeSystem/$lookup", b""),
    "LookupCodeSystemWithPost": ("POST", "CodeSystem/$lookup", b'{"resourceType":"Parameters"}'),
    "TranslateConceptMapWithGet": ("GET", "ConceptMap/$translate", b""),
    "TranslateConceptMapWithPost": ("POST", "ConceptMap/$translate", b'{"resourceType":"Parameters"}'),
    "GetCapabilities": ("GET", "metadata", b""),
    "GetSmartConfiguration": ("GET", ".well-known/smart-configuration", b""),
    "StartFHIRExportJobWithPost": ("POST", "$export", b"{}"),
    "StartFHIRExportJobWithGet": ("GET", "$export", b""),
    "GetExportedFile": ("GET", f"export/{'a' * 32}/Patient/Patient-{'a' * 32}-1.ndjson", b""),
    "DescribeFHIRExportJobWithGet": ("GET", f"export/{'a' * 32}", b""),
    "CancelFHIRExportJobWithDelete": ("DELETE", f"export/{'a' * 32}", b""),
    "DescribeTransaction": ("GET", f"Transaction/{'a' * 32}", b""),
}


def settled(name: tuple[str, str]) -> tuple[int, int, tuple[str, str]]:
    """A sort key for operations: those that take things away come last, the deletions after the others."""
    kinds = ("Complete", "Untag", "Remove", "Abort", "Delete")
    return next((n for n, kind in enumerate(kinds, 1) if name[1].startswith(kind)), 0), -len(name[1]), name


def offered() -> list[tuple[str, str]]:
    """Every offered operation."""
    return [(service.name, name) for service in SERVICES for name in sorted(service.operations)]


def valid(service: str, operation: str, known: Mapping[str, Any], port: int, chance: random.Random, some: float = 0.3) -> Sent:
    """A request that the model allows, naming what is there where it can."""
    if service == "healthlake" and operation in FHIR:
        return fhir(operation, known, port)
    return serialized(service, operation, drawn(service, operation, known, chance, some if service != "s3" else some / 10), port)


def drawn(service: str, operation: str, known: Mapping[str, Any], chance: random.Random, some: float) -> dict[str, Any]:
    """An input that the model allows, naming what is there where it can; optional members are there with the chance `some`."""
    shape = model(service).operation_model(operation).input_shape
    input = samples.located(shape, chance, some) if shape is not None else {}
    for name in [name for name in input if name.startswith(("Checksum", "ContentMD5", "ContentLength"))]:
        del input[name]
    for name in input:
        if name in known and not (name == "Name" and service != "cloudtrail"):
            input[name] = known[name]
    if service == "s3" and operation in ("PutObject", "UploadPart"):
        input["Body"] = PART
    if operation == "CompleteMultipartUpload":
        input["MultipartUpload"] = {"Parts": [PART_OF_UPLOAD]}
    return input


def fhir(operation: str, known: Mapping[str, Any], port: int) -> Sent:
    """A valid FHIR request."""
    method, path, body = FHIR[operation]
    headers = (("host", f"127.0.0.1:{port}"), ("content-type", "application/fhir+json"))
    return Sent(method, f"/datastore/{known['DatastoreId']}/r4/{path}", "", headers, body, "healthlake")


def journal(folder: Path) -> list[dict[str, Any]]:
    """The records of the journal, oldest first."""
    with sqlite3.connect(f"file:{folder / 'main.db'}?mode=ro", uri=True) as database:
        return [msgspec.json.decode(bytes(row[0])) for row in database.execute("SELECT record FROM journal ORDER BY position")]
