"""What wire tests share: callers of every kind, calls by stock clients, and the record that each call must leave.

`Story.call` is the heart: it makes one call with boto3, finds its record by the request id where a customer would (LookupEvents;
for data events the journal, from which the log files are cut), and compares every field.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlsplit

import boto3
import urllib3
from benchmarks.servers import ACCOUNT, Server
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.model import Shape

from opentrail.app import SERVICES
from opentrail.journal import read as journal
from opentrail.store.databases import open_database

REGION = "us-east-1"
RECENT = 400
"""Records at the journal's end among which a call's is looked for."""

SAME: Mapping[str, Any] = {}
"""As requestParameters: the whole input, its member names recased."""

READS = (
    *("Get", "List", "Describe", "Head", "Lookup", "Detect", "Infer", "Read", "VersionRead", "AssumeRole"),
    *("Search", "ValidateResource", "ExpandValueSet", "TranslateConceptMap"),
)
FIELDS = (
    *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent"),
    *("errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData", "requestID", "eventID", "readOnly"),
    *("resources", "eventType", "managementEvent", "recipientAccountId", "sharedEventID", "eventCategory"),
)
"""A record's fields in their order."""
OPTIONAL = {"errorCode", "errorMessage", "additionalEventData", "resources", "sharedEventID"}

_numbers = itertools.count(1)
_events = {service.name: service.event_source for service in SERVICES}
_signed = {service.name: service.signing_names[0] for service in SERVICES}
_global = {"iam"}


class Like:
    """Equal to every text that the pattern matches whole."""

    def __init__(self, pattern: str) -> None:
        self.pattern = re.compile(pattern)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.pattern.fullmatch(other) is not None

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"Like({self.pattern.pattern!r})"


UUID = Like(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECOND = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MOMENT = Like(r"[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M")


@dataclass(frozen=True)
class Caller:
    """Who calls: credentials, and the userIdentity that the records of its calls carry."""

    account: str
    key: str
    secret: str = field(repr=False)
    identity: Mapping[str, Any] = field(hash=False)
    token: str | None = None

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.key, self.secret, self.token)


def root(account: str, keys: Mapping[str, Credentials]) -> Caller:
    """The root user of an account."""
    key, secret = keys[account].access_key, keys[account].secret_key
    identity = {
        "type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root", "accountId": account, "accessKeyId": key,
    }  # fmt: skip
    return Caller(account, key, secret, identity)


