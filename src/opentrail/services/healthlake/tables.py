"""HealthLake's tables in the main database: data stores; the current version of each resource, all versions, the search index.

One set of FHIR tables holds all data stores; `store` is a data store's `key`. `pk` is a resource's number, unique over all stores
and kept for life. Index tables have no row of their own besides their key: all columns form the primary key, ordered so that
the rows of one value come out by pk; `*_by_pk` finds the values of a resource. Texts compare bytewise on both databases.
Times are milliseconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text
from sqlalchemy.sql.type_api import TypeEngine

from opentrail.store.tables import MAIN

datastore = Table(
    "healthlake_datastore",
    MAIN,
    Column("id", String, primary_key=True),
    Column("key", BigInteger().with_variant(Integer, "sqlite"), nullable=False, unique=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("name", String),
    Column("status", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("token", String),
    Column("token_input", String),
    Column("configuration", String, nullable=False),
    Index("ix_healthlake_datastore_place", "account", "region", "created"),
    Index("uq_healthlake_datastore_token", "account", "region", "token", unique=True),
)
"""A data store. `id` has 32 hexadecimal digits, `key` is the short number that its resources carry; `token` and
`token_input` (a hash) make creation idempotent; `configuration` is JSON."""

job = Table(
    "healthlake_job",
    MAIN,
    Column("id", String, primary_key=True),
    Column("datastore", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String),
    Column("status", String, nullable=False),
    Column("submitted", Double, nullable=False),
    Column("ended", Double),
    Column("wanted", Text, nullable=False),
    Column("token", String),
    Column("token_input", String, nullable=False),
    Column("report", Text, nullable=False),
    Column("message", Text),
    Index("ix_healthlake_job_list", "datastore", "kind", "submitted", "id"),
    Index("uq_healthlake_job_token", "datastore", "kind", "token", unique=True),
)
"""An import or export job, also after its end; while it runs, the work role's own row (work.tables.job) holds how far it has come.
`kind` is import or export, `wanted` the JSON of what was asked for, `report` that of the counts at the end."""

job_files = Table("healthlake_job_files", MAIN, Column("job", String, primary_key=True), Column("files", LargeBinary, nullable=False))
"""The objects that an import job found when it began, in the order in which it reads them; gone with its end."""

_TEXT: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")
_BIG: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


def _column(name: str, kind: TypeEngine[int] | TypeEngine[str] | TypeEngine[float]) -> Column[object]:
    return Column(name, kind, nullable=False)


current = Table(
    "fhir_current",
    MAIN,
    Column("pk", _BIG, primary_key=True, autoincrement=False),
    _column("store", Integer()),
    _column("type", _TEXT),
    _column("id", _TEXT),
    _column("version", Integer()),
    _column("updated", _BIG),
    _column("deleted", Integer()),
    Column("body", LargeBinary),
    _column("change", _BIG),
    Index("fhir_current_id", "store", "type", "id", unique=True),
    Index("fhir_current_updated", "store", "type", "updated", "pk"),
    Index("fhir_current_type", "store", "type", "deleted", "pk"),
)

history = Table(
    "fhir_history",
    MAIN,
    _column("store", Integer()),
    _column("type", _TEXT),
    _column("id", _TEXT),
    _column("version", Integer()),
    _column("updated", _BIG),
    _column("method", _TEXT),
    Column("body", LargeBinary),
    _column("change", _BIG),
    PrimaryKeyConstraint("store", "type", "id", "version"),
    Index("fhir_history_updated", "store", "type", "updated"),
    Index("fhir_history_time", "store", "updated"),
    sqlite_with_rowid=False,
)
"""Every version; the newest without body (that is in fhir_current). `method` is POST, PUT, PATCH or DELETE."""

change = Table("fhir_change", MAIN, Column("id", Integer, primary_key=True, autoincrement=False), _column("number", _BIG))
"""One row: the number of the newest change of any resource. Changes are numbered in the order in which they are committed, and a
resource's `pk` is the number of the change that made it: what is not beyond a number is the state of one moment."""

idempotency = Table(
    "fhir_idempotency",
    MAIN,
    _column("store", Integer()),
    _column("key", _TEXT),
    _column("type", _TEXT),
    _column("id", _TEXT),
    PrimaryKeyConstraint("store", "key"),
    sqlite_with_rowid=False,
)
"""The idempotency keys of creates, and what each made."""


transaction = Table(
    "fhir_transaction",
    MAIN,
    Column("id", _TEXT, primary_key=True),
    _column("datastore", _TEXT),
    _column("account", _TEXT),
    _column("region", _TEXT),
    _column("status", _TEXT),
    _column("submitted", _BIG),
    _column("request", _TEXT),
    _column("base", _TEXT),
    _column("prefer", _TEXT),
    _column("level", _TEXT),
    Column("body", LargeBinary),
    Column("answer_status", Integer()),
    Column("answer", LargeBinary),
    Column("shown", LargeBinary),
    Index("fhir_transaction_store", "datastore", "status", "submitted"),
)
"""An asynchronous transaction. `status` is SUBMITTED, IN_PROGRESS, COMPLETED or FAILED; `body` the Bundle until it ended, `answer`
what polling gets then; `shown` (JSON) names the resources and patients in it; `request` is the id of the call that sent it."""


def _index(name: str, columns: dict[str, TypeEngine[int] | TypeEngine[str] | TypeEngine[float]], key: str, *others: str) -> Table:
    """An index table; `key` and `others` list the columns of the primary key and of further indexes after `store path`."""
    indexes = [Index(f"fhir_{name}_by_{other.split()[0]}", *other.split()) for other in others]
    head = [_column("store", Integer()), _column("path", Integer()), _column("pk", _BIG)]
    rest = [_column(column, kind) for column, kind in columns.items()]
    return Table(
        f"fhir_{name}",
        MAIN,
        *head,
        *rest,
        PrimaryKeyConstraint("store", "path", *key.split()),
        *indexes,
        sqlite_with_rowid=False,
    )


_REAL: TypeEngine[float] = Double()
token = _index("token", {"code": _TEXT, "system": _BIG}, "code pk system", "pk path code system")
reference = _index("reference", {"id": _TEXT, "type": _TEXT, "base": _BIG}, "id pk type base", "pk path id type base")
string = _index("string", {"folded": _TEXT, "exact": _TEXT}, "folded pk exact", "pk path folded exact")
date = _index("date", {"starts": _BIG, "ends": _BIG}, "starts ends pk", "pk path starts ends")
Index("fhir_date_by_end", date.c.store, date.c.path, date.c.ends, date.c.pk, date.c.starts)
quantity = _index(
    "quantity",
    {"low": _REAL, "high": _REAL, "unit": _TEXT, "system": _BIG},
    "low high unit system pk",
    "pk path low high unit system",
)
Index("fhir_quantity_by_high", quantity.c.store, quantity.c.path, quantity.c.high, quantity.c.pk, quantity.c.unit)
uri = _index("uri", {"value": _TEXT}, "value pk")
composite = _index(
    "composite",
    {
        "code": _TEXT,
        "system": _BIG,
        "text": _TEXT,
        "text_system": _BIG,
        "low": _REAL,
        "high": _REAL,
        "low2": _REAL,
        "high2": _REAL,
    },
    "code pk system text text_system low high low2 high2",
)
INDEXES = {t.name.removeprefix("fhir_"): t for t in (token, reference, string, date, quantity, uri, composite)}
"""Index table by the name that the engine's `IndexRows` uses."""

FHIR_TABLES = (current, history, *INDEXES.values())
"""The tables that hold resources, for loaders."""
