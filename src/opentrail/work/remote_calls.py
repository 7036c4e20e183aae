"""Service-made calls from a process that has no gateway: over HTTP, with botocore's stock client, signed by an internal session.

The caller is the service itself: `credentials` asks identity for a sealed session of the service principal, which the
serving process opens, so that the call is authenticated, authorised and recorded like everybody's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from msgspec.structs import replace

from opentrail.kernel.ambient import Clock
from opentrail.kernel.errors import Content, ServiceError, Unavailable
from opentrail.kernel.principal import Principal


class Credentials(NamedTuple):
    """An access key, its secret and the session token."""

    key: str
    secret: str
    token: str


CONNECT, READ = 3.0, 30.0
"""Seconds to wait for a connection, and for an answer: one dead endpoint delays the others by this much at most."""

_KEPT = 256
_ROLE = 1800.0
"""Seconds after which a role is assumed anew; its sessions last an hour."""


class RemoteCalls:
    """`Calls` over the wire. Thread safe. Retrying is the caller's part: each `make` is one request. `issuers` is a file of
    certificates that are trusted instead of the system's."""

    def __init__(self, endpoint: str, credentials: Callable[[Principal], Credentials], clock: Clock, issuers: str = "") -> None:
        self._endpoint = endpoint
        self._issuers = issuers or None
        self._credentials = credentials
        self._clock = clock
        self._roles: dict[Principal, tuple[float, Credentials]] = {}
        self._session = botocore.session.Session()
        self._clients: dict[tuple[str, str, str], tuple[Credentials, BaseClient]] = {}
        self._plain = URLLib3Session(verify=issuers or True, timeout=(CONNECT, READ))
        self._guard = threading.Lock()

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        """Performs one operation; see `calls.tools.Calls`. The service's errors and an endpoint that cannot be reached
        (Unavailable) are raised as ServiceError."""
        client = self._client(principal, region, service)
        members = dict(input)
        shape = client.meta.service_model.operation_model(operation).input_shape
        payload = shape.serialization.get("payload") if shape is not None else None
        if body and payload:
            members[payload] = body
        try:
            output = client._make_api_call(operation, members)
            return {name: _read(value) for name, value in output.items() if name != "ResponseMetadata"}
        except ClientError as error:
            answer = error.response
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            details = answer.get("Error", {})
            raise ServiceError(
                details.get("Code", "Unknown"), "{message}", status=status, message=Content(details.get("Message", ""))
            ) from error
        except BotoCoreError as error:
            raise Unavailable("{service} cannot be reached: {reason}", service=service, reason=type(error).__name__) from error

    def plain(
        self, principal: Principal, region: str, service: str, method: str, path: str, body: bytes = b"", content_type: str = ""
    ) -> tuple[int, bytes]:
        """Makes a call that no model names, such as FHIR's: the HTTP status and the answer's body. Raises Unavailable."""
        held = self._credentials(principal)
        headers = {"user-agent": principal.service} | ({"content-type": content_type} if content_type else {})
        request = AWSRequest(method, self._endpoint + path, headers=headers, data=body)
        SigV4Auth(BotoCredentials(held.key, held.secret, held.token), service, region).add_auth(request)
        try:
            answer = self._plain.send(request.prepare())
        except BotoCoreError as error:
            raise Unavailable("{service} cannot be reached: {reason}", service=service, reason=type(error).__name__) from error
        return answer.status_code, answer.content

    def _client(self, principal: Principal, region: str, service: str) -> BaseClient:
        credentials = self._in_role(principal, region) if principal.role else self._credentials(principal)
        place = (f"{principal.source_arn or principal.service} {principal.role}", region, service)
        with self._guard:
            held = self._clients.get(place)
            if held is None or held[0] != credentials:
                if len(self._clients) >= _KEPT:
                    self._clients.clear()
                held = self._clients[place] = (credentials, self._new_client(credentials, region, service))
        return held[1]

    def _in_role(self, principal: Principal, region: str) -> Credentials:
        """Credentials of the role that the service works in. Raises ServiceError when it may not assume it."""
        until, held = self._roles.get(principal, (0.0, None))
        if held is None or until < self._clock.now():
            input = {"RoleArn": principal.role, "RoleSessionName": principal.service.partition(".")[0]}
            issued = self.make(replace(principal, role=""), region, "sts", "AssumeRole", input)["Credentials"]
            held = Credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
            if len(self._roles) >= _KEPT:
                self._roles.clear()
            self._roles[principal] = self._clock.now() + _ROLE, held
        return held

    def _new_client(self, credentials: Credentials, region: str, service: str) -> BaseClient:
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            verify=self._issuers,
            aws_access_key_id=credentials.key,
            aws_secret_access_key=credentials.secret,
            aws_session_token=credentials.token,
            config=Config(
                connect_timeout=CONNECT,
                read_timeout=READ,
                retries={"total_max_attempts": 1},
                parameter_validation=False,
                proxies={},
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


def _read(value: Any) -> Any:
    """A streamed body as bytes."""
    return value.read() if hasattr(value, "read") else value
