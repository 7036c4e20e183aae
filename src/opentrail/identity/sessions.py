"""Temporary credentials. A session token is a sealed blob that holds everything of the session: there is no row to look up.

A session ends at its time, when the role, user or account that it came from is gone, or when `store.revoke_sessions`
said so; what its role or user may do is read anew, never sealed in.
"""

from __future__ import annotations

import base64

import msgspec
from msgspec.structs import replace

from opentrail.identity import store
from opentrail.identity.refusals import Rejected
from opentrail.kernel.ambient import Ids
from opentrail.kernel.principal import Principal, Session
from opentrail.kernel.sealing import BadSeal, Sealer
from opentrail.store.sql import Snapshot

_PURPOSE = "session token"
LONGEST_TOKEN = 32768
"""Characters of a token that are looked at."""


class Token(msgspec.Struct, frozen=True, array_like=True):
    """What a session token holds. `owner` is the id of the role or user, or the account's for its root user; empty for services."""

    access_key: str
    secret: str
    principal: Principal
    owner: str


class Issued(msgspec.Struct, frozen=True):
    """Temporary credentials as their holder gets them. `expires` in seconds since 1970."""

    access_key: str
    secret: str
    token: str
    expires: float


def new_secret(ids: Ids) -> str:
    """A secret access key: 40 characters."""
    return base64.b64encode(ids.secret(30)).decode()


def issue(sealer: Sealer, ids: Ids, principal: Principal, owner: str) -> Issued:
    """Credentials of `principal`, whose session says when they end."""
    assert principal.session is not None, "temporary credentials have a session"
    access_key = "ASIA" + ids.base32(16)
    token = Token(access_key, new_secret(ids), replace(principal, access_key=access_key), owner)
    return Issued(access_key, token.secret, sealer.seal_text(_PURPOSE, msgspec.msgpack.encode(token)), principal.session.expires)


def issue_service(sealer: Sealer, ids: Ids, service: str, account: str, source_arn: str, now: float, life: float) -> Issued:
    """Credentials with which a part of OpenTrail calls the gateway as the service `service` (`cloudtrail.amazonaws.com`), working
    for `account` because of the resource `source_arn`, for `life` seconds."""
    session = Session(created=now, expires=now + life)
    principal = Principal("AWSService", account=account, service=service, source_arn=source_arn, source_account=account, session=session)
    return issue(sealer, ids, principal, "")


def open_token(sealer: Sealer, access_key: str, text: str) -> Token:
    """What the token holds. Raises Rejected `bad-token` for one that is altered, foreign or of another access key."""
    if len(text) > LONGEST_TOKEN:
        raise Rejected("bad-token")
    try:
        token = msgspec.msgpack.decode(sealer.open_text(_PURPOSE, text), type=Token)
    except (BadSeal, msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Rejected("bad-token") from error
    if token.access_key != access_key or token.principal.session is None:
        raise Rejected("bad-token")
    return token


def check_owner(snapshot: Snapshot, token: Token) -> None:
    """Raises Rejected `bad-token` when what the session came from is gone or its sessions were revoked since."""
    if not token.owner:
        return
    found: store.Account | store.User | store.Role | None
    if token.owner.startswith("AROA"):
        found = store.role_by_id(snapshot, token.owner)
    elif token.owner.startswith("AIDA"):
        found = store.user_by_id(snapshot, token.owner)
    else:
        found = store.account(snapshot, token.owner)
    session = token.principal.session
    if found is None or session is None or session.created < found.sessions_since:
        raise Rejected("bad-token")
