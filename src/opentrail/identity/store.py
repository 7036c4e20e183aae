"""Identity's statements, and what they ask as functions. `owner` is the id of a user or role (for keys: or an account)."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Conflict, Snapshot, Sql, Tx


class Account(NamedTuple):
    """An account. `sessions_since`: sessions of its root user made before it are refused."""

    id: str
    created: float
    sessions_since: float


class User(NamedTuple):
    """An IAM user. Times in seconds since 1970."""

    id: str
    account: str
    name: str
    path: str
    created: float
    sessions_since: float

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:user{self.path}{self.name}"


class Role(NamedTuple):
    """An IAM role. `longest` in seconds."""

    id: str
    account: str
    name: str
    path: str
    created: float
    sessions_since: float
    description: str | None
    longest: int
    trust: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


class AccessKey(NamedTuple):
    """A long-term key; `secret` is sealed."""

    id: str
    account: str
    owner: str
    active: int
    created: float
    secret: bytes


_ACCOUNT = Sql("SELECT id, created, sessions_since FROM identity_accounts WHERE id = :id")
_ANY_ACCOUNT = Sql("SELECT 1 FROM identity_accounts LIMIT 1")
_ADD_ACCOUNT = Sql("INSERT INTO identity_accounts (id, created, sessions_since) VALUES (:id, :created, 0)", settled=True)
_USER_COLUMNS = "id, account, name, path, created, sessions_since"
_USER = Sql(f"SELECT {_USER_COLUMNS} FROM identity_users WHERE account = :account AND folded = :folded")
_USER_BY_ID = Sql(f"SELECT {_USER_COLUMNS} FROM identity_users WHERE id = :id")
_USERS = Sql(
    f"SELECT {_USER_COLUMNS} FROM identity_users WHERE account = :account AND folded > :after"
    " AND substr(path, 1, :length) = :prefix ORDER BY folded LIMIT :count"
)
_ADD_USER = Sql(
    "INSERT INTO identity_users (id, account, name, folded, path, created, sessions_since)"
    " VALUES (:id, :account, :name, :folded, :path, :created, 0)",
    settled=True,
)
_RENAME_USER = Sql("UPDATE identity_users SET name = :name, folded = :folded, path = :path WHERE id = :id", settled=True)
_DROP_USER = Sql("DELETE FROM identity_users WHERE id = :id", settled=True)
_COUNT_USERS = Sql("SELECT count(*) FROM identity_users WHERE account = :account")
_ROLE_COLUMNS = "id, account, name, path, created, sessions_since, description, longest, trust"
_ROLE = Sql(f"SELECT {_ROLE_COLUMNS} FROM identity_roles WHERE account = :account AND folded = :folded")
_ROLE_BY_ID = Sql(f"SELECT {_ROLE_COLUMNS} FROM identity_roles WHERE id = :id")
_ROLES = Sql(
    f"SELECT {_ROLE_COLUMNS} FROM identity_roles WHERE account = :account AND folded > :after"
    " AND substr(path, 1, :length) = :prefix ORDER BY folded LIMIT :count"
)
_ADD_ROLE = Sql(
    "INSERT INTO identity_roles (id, account, name, folded, path, created, sessions_since, description, longest, trust)"
    " VALUES (:id, :account, :name, :folded, :path, :created, 0, :description, :longest, :trust)",
    settled=True,
)
_CHANGE_ROLE = Sql("UPDATE identity_roles SET description = :description, longest = :longest, trust = :trust WHERE id = :id", settled=True)
_DROP_ROLE = Sql("DELETE FROM identity_roles WHERE id = :id", settled=True)
_COUNT_ROLES = Sql("SELECT count(*) FROM identity_roles WHERE account = :account")
_KEY_COLUMNS = "id, account, owner, active, created, secret"
_KEY = Sql(f"SELECT {_KEY_COLUMNS} FROM identity_access_keys WHERE id = :id")
_KEYS = Sql(f"SELECT {_KEY_COLUMNS} FROM identity_access_keys WHERE owner = :owner ORDER BY created, id")
_ADD_KEY = Sql(
    "INSERT INTO identity_access_keys (id, account, owner, active, created, secret) VALUES (:id, :account, :owner, 1, :created, :secret)",
    settled=True,
)
_SWITCH_KEY = Sql("UPDATE identity_access_keys SET active = :active WHERE id = :id", settled=True)
_DROP_KEY = Sql("DELETE FROM identity_access_keys WHERE id = :id", settled=True)
_POLICIES = Sql("SELECT name, document FROM identity_policies WHERE owner = :owner ORDER BY folded")
_POLICY = Sql("SELECT name, document FROM identity_policies WHERE owner = :owner AND folded = :folded")
_PUT_POLICY = Sql(
    "INSERT INTO identity_policies (owner, folded, name, document) VALUES (:owner, :folded, :name, :document)"
    " ON CONFLICT (owner, folded) DO UPDATE SET name = excluded.name, document = excluded.document",
    settled=True,
)
_DROP_POLICY = Sql("DELETE FROM identity_policies WHERE owner = :owner AND folded = :folded", settled=True)
_TAGS = Sql("SELECT key, value FROM identity_tags WHERE owner = :owner ORDER BY folded")
_PUT_TAG = Sql(
    "INSERT INTO identity_tags (owner, folded, key, value) VALUES (:owner, :folded, :key, :value)"
    " ON CONFLICT (owner, folded) DO UPDATE SET key = excluded.key, value = excluded.value",
    settled=True,
)
_DROP_TAG = Sql("DELETE FROM identity_tags WHERE owner = :owner AND folded = :folded", settled=True)
_DROP_TAGS = Sql("DELETE FROM identity_tags WHERE owner = :owner", settled=True)
_REVOKE = tuple(
    Sql(f"UPDATE {table} SET sessions_since = :since WHERE id = :id", settled=True)
    for table in ("identity_accounts", "identity_users", "identity_roles")
)


def account(snapshot: Snapshot, id: str) -> Account | None:
    """The account, or None."""
    row = snapshot.one(_ACCOUNT, id=id)
    return Account(*row) if row else None


def any_account(snapshot: Snapshot) -> bool:
    """Whether there is an account."""
    return snapshot.one(_ANY_ACCOUNT) is not None


def add_account(tx: Tx, id: str, created: float) -> None:
    """Makes an account that is not there yet."""
    tx.run(_ADD_ACCOUNT, id=id, created=created)


def user(snapshot: Snapshot, account: str, name: str) -> User | None:
    """The user of that name, case ignored, or None."""
    row = snapshot.one(_USER, account=account, folded=name.lower())
    return User(*row) if row else None


def user_by_id(snapshot: Snapshot, id: str) -> User | None:
    """The user with that id (AIDA...), or None."""
    row = snapshot.one(_USER_BY_ID, id=id)
    return User(*row) if row else None


def user_by_arn(snapshot: Snapshot, arn: str) -> User | None:
    """The user that an ARN names, path included."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("user/"):
        return None
    found = user(snapshot, parts[4], arn.rpartition("/")[2])
    return found if found is not None and found.arn == arn else None


