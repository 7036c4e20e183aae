"""No content and no secret leaves a call for the trail, a log line, a metric or another caller; identifiers are kept.

Every field of every offered operation is in one class. From the operations' allow-lists (audit.py): what is kept is an
identifier or a setting, what is dropped or hidden is content. What stands in no model is listed here:

| field                                                                   | class      |
|-------------------------------------------------------------------------|------------|
| FHIR: body (readable or not), search parameters, form, conditional headers | content |
| FHIR: data store id, resource type, resource id, version                | identifier |
| S3: object bytes, metadata, content headers, customer keys, tagging     | content    |
| S3: bucket, key, prefix, policy document, bucket tags                   | identifier |
| Comprehend Medical: texts, in JSON and CBOR; batch files: see test_batch_jobs | content    |
| Comprehend Medical: a job's name, places, role, token                   | identifier |
| CloudTrail: a trail's name, also one that breaks its rules              | identifier |
| HealthLake, Personalize: tag values                                     | content    |
| IAM, CloudTrail: tags; policy documents; schema texts (as AWS keeps them) | identifier |
| values that break a rule, members no model has, names of nothing known, page tokens | content |
| secret keys, session tokens, the master key                             | secret: in no file in clear either |
"""

from __future__ import annotations

import gzip
import itertools
import random
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from benchmarks.servers import Server

from opentrail.app import SERVICES
from opentrail.contract.models import model
from tests.fault import live
from tests.fault.live import Got, Sent
from tests.unit.contract import samples

BY_ARN = {("s3", "DeleteObjects", "Delete.Objects[].Key")}
"""Identifiers that are dropped from the parameters and kept as the ARNs of the record's resources."""

_numbers = itertools.count(1)


def canary(kind: str) -> str:
    """A text that occurs nowhere else, and that most patterns allow."""
    return f"canary{kind}{next(_numbers):05d}x"


def planted(shape: Any, path: list[str], text: str) -> Any:
    """A value of the shape with what it requires, and `text` at the path."""
    if not path:
        return text.encode() if shape.type_name == "blob" else text
    first, *rest = path
    if first == "[]":
        return [planted(shape.member, rest, text)]
    if first == "{}":
        return {"a": planted(shape.value, rest, text)}
    found = samples.value(shape, random.Random(1), 0.0, plain=True)
    return {**found, first: planted(shape.members[first], rest, text)}


def leaf(shape: Any, path: list[str]) -> Any:
    for part in path:
        shape = shape.member if part == "[]" else shape.value if part == "{}" else shape.members[part]
    return shape


def leaves(service: str, operation: str, paths: tuple[str, ...]) -> Iterator[list[str]]:
    """The paths that hold free text, taken apart; a structure named as a whole stands for its first text."""
    shape = model(service).operation_model(operation).input_shape
    for path in paths:
        parts = [part for part in path.replace("[]", ".[]").replace("{}", ".{}").split(".") if part not in ("", "*")]
        found = leaf(shape, parts)
        while found.type_name in ("structure", "list", "map"):
            step = next(iter(found.members)) if found.type_name == "structure" else "[]" if found.type_name == "list" else "{}"
            parts = [*parts, step]
            found = leaf(shape, parts)
        if found.type_name in ("string", "blob") and not getattr(found, "enum", None):
            yield parts