class Live:
    """A running server and what reaches it: cached boto3 clients, plain signed HTTP, the journal."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._session = boto3.Session()
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._http = urllib3.PoolManager()
        self._main = open_database(server.settings, "main", writable=False)

    def close(self) -> None:
        self._main.close()
        self._http.clear()

    def client(self, service: str, caller: Caller, region: str, **config: Any) -> Any:
        """A stock client; made anew when it needs a configuration of its own."""
        place = (service, caller.key, region)
        if config or place not in self._clients:
            made = self._session.client(
                service, region_name=region, endpoint_url=self.server.url, aws_access_key_id=caller.key,
                aws_secret_access_key=caller.secret, aws_session_token=caller.token,
                config=Config(**{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}),
            )  # fmt: skip
            if config:
                return made
            self._clients[place] = made
        return self._clients[place]

    def signed(
        self, caller: Caller, service: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None,
        region: str = REGION, signer: type = SigV4Auth,
    ) -> AWSRequest:  # fmt: skip
        """A signed request that is not sent yet, for tests that spoil it first."""
        request = AWSRequest(method, self.server.url + path, data=body, headers=dict(headers or {}))
        signer(caller.credentials, service, region).add_auth(request)
        return request

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> urllib3.BaseHTTPResponse:
        """Sends a request as it is."""
        url = path if path.startswith("http") else self.server.url + path
        return self._http.request(method, url, headers=dict(headers), body=body or None, retries=False, redirect=False)

    def submit(self, request: AWSRequest) -> urllib3.BaseHTTPResponse:
        """Sends a signed request."""
        return self.send(request.method, request.url, dict(request.headers), request.data or b"")

    def journal(self, request_id: str) -> list[dict[str, Any]]:
        """The records of a call, as the journal holds them. What was done for the call later names it too, and is not one of them."""
        return [record for record in self.naming(request_id) if record["requestID"] == request_id]

    def naming(self, text: str) -> list[dict[str, Any]]:
        """The newest records in which the text is somewhere."""
        with self._main.read() as snapshot:
            head = journal.head(snapshot).position
            entries = journal.after(snapshot, max(0, head - RECENT), RECENT)
        return [json.loads(entry.record) for entry in entries if text.encode() in entry.record]

    def recent(self) -> list[dict[str, Any]]:
        """The newest records of the journal."""
        with self._main.read() as snapshot:
            head = journal.head(snapshot).position
            return [json.loads(entry.record) for entry in journal.after(snapshot, max(0, head - RECENT), RECENT)]


class Story:
    """One test's calls. `proven` are the operations that succeeded and whose record was compared."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.tag = f"{next(_numbers)}-{int(time.time() * 1000) % 10**8}"
        self.root = root(ACCOUNT, live.server.keys)
        self.proven: set[tuple[str, str]] = set()

    def name(self, stem: str) -> str:
        """A name that no other story uses."""
        return f"{stem}-{self.tag}"

    def client(self, service: str, caller: Caller | None = None, region: str = REGION, **config: Any) -> Any:
        return self.live.client(service, caller or self.root, region, **config)

    # callers

    def user(self, *allowed: tuple[str | Sequence[str], str | Sequence[str]], path: str = "/", owner: Caller | None = None) -> Caller:
        """An IAM user of the owner's account that may do these (actions, resources)."""
        iam, name = self.client("iam", owner), self.name(f"user{next(_numbers)}")
        user = iam.create_user(UserName=name, Path=path)["User"]
        if allowed:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*allowed))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        identity = {
            "type": "IAMUser", "principalId": user["UserId"], "arn": user["Arn"], "accountId": user["Arn"].split(":")[4],
            "accessKeyId": key["AccessKeyId"], "userName": name,
        }  # fmt: skip
        return Caller(identity["accountId"], key["AccessKeyId"], key["SecretAccessKey"], identity)

    def role(self, principal: str, *allowed: tuple[str | Sequence[str], str | Sequence[str]]) -> Mapping[str, Any]:
        """A role of the main account that `principal` (an ARN) may assume, as CreateRole shows it."""
        iam, name = self.client("iam"), self.name(f"role{next(_numbers)}")
        role: Mapping[str, Any] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(principal))["Role"]
        if allowed:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*allowed))
        return role

    def session(self, role: Mapping[str, Any], by: Caller, name: str = "shift") -> Caller:
        """A session of a role, assumed by a caller."""
        return assumed(role, name, self.client("sts", by).assume_role(RoleArn=role["Arn"], RoleSessionName=name))

    # calls and records

    def call(
        self, service: str, operation: str, input: Mapping[str, Any] | None = None, *, caller: Caller | None = None, region: str = REGION,
        request: Mapping[str, Any] | None = SAME, response: Mapping[str, Any] | None = None,
        resources: Iterable[tuple[str, Any]] = (), event: str = "", data: bool = False, error: str = "",
        recorded: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Makes a call, compares its record, returns the answer; with `error`, the error's answer. `resources` are (type, ARN);
        `recorded` is the error's code in the record where the wire's is another."""
        caller, input = caller or self.root, input or {}
        client = self.client(service, caller, region)
        try:
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**input)
            code = ""
        except ClientError as refused:
            answer, code = refused.response, refused.response["Error"]["Code"]
        assert code == error, answer
        if request is SAME:
            request = recased(client.meta.service_model.operation_model(operation).input_shape, input) or None
        wanted = Wanted(
            _events[service], event or operation, operation.startswith(READS), request, response, tuple(resources), data, recorded or error,
            REGION if service in _global else region,
        )  # fmt: skip
        self.check(caller, answer["ResponseMetadata"]["RequestId"], wanted)
        if not error:
            self.proven.add((service, operation))
        return answer

    def fhir(
        self, operation: str, method: str, path: str, resource: Any = None, *, caller: Caller | None = None, status: int = 200,
        request: Mapping[str, Any] | None = None, resources: Iterable[tuple[str, Any]] = (), error: str = "",
        headers: Mapping[str, str] | None = None, region: str = REGION,
    ) -> tuple[dict[str, Any], Mapping[str, str]]:  # fmt: skip
        """A signed FHIR call below /datastore; the answer's JSON ({} when it has none) and headers, after its record was compared."""
        caller = caller or self.root
        body = b"" if resource is None else resource if isinstance(resource, bytes) else json.dumps(resource).encode()
        sent = {**({"content-type": "application/fhir+json"} if body else {}), **(headers or {})}
        answer = self.live.submit(self.live.signed(caller, "healthlake", method, "/datastore" + path, body, sent, region))
        assert answer.status == status, answer.data
        wanted = Wanted(
            "healthlake.amazonaws.com",
            operation,
            operation.startswith(READS),
            request,
            None,
            resources if resources is ANY else tuple(resources),
            False,
            error,
            region,
        )
        self.check(caller, answer.headers["x-amzn-requestid"], wanted)
        if not error:
            self.proven.add(("healthlake", operation))
        return json.loads(answer.data) if answer.data else {}, answer.headers

    def check(self, caller: Caller, request_id: str, wanted: Wanted) -> dict[str, Any]:
        """Finds the one record of a call and compares it; returns it."""
        if wanted.data:
            found = [one for one in self.live.journal(request_id) if one["recipientAccountId"] == caller.account]
        else:
            found = self.looked_up(caller.account, wanted.region, wanted.event, request_id)
        assert len(found) == 1, f"{len(found)} records of {wanted.event} {request_id}"
        compare(found[0], caller, request_id, wanted)
        return found[0]

    def looked_up(self, account: str, region: str, event: str, request_id: str) -> list[dict[str, Any]]:
        """The records of a call that LookupEvents gives to the account's root user, each checked against its frame."""
        cloudtrail = self.client("cloudtrail", root(account, self.live.server.keys), region)
        events = cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": event}])["Events"]
        found = []
        for one in events:
            record = json.loads(one["CloudTrailEvent"])
            if record["requestID"] == request_id:
                check_frame(one, record)
                found.append(record)
        return found


@dataclass(frozen=True)
class Wanted:
    """What a call's record must say."""

    source: str
    event: str
    read_only: bool
    request: Mapping[str, Any] | None
    response: Mapping[str, Any] | None
    resources: tuple[tuple[str, str], ...]
    data: bool
    error: str
    region: str


def compare(record: Mapping[str, Any], caller: Caller, request_id: str, wanted: Wanted) -> None:
    """Every field of the record, and their order."""
    assert [name for name in FIELDS if name in record] == list(record)
    assert set(FIELDS) - OPTIONAL <= set(record)
    assert record["userIdentity"] == caller.identity, record
    assert (record["eventName"], record["eventSource"]) == (wanted.event, wanted.source)
    assert record["requestParameters"] == wanted.request
    assert record["responseElements"] == (None if wanted.error else wanted.response)
    assert record.get("errorCode", "") == wanted.error
    assert ("errorMessage" in record) is bool(wanted.error)
    assert tuple((one["type"], one["ARN"]) for one in record.get("resources", ())) == wanted.resources
    fixed = {
        "eventVersion": "1.11", "eventTime": SECOND, "awsRegion": wanted.region, "sourceIPAddress": "127.0.0.1",
        "userAgent": ANY, "requestID": request_id, "eventID": UUID, "readOnly": wanted.read_only, "eventType": "AwsApiCall",
        "managementEvent": not wanted.data, "recipientAccountId": caller.account,
        "eventCategory": "Data" if wanted.data else "Management",
    }  # fmt: skip
    assert {name: record[name] for name in fixed} == fixed


def check_frame(event: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """What LookupEvents says beside the record is what the record says."""
    assert event["EventId"] == record["eventID"]
    assert event["EventName"] == record["eventName"]
    assert event["EventSource"] == record["eventSource"]
    assert event["ReadOnly"] == ("true" if record["readOnly"] else "false")
    assert event.get("AccessKeyId") == record["userIdentity"].get("accessKeyId")
    assert event["EventTime"].strftime("%Y-%m-%dT%H:%M:%SZ") == time.strftime("%Y-%m-%dT%H:%M:%SZ", event["EventTime"].timetuple())
    named = [(one["ResourceType"], one["ResourceName"]) for one in event["Resources"]]
    assert named == [(one["type"], one["ARN"]) for one in record.get("resources", ())]


def recased(shape: Shape | None, value: Any) -> Any:
    """An input as records show it: members of structures begin small, map keys stay."""
    if shape is None:
        return {}
    if shape.type_name == "structure":
        return {name[:1].lower() + name[1:]: recased(shape.members[name], inner) for name, inner in value.items()}
    if shape.type_name == "list":
        return [recased(shape.member, inner) for inner in value]
    return value


def policy(*allowed: tuple[str | Sequence[str], str | Sequence[str]]) -> str:
    """An identity policy that allows these (actions, resources)."""
    statements = [{"Effect": "Allow", "Action": actions, "Resource": resources} for actions, resources in allowed]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def trust(principal: str) -> str:
    """A trust policy for one principal."""
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]}
    )


def assumed(role: Mapping[str, Any], session: str, answer: Mapping[str, Any]) -> Caller:
    """The caller that AssumeRole's answer makes."""
    account, given = role["Arn"].split(":")[4], answer["Credentials"]
    issuer = {
        "type": "Role", "principalId": role["RoleId"], "arn": role["Arn"], "accountId": account, "userName": role["RoleName"],
    }  # fmt: skip
    identity = {
        "type": "AssumedRole", "principalId": f"{role['RoleId']}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session}", "accountId": account,
        "accessKeyId": given["AccessKeyId"],
        "sessionContext": {
            "sessionIssuer": issuer, "webIdFederationData": {}, "attributes": {"creationDate": SECOND, "mfaAuthenticated": "false"},
        },
    }  # fmt: skip
    return Caller(account, given["AccessKeyId"], given["SecretAccessKey"], identity, given["SessionToken"])


def host(live: Live) -> str:
    """The Host header of plain requests."""
    return urlsplit(live.server.url).netloc
