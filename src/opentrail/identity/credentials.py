"""From an access key to who holds it and what it may do: everything a request needs, in one value to cache under the state epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentrail.identity import sessions, store
from opentrail.identity.decide import Grants
from opentrail.identity.policy import Policy, compiled
from opentrail.identity.refusals import Rejected
from opentrail.kernel.ambient import Ids
from opentrail.kernel.principal import Principal, Session
from opentrail.kernel.sealing import BadSeal, Sealer
from opentrail.store.sql import Snapshot, Tx

_SERVICE_GRANTS = Grants()
_ROOT_GRANTS = Grants(everything=True)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key that was found: its secret, its holder, what the holder's policies say, and the holder's tags."""

    secret: str = field(repr=False)
    principal: Principal
    grants: Grants
    tags: Mapping[str, str] = field(default_factory=dict)
    expires: float = float("inf")

    def check_life(self, now: float) -> None:
        """Raises Rejected when the session has ended. Ask at every request: what is cached outlives its time."""
        if now >= self.expires:
            raise Rejected("expired-token")


def load_credentials(snapshot: Snapshot, sealer: Sealer, access_key: str, token: str = "") -> Credentials:
    """The credentials that `access_key` (and the session token of temporary ones) stands for.

    Raises Rejected: `unknown-key`, `inactive`, `bad-token`. Does not look at the time: see Credentials.check_life.
    """
    if token:
        return _session(snapshot, sealer, access_key, token)
    key = store.access_key(snapshot, access_key)
    if key is None:
        raise Rejected("bad-token" if access_key.startswith("ASIA") else "unknown-key")
    if not key.active:
        raise Rejected("inactive")
    secret = open_secret(sealer, key)
    if key.owner == key.account:
        return Credentials(secret, root(key.account, access_key), _ROOT_GRANTS)
    user = store.user_by_id(snapshot, key.owner)
    if user is None:
        raise Rejected("unknown-key")
    principal = Principal("IAMUser", user.account, user.id, user.arn, access_key, user.name)
    return Credentials(secret, principal, Grants(_policies(snapshot, user.id)), store.tags(snapshot, user.id))


def root(account: str, access_key: str) -> Principal:
    """The root user of an account, calling with that key."""
    return Principal("Root", account, account, f"arn:aws:iam::{account}:root", access_key)


def new_access_key(tx: Tx, sealer: Sealer, ids: Ids, account: str, owner: str, created: float) -> tuple[str, str]:
    """Makes a long-term key for the user id `owner`, or for the root user when that is the account; returns id and secret."""
    id, secret = "AKIA" + ids.base32(16), sessions.new_secret(ids)
    sealed = sealer.seal(_purpose(id), secret.encode())
    store.add_access_key(tx, store.AccessKey(id, account, owner, 1, created, sealed))
    return id, secret


def open_secret(sealer: Sealer, key: store.AccessKey) -> str:
    """The key's secret. Raises Rejected `unknown-key` when it was sealed with another master key."""
    try:
        return sealer.open(_purpose(key.id), key.secret).decode()
    except BadSeal as error:
        raise Rejected("unknown-key") from error


def _purpose(id: str) -> str:
    return f"access key {id}"


def _policies(snapshot: Snapshot, owner: str) -> tuple[Policy, ...]:
    return tuple(compiled(document) for _, document in store.inline_policies(snapshot, owner))


def _session(snapshot: Snapshot, sealer: Sealer, access_key: str, text: str) -> Credentials:
    token = sessions.open_token(sealer, access_key, text)
    sessions.check_owner(snapshot, token)
    principal, session = token.principal, token.principal.session
    assert session is not None, "open_token demands one"
    tags = dict(store.tags(snapshot, token.owner)) if token.owner else {}
    own = {key.lower() for key, _ in session.tags}
    tags = {key: value for key, value in tags.items() if key.lower() not in own} | dict(session.tags)
    return Credentials(token.secret, principal, _session_grants(snapshot, token, session), tags, session.expires)


def _session_grants(snapshot: Snapshot, token: sessions.Token, session: Session) -> Grants:
    if not token.owner:
        return _SERVICE_GRANTS
    narrowed = tuple(compiled(document) for document in session.policies)
    # A federated user without a policy may do nothing; other sessions without one are not narrowed.
    own = narrowed if narrowed or token.principal.kind == "FederatedUser" else None
    if token.owner == token.principal.account:
        return Grants(session=own, everything=True)
    return Grants(_policies(snapshot, token.owner), own)
