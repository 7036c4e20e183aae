"""What Event history reads of a record: a typed view that decodes nothing else, a quarter of the full view's work."""

from __future__ import annotations

import msgspec


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One of the record's resources."""

    ARN: str = ""
    type: str = ""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The parts of userIdentity that name who called."""

    type: str = ""
    accessKeyId: str = ""
    userName: str = ""
    principalId: str = ""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """A record's fields that LookupEvents finds it by and shows. Absent optional fields are empty."""

    eventID: str
    eventName: str
    eventSource: str
    userIdentity: Identity
    readOnly: bool = False
    resources: list[Resource] = []

    @property
    def user_name(self) -> str:
        """The name Event history shows: the user's, else the role session's name, else `root` for the root user."""
        identity = self.userIdentity
        if identity.userName:
            return identity.userName
        if identity.type == "Root":
            return "root"
        return identity.principalId.partition(":")[2] if identity.type != "WebIdentityUser" else ""


_decoder = msgspec.json.Decoder(Facts)


def facts(record: bytes) -> Facts:
    """What Event history reads of a record of the journal."""
    return _decoder.decode(record)
