"""FHIR requests signed with the credentials of an AWS session."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def fhir(credentials: Credentials, region: str, method: str, url: str, resource: Any = None, ca: str = "") -> tuple[int, dict[str, Any]]:
    """Sends one FHIR request. Returns the HTTP status and the answer's JSON ({} when it has none)."""
    body = json.dumps(resource).encode() if resource is not None else b""
    signed = AWSRequest(method, url, data=body, headers={"content-type": "application/fhir+json"} if body else {})
    SigV4Auth(credentials, "healthlake", region).add_auth(signed)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("a FHIR address begins with http:// or https://")
    request = urllib.request.Request(url, data=body or None, headers=dict(signed.headers), method=method)  # noqa: S310 - checked above
    context = ssl.create_default_context(cafile=ca) if ca else None
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310 - checked above
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else {}