def users(snapshot: Snapshot, account: str, prefix: str, after: str, count: int) -> list[User]:
    """Users whose path begins with `prefix`, by name in lower case, from behind `after`."""
    rows = snapshot.all(_USERS, account=account, prefix=prefix, length=len(prefix), after=after, count=count)
    return [User(*row) for row in rows]


def add_user(tx: Tx, user: User) -> bool:
    """Inserts the user; False when the name is taken."""
    values = user._asdict()
    del values["sessions_since"]
    return _insert(tx, _ADD_USER, folded=user.name.lower(), **values)


def rename_user(tx: Tx, id: str, name: str, path: str) -> bool:
    """Gives the user another name and path; False when the name is taken."""
    return _insert(tx, _RENAME_USER, id=id, name=name, folded=name.lower(), path=path)


def drop_user(tx: Tx, id: str) -> None:
    """Deletes a user and its tags."""
    tx.run(_DROP_TAGS, owner=id)
    tx.run(_DROP_USER, id=id)


def count_users(snapshot: Snapshot, account: str) -> int:
    """How many users an account has."""
    row = snapshot.one(_COUNT_USERS, account=account)
    return int(row[0]) if row else 0


def role(snapshot: Snapshot, account: str, name: str) -> Role | None:
    """The role of that name, case ignored, or None."""
    row = snapshot.one(_ROLE, account=account, folded=name.lower())
    return Role(*row) if row else None


def role_by_id(snapshot: Snapshot, id: str) -> Role | None:
    """The role with that id (AROA...), or None."""
    row = snapshot.one(_ROLE_BY_ID, id=id)
    return Role(*row) if row else None


