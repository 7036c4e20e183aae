"""HealthLake's SQL: data stores and the versions of resources."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Snapshot, Sql, Tx


class Datastore(NamedTuple):
    """A data store's row; see tables.datastore."""

    id: str
    key: int
    account: str
    region: str
    name: str | None
    status: str
    created: float
    configuration: str


class Version(NamedTuple):
    """A version of a resource; `body` is None when this version deleted it."""

    version: int
    time: float
    method: str
    body: bytes | None


_COLUMNS = "id, key, account, region, name, status, created, configuration"
_STORE = Sql(f"SELECT {_COLUMNS} FROM healthlake_datastore WHERE id = :id")
_STORES = Sql(
    f"SELECT {_COLUMNS} FROM healthlake_datastore WHERE account = :account AND region = :region AND status <> 'DELETED'"
    " ORDER BY created, id"
)
_COUNT = Sql("SELECT COUNT(*) FROM healthlake_datastore WHERE account = :account AND region = :region AND status <> 'DELETED'")
_TOKEN = Sql(f"SELECT {_COLUMNS}, token_input FROM healthlake_datastore WHERE account = :account AND region = :region AND token = :token")
_NEXT_KEY = Sql("SELECT COALESCE(MAX(key), 0) + 1 FROM healthlake_datastore")
_INSERT = Sql(
    "INSERT INTO healthlake_datastore (id, key, account, region, name, status, created, token, token_input, configuration)"
    " VALUES (:id, :key, :account, :region, :name, 'ACTIVE', :created, :token, :token_input, :configuration)"
)
_STATUS = Sql("UPDATE healthlake_datastore SET status = :status WHERE id = :id")

_CURRENT = Sql(
    "SELECT version, time, method, body FROM fhir_resource WHERE store = :store AND type = :type AND id = :id ORDER BY version DESC LIMIT 1"
)
_VERSION = Sql(
    "SELECT version, time, method, body FROM fhir_resource WHERE store = :store AND type = :type AND id = :id AND version = :version"
)
_RETIRE = Sql("UPDATE fhir_resource SET current = 0 WHERE store = :store AND type = :type AND id = :id AND version = :version")
_WRITE = Sql(
    "INSERT INTO fhir_resource (store, type, id, version, time, method, current, body)"
    " VALUES (:store, :type, :id, :version, :time, :method, 1, :body)"
)


def datastore(snapshot: Snapshot, id: str) -> Datastore | None:
    """The data store, whoever owns it."""
    row = snapshot.one(_STORE, id=id)
    return Datastore(*row) if row else None


def datastores(snapshot: Snapshot, account: str, region: str) -> list[Datastore]:
    """The account's data stores in the region, oldest first."""
    return [Datastore(*row) for row in snapshot.all(_STORES, account=account, region=region)]


def datastore_count(snapshot: Snapshot, account: str, region: str) -> int:
    """How many data stores count against the quota."""
    row = snapshot.one(_COUNT, account=account, region=region)
    return int(row[0]) if row else 0


def datastore_by_token(snapshot: Snapshot, account: str, region: str, token: str) -> tuple[Datastore, str] | None:
    """The data store that was made with this client token, and the hash of the input that made it."""
    row = snapshot.one(_TOKEN, account=account, region=region, token=token)
    return (Datastore(*row[:-1]), row[-1]) if row else None


def insert_datastore(
    tx: Tx,
    id: str,
    account: str,
    region: str,
    name: str | None,
    created: float,
    token: str | None,
    token_input: str,
    configuration: str,
) -> None:
    """Adds an active data store."""
    row = tx.one(_NEXT_KEY)
    assert row is not None
    tx.run(
        _INSERT, id=id, key=row[0], account=account, region=region, name=name, created=created,
        token=token, token_input=token_input, configuration=configuration,
    )  # fmt: skip


def set_status(tx: Tx, id: str, status: str) -> None:
    """Moves a data store to another status."""
    tx.run(_STATUS, id=id, status=status)


def current(snapshot: Snapshot, store: int, type: str, id: str) -> Version | None:
    """The newest version of a resource, which may be its deletion; None when the id was never used."""
    row = snapshot.one(_CURRENT, store=store, type=type, id=id)
    return Version(*row) if row else None


def version(snapshot: Snapshot, store: int, type: str, id: str, number: int) -> Version | None:
    """One version of a resource."""
    row = snapshot.one(_VERSION, store=store, type=type, id=id, version=number)
    return Version(*row) if row else None


def write(tx: Tx, store: int, type: str, id: str, number: int, time: float, method: str, body: bytes | None) -> None:
    """Adds the next version of a resource."""
    if number > 1:
        tx.run(_RETIRE, store=store, type=type, id=id, version=number - 1)
    tx.run(_WRITE, store=store, type=type, id=id, version=number, time=time, method=method, body=body)
