"""Amazon Resource Names: arn:partition:service:region:account:resource."""

from __future__ import annotations

from typing import NamedTuple


class Arn(NamedTuple):
    """The six parts. `resource` may contain colons and slashes."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def parse(text: str) -> Arn | None:
    """The parts of `text`, or None when it is no ARN."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2] or not parts[5]:
        return None
    return Arn(*parts[1:])


def service_of(text: str) -> str:
    """The service that an ARN names; empty for what is no ARN."""
    parts = text.split(":", 3)
    return parts[2] if len(parts) == 4 else ""


def build(service: str, region: str, account: str, resource: str) -> str:
    """The ARN's text in the `aws` partition."""
    return f"arn:aws:{service}:{region}:{account}:{resource}"
