"""Personalize's tables in the main database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, String, Table

from opentrail.store.tables import MAIN

resource = Table(
    "personalize_resource",
    MAIN,
    Column("arn", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("domain", String),
    Column("status", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("body", String, nullable=False),
    Column("parent", String),
    Column("uses", String),
    Index("ix_personalize_resource_place", "account", "region", "kind", "created"),
    Index("ix_personalize_resource_parent", "parent"),
    Index("ix_personalize_resource_uses", "uses"),
)
"""A resource of the control plane. `kind` is the word in its ARN (schema, dataset-group ...); `body` is JSON with what only
its kind has. `parent` is the ARN of the resource that it belongs to (a dataset's group), `uses` that of another one that it
needs (a dataset's schema): neither may be deleted before it. An event tracker has its tracking id there, to be found by."""

event = Table(
    "personalize_event",
    MAIN,
    Column("id", String, primary_key=True),
    Column("dataset_group", String, nullable=False),
    Column("user_id", String),
    Column("session_id", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("body", String, nullable=False),
    Index("ix_personalize_event_user", "dataset_group", "user_id", "time"),
    Index("ix_personalize_event_session", "dataset_group", "session_id", "time"),
)
"""An event of PutEvents or PutActionInteractions: `body` is its row of the schema as JSON, without the user; `time` in seconds.
`dataset_group` is the ARN of the group, for interactions with actions that of their dataset."""

entity = Table(
    "personalize_entity",
    MAIN,
    Column("dataset", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("updated", Double, nullable=False),
    Column("body", String, nullable=False),
    Index("ix_personalize_entity_updated", "dataset", "updated"),
)
"""An item of PutItems or a user of PutUsers: `body` is its row of the dataset's schema as JSON; the last one put stays."""
