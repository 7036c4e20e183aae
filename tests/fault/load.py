"""Clients that call a server without pause, and remember what they were told."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.servers import REGION
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CLOUDTRAIL = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"


class Told(NamedTuple):
    """One call and its whole answer. `agent` is its user agent, no other call's; `status` 0: no complete answer came."""

    agent: str
    kind: str
    status: int
    request_id: str = ""
    body: bytes = b""

    @property
    def answered(self) -> bool:
        """Whether it was served: an answer came, and not one that refuses all service."""
        return self.status not in (0, 503)

    @property
    def done(self) -> bool:
        """Whether it was told that its effect is there."""
        return 200 <= self.status < 300


class Asked(NamedTuple):
    """A request before it is signed."""

    method: str
    path: str
    service: str
    body: bytes
    headers: Mapping[str, str]


def cloudtrail(operation: str, input: Mapping[str, object]) -> Asked:
    """A call of CloudTrail."""
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"{CLOUDTRAIL}.{operation}"}
    return Asked("POST", "/", "cloudtrail", json.dumps(input).encode(), headers)


def user(name: str) -> Asked:
    """CreateUser."""
    body = f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode()
    return Asked("POST", "/", "iam", body, {"content-type": "application/x-www-form-urlencoded"})


def put_object(bucket: str, key: str, body: bytes) -> Asked:
    """PutObject."""
    return Asked("PUT", f"/{bucket}/{key}", "s3", body, {"x-amz-content-sha256": hashlib.sha256(body).hexdigest()})


def patient(datastore: str, method: str = "POST", id: str = "", family: str = "Example") -> Asked:
    """CreateResource or, with an id, UpdateResource or ReadResource."""
    resource = {"resourceType": "Patient", "name": [{"family": family}], **({"id": id} if id else {})}
    body = b"" if method == "GET" else json.dumps(resource).encode()
    path = f"/datastore/{datastore}/r4/Patient" + (f"/{id}" if id else "")
    return Asked(method, path, "healthlake", body, {"content-type": "application/fhir+json"} if body else {})


CROWD = tuple(f"crowd-{number:03}-{'x' * 50}" for number in range(100))
"""Patients whose names are more than a record has room for."""


def crowd(datastore: str) -> Asked:
    """A transaction that makes them."""
    resources = [{"resourceType": "Patient", "id": id, "name": [{"family": "Crowd"}]} for id in CROWD]
    entries = [{"resource": one, "request": {"method": "PUT", "url": f"Patient/{one['id']}"}} for one in resources]
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
    return Asked("POST", f"/datastore/{datastore}/r4/", "healthlake", body, {"content-type": "application/fhir+json"})


def search(datastore: str) -> Asked:
    """SearchWithGet of all of them."""
    return Asked("GET", f"/datastore/{datastore}/r4/Patient?_count=100&_sort=_id&family=crowd", "healthlake", b"", {})


def signed(asked: Asked, agent: str, url: str, credentials: Credentials) -> AWSRequest:
    """The request with its signature."""
    headers = {**asked.headers, "user-agent": agent}
    request = AWSRequest(asked.method, url + asked.path, data=asked.body, headers=headers)
    (S3SigV4Auth if asked.service == "s3" else SigV4Auth)(credentials, asked.service, REGION).add_auth(request)
    return request


class Client:
    """One kept-open connection."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.url = url
        self.credentials = credentials
        self._connection: http.client.HTTPConnection | None = None

    def call(self, agent: str, kind: str, asked: Asked) -> Told:
        """Makes one call, once."""
        request = signed(asked, agent, self.url, self.credentials)
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
            self._connection.request(asked.method, asked.path, body=asked.body, headers=dict(request.headers.items()))
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return Told(agent, kind, 0)
        return Told(agent, kind, answer.status, answer.getheader("x-amzn-requestid") or answer.getheader("x-amz-request-id") or "", body)

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Load:
    """Threads that call until `stop`. `bucket` and `datastore` are there; `tag` sets this load's agents apart."""

    url: str
    credentials: Credentials
    tag: str
    bucket: str
    datastore: str
    threads: int = 4
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._running = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(self.threads)]

    def start(self) -> None:
        for thread in self._running:
            thread.start()

    def stop(self) -> list[Told]:
        """Lets every call end. What was told."""
        self._stop.set()
        for thread in self._running:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._running), "a call hangs"
        return self.told

    def _run(self, thread: int) -> None:
        chance = random.Random(f"{self.tag} {thread}")
        client = Client(self.url, self.credentials)
        number = 0
        while not self._stop.is_set():
            number += 1
            agent = f"{self.tag}-{thread}-{number}"
            kind = chance.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
            told = client.call(agent, kind, KINDS[kind][1](self, agent))
            self.told.append(told)
            if not told.answered:
                self._stop.wait(0.02)
        client.close()


KINDS: Mapping[str, tuple[int, Callable[[Load, str], Asked]]] = {
    "read": (40, lambda load, agent: cloudtrail("DescribeTrails", {})),
    "refused": (10, lambda load, agent: cloudtrail("GetTrailStatus", {"Name": "no-such-trail"})),
    "user": (20, lambda load, agent: user(agent)),
    "object": (15, lambda load, agent: put_object(load.bucket, agent, agent.encode())),
    "patient": (15, lambda load, agent: patient(load.datastore)),
    "search": (10, lambda load, agent: search(load.datastore)),
}
"""Kinds of calls, how often each is made, and how."""
