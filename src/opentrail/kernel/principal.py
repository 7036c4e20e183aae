"""Who makes a call, as a plain value that identity produces, policies judge and the record renders as userIdentity."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["Root", "IAMUser", "AssumedRole", "FederatedUser", "AWSAccount", "AWSService", "WebIdentityUser"]


class Issuer(msgspec.Struct, frozen=True):
    """Who issued a session: a role for AssumedRole; a user or root for FederatedUser and session tokens."""

    kind: Literal["Role", "IAMUser", "Root"]
    principal_id: str
    arn: str
    account: str
    user_name: str


class Session(msgspec.Struct, frozen=True):
    """A temporary credential's story. `created` and `expires` are seconds since 1970."""

    created: float
    expires: float
    mfa: bool = False
    issuer: Issuer | None = None
    source_identity: str | None = None
    policies: tuple[str, ...] = ()
    """Session policies (JSON) that narrow what the session may do."""
    tags: tuple[tuple[str, str], ...] = ()


class WebIdentity(msgspec.Struct, frozen=True):
    """Who an identity provider says is calling: its issuer, and what its token names (`client_id`, `sub`, `patient`), never the token."""

    provider: str
    attributes: tuple[tuple[str, str], ...] = ()


class Principal(msgspec.Struct, frozen=True, cache_hash=True):
    """A caller whose signature or token was verified, or a service of OpenTrail itself.

    `arn` is what policies and errors name: for a role session the assumed-role ARN. For AWSService `arn` is empty and
    `service` names the service principal (`cloudtrail.amazonaws.com`); `source_arn` and `source_account` then say for
    what it works (the keys aws:SourceArn and aws:SourceAccount of policies).
    """

    kind: Kind
    account: str
    principal_id: str = ""
    arn: str = ""
    access_key: str = ""
    user_name: str = ""
    session: Session | None = None
    service: str = ""
    source_arn: str = ""
    source_account: str = ""
    invoked_by: str = ""
    """The service that acts in this role session, if one does."""
    role: str = ""
    """For AWSService: the ARN of a role in which the service is to work, once it has assumed it."""
    web_identity: WebIdentity | None = None
    """Set for WebIdentityUser, whose `account` is that of the resource that takes its provider's tokens."""


def service_principal(service: str, account: str, source_arn: str, role: str = "") -> Principal:
    """The service itself as a caller, working for `account` because of the resource `source_arn`; with `role`, in that role, which it
    assumes first (its trust policy must name the service)."""
    return Principal("AWSService", account=account, service=service, source_arn=source_arn, source_account=account, role=role)