def role_by_arn(snapshot: Snapshot, arn: str) -> Role | None:
    """The role that an ARN names, path included."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("role/"):
        return None
    found = role(snapshot, parts[4], arn.rpartition("/")[2])
    return found if found is not None and found.arn == arn else None


def roles(snapshot: Snapshot, account: str, prefix: str, after: str, count: int) -> list[Role]:
    """Roles whose path begins with `prefix`, by name in lower case, from behind `after`."""
    rows = snapshot.all(_ROLES, account=account, prefix=prefix, length=len(prefix), after=after, count=count)
    return [Role(*row) for row in rows]


def add_role(tx: Tx, role: Role) -> bool:
    """Inserts the role; False when the name is taken."""
    values = role._asdict()
    del values["sessions_since"]
    return _insert(tx, _ADD_ROLE, folded=role.name.lower(), **values)


def change_role(tx: Tx, role: Role) -> None:
    """Stores the role's description, longest session and trust policy."""
    tx.run(_CHANGE_ROLE, id=role.id, description=role.description, longest=role.longest, trust=role.trust)


def drop_role(tx: Tx, id: str) -> None:
    """Deletes a role and its tags."""
    tx.run(_DROP_TAGS, owner=id)
    tx.run(_DROP_ROLE, id=id)


def count_roles(snapshot: Snapshot, account: str) -> int:
    """How many roles an account has."""
    row = snapshot.one(_COUNT_ROLES, account=account)
    return int(row[0]) if row else 0


def access_key(snapshot: Snapshot, id: str) -> AccessKey | None:
    """The access key with that id, or None."""
    row = snapshot.one(_KEY, id=id)
    return AccessKey(*row) if row else None


def access_keys(snapshot: Snapshot, owner: str) -> list[AccessKey]:
    """The owner's keys, oldest first."""
    return [AccessKey(*row) for row in snapshot.all(_KEYS, owner=owner)]


def add_access_key(tx: Tx, key: AccessKey) -> None:
    """Keeps an access key; its secret is sealed."""
    tx.run(_ADD_KEY, id=key.id, account=key.account, owner=key.owner, created=key.created, secret=key.secret)


def switch_access_key(tx: Tx, id: str, active: bool) -> None:
    """Makes an access key active or inactive."""
    tx.run(_SWITCH_KEY, id=id, active=int(active))


def drop_access_key(tx: Tx, id: str) -> None:
    """Deletes an access key."""
    tx.run(_DROP_KEY, id=id)


def inline_policies(snapshot: Snapshot, owner: str) -> list[tuple[str, str]]:
    """Name and document of each inline policy, by name."""
    return [(row[0], row[1]) for row in snapshot.all(_POLICIES, owner=owner)]


def inline_policy(snapshot: Snapshot, owner: str, name: str) -> tuple[str, str] | None:
    """The text of one inline policy, or None."""
    row = snapshot.one(_POLICY, owner=owner, folded=name.lower())
    return (row[0], row[1]) if row else None


def put_policy(tx: Tx, owner: str, name: str, document: str) -> None:
    """Writes an inline policy over the one of the same name."""
    tx.run(_PUT_POLICY, owner=owner, folded=name.lower(), name=name, document=document)


def drop_policy(tx: Tx, owner: str, name: str) -> bool:
    """Deletes the policy; False when there is none."""
    return tx.run(_DROP_POLICY, owner=owner, folded=name.lower()) > 0


def tags(snapshot: Snapshot, owner: str) -> dict[str, str]:
    """The owner's tags, by key."""
    return {row[0]: row[1] for row in snapshot.all(_TAGS, owner=owner)}


def put_tags(tx: Tx, owner: str, tags: dict[str, str]) -> None:
    """Adds or replaces tags."""
    tx.many(_PUT_TAG, [{"owner": owner, "folded": key.lower(), "key": key, "value": value} for key, value in tags.items()])


def drop_tags(tx: Tx, owner: str, keys: list[str]) -> None:
    """Removes the tags with these keys; absent ones are no error."""
    tx.many(_DROP_TAG, [{"owner": owner, "folded": key.lower()} for key in keys])


def revoke_sessions(tx: Tx, owner: str, since: float) -> None:
    """Ends every session that the account's root user, user or role `owner` got before `since` (seconds since 1970)."""
    for statement in _REVOKE:
        tx.run(statement, id=owner, since=since)


def _insert(tx: Tx, statement: Sql, **values: str | int | float | None) -> bool:
    try:
        tx.run(statement, **values)
    except Conflict:
        return False
    return True
