"""HealthLake's SQL for data stores; that of resources is in fhir_store."""

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

    @property
    def own(self) -> str:
        """See `own`."""
        return own(self.id)


def own(id: str) -> str:
    """The end of a data store's address (values.own_part): what a reference that goes on from there names is the data store's own."""
    return f"/datastore/{id}/r4"


_COLUMNS = "id, key, account, region, name, status, created, configuration"
_STORE = Sql(f"SELECT {_COLUMNS} FROM healthlake_datastore WHERE id = :id", settled=True)
_STORES = Sql(
    f"SELECT {_COLUMNS} FROM healthlake_datastore WHERE account = :account AND region = :region"
    " AND (created > :created OR (created = :created AND id > :id)) ORDER BY created, id"
)
_COUNT = Sql("SELECT COUNT(*) FROM healthlake_datastore WHERE account = :account AND region = :region AND status <> 'DELETED'")
_TOKEN = Sql(f"SELECT {_COLUMNS}, token_input FROM healthlake_datastore WHERE account = :account AND region = :region AND token = :token")
_NEXT_KEY = Sql("SELECT COALESCE(MAX(key), 0) + 1 FROM healthlake_datastore")
_INSERT = Sql(
    "INSERT INTO healthlake_datastore (id, key, account, region, name, status, created, token, token_input, configuration)"
    " VALUES (:id, :key, :account, :region, :name, :status, :created, :token, :token_input, :configuration)",
    settled=True,
)
_UPDATE = Sql("UPDATE healthlake_datastore SET name = :name, configuration = :configuration WHERE id = :id", settled=True)
_STATUS = Sql("UPDATE healthlake_datastore SET status = :status WHERE id = :id", settled=True)


def datastore(snapshot: Snapshot, id: str) -> Datastore | None:
    """The data store, whoever owns it."""
    row = snapshot.one(_STORE, id=id)
    return Datastore(*row) if row else None


def datastores(snapshot: Snapshot, account: str, region: str, after: tuple[float, str]) -> list[Datastore]:
    """The account's data stores in the region, deleted ones too, oldest first, behind (created, id)."""
    created, id = after
    return [Datastore(*row) for row in snapshot.all(_STORES, account=account, region=region, created=created, id=id)]


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
    status: str,
    created: float,
    token: str | None,
    token_input: str,
    configuration: str,
) -> None:
    """Adds a data store."""
    row = tx.one(_NEXT_KEY)
    assert row is not None
    tx.run(
        _INSERT, id=id, key=row[0], account=account, region=region, name=name, status=status, created=created,
        token=token, token_input=token_input, configuration=configuration,
    )  # fmt: skip


def update_datastore(tx: Tx, now: Datastore) -> None:
    """Writes the name and configuration of a data store."""
    tx.run(_UPDATE, id=now.id, name=now.name, configuration=now.configuration)


def set_status(tx: Tx, id: str, status: str) -> None:
    """Moves a data store to another status."""
    tx.run(_STATUS, id=id, status=status)