class Trial:
    """A server with a logging trail, everything that was sent to it, and what must and must not be found."""

    def __init__(self, server: Server) -> None:
        self.server, self.known = server, live.prepare(server)
        live.made(server, "cloudtrail", "StartLogging", Name="trail")
        self.never: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        self.secrets = {server.credentials.secret_key: "root key", (server.folder / "master.key").read_text().strip(): "master key"}

    def content(self, what: str) -> str:
        text = canary("never")
        self.never[text] = what
        return text

    def identifier(self, what: str) -> str:
        text = canary("kept")
        self.kept[text] = what
        return text

    def send(self, *sent: Sent) -> list[Got]:
        return live.send_all(self.server.port, [live.raw(live.signed(one, self.server.credentials)) for one in sent], 8)

    def fhir(self, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Sent:
        plain = live.fhir("GetCapabilities", self.known, self.server.port)
        root = plain.path.removesuffix("metadata")
        lines = (*plain.headers, *((name.replace("_", "-"), value) for name, value in headers.items()))
        return replace(plain, method=method, path=root + path, query=query, body=body, headers=lines)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with live.server(tmp_path_factory.mktemp("canary"), "--flush-interval", "1s", "--digest-interval", "2s") as running:
        trial = Trial(running)
        by_model(trial)
        by_hand(trial)
        secrets(trial)
        yield trial


def by_model(trial: Trial) -> None:
    """A canary in every free text of every offered operation: kept ones as identifiers, dropped and hidden ones as content."""
    sent = []
    for service in SERVICES:
        for name in service.operations:
            if service.fhir and name in live.FHIR:
                continue
            audit = service.audit[name]
            shape = model(service.name).operation_model(name).input_shape
            for path in leaves(service.name, name, (*audit.drop, *audit.hide)):
                dotted = ".".join(path).replace(".[]", "[]").replace(".{}", "{}")
                kind = trial.identifier if (service.name, name, dotted) in BY_ARN else trial.content
                input = planted(shape, path, kind(f"{service.name}.{name} {dotted}"))
                for member in input:
                    if member in trial.known and member != path[0]:
                        input[member] = trial.known[member]
                sent.append(live.serialized(service.name, name, input, trial.server.port))
    answers = trial.send(*sent)
    assert all(200 <= got.status < 500 or got.status == 501 for got in answers)
    assert sum(got.status < 300 for got in answers) > 20


def bundled(method: str, url: str, resource: str, kind: str = "batch") -> bytes:
    """A bundle of one entry."""
    entry = f'{{"request":{{"method":"{method}","url":"{url}"}},"resource":{resource}}}'
    return f'{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}'.encode()


def by_hand(trial: Trial) -> None:
    """FHIR, broken values, names of nothing, and identifiers that must be kept."""
    secret, name = trial.content, trial.identifier
    patient = '{{"resourceType":"Patient","id":"{}","name":[{{"family":"{}"}}]}}'
    kept = name("FHIR id")
    got = trial.send(
        trial.fhir("POST", "Patient", body=patient.format("x", secret("FHIR create")).encode()),
        trial.fhir("PUT", f"Patient/{kept}", body=patient.format(kept, secret("FHIR update")).encode()),
    )
    assert [one.status for one in got] == [201, 201]
    trial.send(
        trial.fhir("POST", "Patient", body=f'{{"resourceType":"{secret("FHIR type in body")}"}}'.encode()),
        trial.fhir("POST", "Patient", body=f'{{"broken": {secret("FHIR not JSON")}'.encode()),
        trial.fhir("POST", "Patient", body=f'{{"resourceType":"Patient","meta":"{secret("FHIR meta")}"}}'.encode()),
        trial.fhir("PUT", "Patient/other", body=patient.format(secret("FHIR other id in body"), "a").encode()),
        trial.fhir("PUT", f"Patient/{kept}", body=patient.format(kept, "a").encode(), if_match=secret("FHIR If-Match")),
        trial.fhir("PUT", "Patient", f"identifier={secret('conditional update')}", body=b'{"resourceType":"Patient"}'),
        trial.fhir("POST", "Patient", body=b'{"resourceType":"Patient"}', if_none_exist=f"name={secret('If-None-Exist')}"),
        trial.fhir("GET", "Patient", f"name={secret('search value')}&{secret('search name')}=a"),
        trial.fhir(
            "POST", "Patient/_search", body=f"family={secret('search form')}".encode(), content_type="application/x-www-form-urlencoded"
        ),
        trial.fhir("GET", f"Patient/{kept}", if_none_match=f'W/"{secret("If-None-Match")}"'),
        trial.fhir("PATCH", f"Patient/{kept}", body=f'[{{"value":"{secret("patch")}"}}]'.encode()),
        trial.fhir("POST", "", body=f'{{"resourceType":"Bundle","id":"{secret("bundle")}"}}'.encode()),
        trial.fhir("GET", f"Patient/{kept}/_history/{secret('no version')}" + "/x"),
        trial.fhir("GET", "ValueSet/$expand", f"filter={secret('operation parameter')}"),
        trial.fhir("GET", "Patient", f"family={secret('chained value')}&general-practitioner.name={secret('chain')}&_include=Patient:link"),
        trial.fhir("GET", "Patient", f"{secret('lenient name')}=a", prefer="handling=lenient"),
        trial.fhir("GET", "Patient", f"page={secret('page token')}"),
        trial.fhir("POST", "Patient/$validate", f"profile={secret('profile')}", patient.format("x", secret("validated")).encode()),
        trial.fhir("POST", "", body=bundled("POST", "Patient", patient.format("x", secret("in a batch")))),
        trial.fhir("POST", "", body=bundled("PUT", f"Patient?family={secret('condition in a batch')}", '{"resourceType":"Patient"}')),
        trial.fhir("POST", "", body=bundled("GET", f"Patient?family={secret('search in a batch')}", "{}")),
        trial.fhir("POST", "", body=bundled("GET", "Patient/x", patient.format("x", secret("refused")), "transaction")),
        trial.fhir(
            "PATCH",
            f"Patient/{kept}",
            body=f'[{{"op":"add","path":"/gender","value":"{secret("patched")}"}}]'.encode(),
            content_type="application/json-patch+json",
        ),
    )
    sent = []
    for service, operation, input in (
        ("cloudtrail", "CreateTrail", {"Name": name("bad trail name") + "!", "S3BucketName": "box"}),
        ("healthlake", "CreateFHIRDatastore", {"DatastoreTypeVersion": secret("bad enum")}),
        ("healthlake", "CreateFHIRDatastore", {"DatastoreTypeVersion": "R4", "DatastoreName": secret("bad pattern") + "\x01"}),
        ("healthlake", "TagResource", {"ResourceARN": trial.known["ResourceARN"], "Tags": [{"Key": "k", "Value": secret("tag value")}]}),
        ("healthlake", "CreateFHIRDatastore", {"DatastoreTypeVersion": "R4", "Tags": [{"Key": "k", "Value": secret("tag of a new store")}]}),
        ("personalize", "CreateSchema", {"name": "b", "schema": f'{{"type":"{name("schema text that is refused")}"}}'}),
        ("personalize", "CreateDatasetGroup", {"name": secret("bad group") + "!"}),
        ("iam", "CreateUser", {"UserName": secret("bad user") + "!"}),
        ("sts", "AssumeRole", {"RoleArn": trial.known["RoleArn"], "RoleSessionName": secret("bad session") + "!"}),
        ("cloudtrail", "LookupEvents", {"NextToken": secret("page token")}),
        ("s3", "PutObject", {"Bucket": "box", "Key": "c", "Body": secret("object").encode(), "Metadata": {"a": secret("metadata")}}),
        ("s3", "PutObject", {"Bucket": "box", "Key": "c", "Body": b"", "ContentDisposition": secret("disposition"), "CacheControl": secret("cache")}),
        ("s3", "PutObject", {"Bucket": "box", "Key": "c", "Body": b"", "SSECustomerKey": secret("customer key"), "Tagging": f"a={secret('tagging')}"}),
        ("healthlake", "CreateFHIRDatastore", {"DatastoreTypeVersion": "R4", "DatastoreName": name("data store name")}),
        ("cloudtrail", "CreateTrail", {"Name": name("trail name"), "S3BucketName": "box"}),
        ("cloudtrail", "AddTags", {"ResourceId": trial.known["ResourceId"], "TagsList": [{"Key": "k", "Value": name("trail tag")}]}),
        ("iam", "CreateUser", {"UserName": name("user name"), "Tags": [{"Key": "k", "Value": name("user tag")}]}),
        ("iam", "PutUserPolicy", {"UserName": "nurse", "PolicyName": name("policy name"), "PolicyDocument": live.POLICY.replace(
            "*", name("policy document"))}),
        ("personalize", "CreateSchema", {"name": name("schema name"), "schema": live.AVRO.replace("Interactions", name("schema text"))}),
        ("personalize", "CreateDatasetGroup", {"name": name("group name")}),
        ("s3", "CreateBucket", {"Bucket": name("bucket")}),
        ("s3", "PutObject", {"Bucket": "box", "Key": name("object key"), "Body": b""}),
        ("s3", "ListObjectsV2", {"Bucket": "box", "Prefix": name("prefix")}),
        ("comprehendmedical", "StartPHIDetectionJob", {
            "InputDataConfig": {"S3Bucket": "box", "S3Key": name("input key")}, "OutputDataConfig": {"S3Bucket": "box", "S3Key": name("output key")},
            "DataAccessRoleArn": trial.known["RoleArn"], "LanguageCode": "en", "JobName": name("job name"), "ClientRequestToken": name("job token")}),
        ("comprehendmedical", "ListPHIDetectionJobs", {"Filter": {"JobName": name("filtered name")}, "NextToken": secret("job page")}),
    ):  # fmt: skip
        sent.append(live.serialized(service, operation, input, trial.server.port))
    plain = live.serialized("cloudtrail", "ListTrails", {}, trial.server.port)
    sent += [
        replace(plain, body=f'{{"Nope":"{secret("unknown member")}"}}'.encode()),
        replace(plain, body=f'{{"NextToken":{{"{secret("wrong type")}":1}}}}'.encode()),
        replace(plain, body=secret("not JSON").encode()),
        replace(plain, query=f"a={secret('query')}"),
        replace(plain, headers=(*plain.headers, ("x-amz-meta", secret("a header")), ("cookie", secret("a cookie")))),
        replace(plain, headers=(plain.headers[0], ("x-amz-target", f"CloudTrail_20131101.{secret('unknown target')}"))),
        replace(plain, signing=secret("unknown service")),
        Sent("GET", f"/{secret('no FHIR path')}/datastore", "", plain.headers[:1], b"", "healthlake"),
        Sent("POST", "/", "", plain.headers[:1], f"Action={secret('unknown action')}&Version={secret('version')}".encode(), "iam"),
    ]
    sent += [in_cbor(trial, "DetectPHI", body) for body in (
        cbor2.dumps({"Text": secret("text in CBOR")}), cbor2.dumps({secret("member in CBOR"): 1, "Text": [secret("mistyped in CBOR")]}),
        secret("not CBOR").encode(), cbor2.dumps({"Text": cbor2.CBORTag(2, secret("tagged in CBOR"))}),
    )]  # fmt: skip
    trial.send(*sent)
    unsigned = replace(plain, headers=(*plain.headers, ("authorization", f"Bearer {secret('bearer token')}")))
    asked = live.fhir("ReadResource", trial.known, trial.server.port)
    with_token = replace(asked, headers=(*asked.headers, ("authorization", f"Bearer {secret('FHIR bearer token')}")))
    live.send_all(trial.server.port, [live.raw(unsigned), live.raw(with_token)])


def in_cbor(trial: Trial, operation: str, body: bytes) -> Sent:
    """A call of Comprehend Medical in RPC-v2-CBOR."""
    plain = live.serialized("comprehendmedical", operation, {"Text": "a"}, trial.server.port)
    headers = (plain.headers[0], ("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"))
    return replace(plain, path=f"/service/ComprehendMedical_20181030/operation/{operation}", headers=headers, body=body)


def secrets(trial: Trial) -> None:
    """Secrets that the server itself makes."""
    for service, operation, input in (
        ("iam", "CreateAccessKey", {"UserName": "nurse"}),
        ("sts", "GetSessionToken", {}),
        ("sts", "GetFederationToken", {"Name": "guest", "Policy": live.POLICY}),
    ):
        body = live.made(trial.server, service, operation, **input).decode()
        for name in ("SecretAccessKey", "SessionToken"):
            for text in re.findall(f"<{name}>([^<]+)<", body):
                trial.secrets[text] = f"{operation} {name}"


def journal_text(trial: Trial) -> str:
    return "\n".join(str(record) for record in live.journal(trial.server.folder))


def present(texts: dict[str, str], where: str) -> list[str]:
    found = set(re.findall(r"canary(?:kept|never)\d{5}x", where))
    return [f"{text}: {what}" for text, what in texts.items() if text in found or (not text.startswith("canary") and text in where)]


def test_every_identifier_is_in_the_journal_and_no_content(trial: Trial) -> None:
    records = journal_text(trial)
    assert present(trial.never, records) == []
    assert present(trial.secrets, records) == []
    missing = set(trial.kept.values()) - {line.partition(": ")[2] for line in present(trial.kept, records)}
    assert not missing


def test_no_content_in_logs_metrics_and_health(trial: Trial) -> None:
    pages = live.send_all(
        trial.server.port, [b"GET /_opentrail/%s HTTP/1.1\r\nhost: a\r\n\r\n" % page for page in (b"metrics", b"health")], 1
    )
    assert [page.status for page in pages] == [200, 200]
    said = trial.server.log.read_text() + "".join(page.body.decode() for page in pages)
    assert present({**trial.never, **trial.secrets, **trial.kept}, said) == []


def test_no_content_in_history_and_delivery_databases(trial: Trial) -> None:
    held = b"".join(file.read_bytes() for name in ("history", "delivery") for file in trial.server.folder.glob(f"{name}.db*"))
    assert present({**trial.never, **trial.secrets}, held.decode("latin-1")) == []


def test_secrets_are_in_no_file_in_clear(trial: Trial) -> None:
    for file in trial.server.folder.rglob("*"):
        if file.is_file() and file.name not in ("credentials", "master.key"):
            assert present(trial.secrets, file.read_bytes().decode("latin-1")) == [], file


def test_no_content_in_log_files(trial: Trial) -> None:
    """The log files in the bucket hold the identifiers, once delivered, and never content."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        delivered = "".join(log_files(trial.server.folder / "objects"))
        if len(present(trial.kept, delivered)) > len(trial.kept) // 2:
            break
        time.sleep(0.3)
    assert len(present(trial.kept, delivered)) > len(trial.kept) // 2
    assert present({**trial.never, **trial.secrets}, delivered) == []


def log_files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        if file.is_file() and file.open("rb").read(2) == b"\x1f\x8b":
            try:
                yield gzip.decompress(file.read_bytes()).decode()
            except (EOFError, OSError, zlib.error):  # still being written
                continue


def test_another_caller_learns_nothing_from_errors(trial: Trial) -> None:
    """A user without rights asks for everything that there is: no answer quotes what others put there."""
    body = live.made(trial.server, "iam", "CreateAccessKey", UserName="nurse").decode()
    keys = re.search(r"<AccessKeyId>([^<]+)<.*<SecretAccessKey>([^<]+)<", body, re.DOTALL)
    assert keys is not None
    nurse, port = live.Credentials(keys.group(1), keys.group(2)), trial.server.port
    sent = [live.valid(service, name, trial.known, port, random.Random(name), 0.0) for service, name in live.offered()]
    got = live.send_all(port, [live.raw(live.signed(one, nurse)) for one in sent])
    assert sum(one.status == 403 for one in got) > 60
    refused = "".join(one.body.decode() for one in got if one.status >= 400)
    assert present({**trial.never, **trial.secrets, **trial.kept}, refused) == []
