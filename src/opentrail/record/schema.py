"""What a record holds, as its readers see it: a typed view over the JSON (schema 1.11) that decodes only what they use.

Source: CloudTrail record contents, https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from typing import Any

import msgspec


class Resource(msgspec.Struct, frozen=True):
    """One of the record's resources."""

    ARN: str = ""
    type: str = ""
    accountId: str = ""


class Identity(msgspec.Struct, frozen=True):
    """The parts of userIdentity that selectors and verification read."""

    type: str = ""
    arn: str = ""
    accountId: str = ""
    accessKeyId: str = ""
    userName: str = ""
    principalId: str = ""
    invokedBy: str = ""
    sessionContext: dict[str, Any] = {}


class View(msgspec.Struct, frozen=True):
    """A record's fields that selectors and verification read. Absent optional fields are empty."""

    eventID: str
    eventTime: str
    eventName: str
    eventSource: str
    awsRegion: str
    userIdentity: Identity
    sourceIPAddress: str = ""
    userAgent: str | None = None
    eventType: str = "AwsApiCall"
    readOnly: bool = False
    managementEvent: bool = True
    eventCategory: str = "Management"
    recipientAccountId: str = ""
    requestID: str = ""
    errorCode: str = ""
    errorMessage: str = ""
    resources: list[Resource] = []
    sessionCredentialFromConsole: str = ""
    vpcEndpointId: str = ""


_decoder = msgspec.json.Decoder(View)


def view(record: bytes) -> View:
    """The typed view of a record of the journal."""
    return _decoder.decode(record)
