"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comprehendmedical_file",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("characters", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job", "key", name=op.f("pk_comprehendmedical_file")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "comprehendmedical_job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("submitted", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("manifest", sa.String(), nullable=True),
        sa.Column("settings", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("token_input", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comprehendmedical_job")),
    )
    with op.batch_alter_table("comprehendmedical_job", schema=None) as batch_op:
        batch_op.create_index("ix_comprehendmedical_job_place", ["account", "region", "kind", "submitted", "id"], unique=False)
        batch_op.create_index("uq_comprehendmedical_job_token", ["account", "region", "kind", "token"], unique=True)

    op.create_table(
        "disclosure",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("items", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", "name", "part", name=op.f("pk_disclosure")),
    )
    op.create_table(
        "fhir_change",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fhir_change")),
    )
    op.create_table(
        "fhir_composite",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("system", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("text_system", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("low2", sa.Double(), nullable=False),
        sa.Column("high2", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "store", "path", "code", "pk", "system", "text", "text_system", "low", "high", "low2", "high2", name=op.f("pk_fhir_composite")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_current",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("change", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_fhir_current")),
    )
    with op.batch_alter_table("fhir_current", schema=None) as batch_op:
        batch_op.create_index("fhir_current_id", ["store", "type", "id"], unique=True)
        batch_op.create_index("fhir_current_type", ["store", "type", "deleted", "pk"], unique=False)
        batch_op.create_index("fhir_current_updated", ["store", "type", "updated", "pk"], unique=False)

    op.create_table(
        "fhir_date",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ends", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", "starts", "ends", "pk", name=op.f("pk_fhir_date")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("fhir_date", schema=None) as batch_op:
        batch_op.create_index("fhir_date_by_end", ["store", "path", "ends", "pk", "starts"], unique=False)
        batch_op.create_index("fhir_date_by_pk", ["pk", "path", "starts", "ends"], unique=False)

    op.create_table(
        "fhir_history",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("change", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("store", "type", "id", "version", name=op.f("pk_fhir_history")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("fhir_history", schema=None) as batch_op:
        batch_op.create_index("fhir_history_time", ["store", "updated"], unique=False)
        batch_op.create_index("fhir_history_updated", ["store", "type", "updated"], unique=False)

    op.create_table(
        "fhir_idempotency",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("type", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("store", "key", name=op.f("pk_fhir_idempotency")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_quantity",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("system", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", "low", "high", "unit", "system", "pk", name=op.f("pk_fhir_quantity")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("fhir_quantity", schema=None) as batch_op:
        batch_op.create_index("fhir_quantity_by_high", ["store", "path", "high", "pk", "unit"], unique=False)
        batch_op.create_index("fhir_quantity_by_pk", ["pk", "path", "low", "high", "unit", "system"], unique=False)

    op.create_table(
        "fhir_reference",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("type", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("base", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", "id", "pk", "type", "base", name=op.f("pk_fhir_reference")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("fhir_reference", schema=None) as batch_op:
        batch_op.create_index("fhir_reference_by_pk", ["pk", "path", "id", "type", "base"], unique=False)

    op.create_table(
        "fhir_string",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("folded", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("exact", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", "folded", "pk", "exact", name=op.f("pk_fhir_string")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("fhir_string", schema=None) as batch_op:
        batch_op.create_index("fhir_string_by_pk", ["pk", "path", "folded", "exact"], unique=False)

    op.create_table(
        "fhir_token",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("system", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", "code", "pk", "system", name=op.f("pk_fhir_token")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("fhir_token", schema=None) as batch_op:
        batch_op.create_index("fhir_token_by_pk", ["pk", "path", "code", "system"], unique=False)

    op.create_table(
        "fhir_transaction",
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("datastore", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("account", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("region", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("status", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("submitted", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("base", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("prefer", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("level", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("answer_status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("shown", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fhir_transaction")),
    )
    with op.batch_alter_table("fhir_transaction", schema=None) as batch_op:
        batch_op.create_index("fhir_transaction_store", ["datastore", "status", "submitted"], unique=False)

    op.create_table(
        "fhir_uri",
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("store", "path", "value", "pk", name=op.f("pk_fhir_uri")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "healthlake_datastore",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("token_input", sa.String(), nullable=True),
        sa.Column("configuration", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_healthlake_datastore")),
        sa.UniqueConstraint("key", name=op.f("uq_healthlake_datastore_key")),
    )
    with op.batch_alter_table("healthlake_datastore", schema=None) as batch_op:
        batch_op.create_index("ix_healthlake_datastore_place", ["account", "region", "created"], unique=False)
        batch_op.create_index("uq_healthlake_datastore_token", ["account", "region", "token"], unique=True)

    op.create_table(
        "healthlake_job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("datastore", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("submitted", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("token_input", sa.String(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_healthlake_job")),
    )
    with op.batch_alter_table("healthlake_job", schema=None) as batch_op:
        batch_op.create_index("ix_healthlake_job_list", ["datastore", "kind", "submitted", "id"], unique=False)
        batch_op.create_index("uq_healthlake_job_token", ["datastore", "kind", "token"], unique=True)

    op.create_table(
        "healthlake_job_files",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_healthlake_job_files")),
    )
    op.create_table(
        "identity_access_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_access_keys")),
    )
    with op.batch_alter_table("identity_access_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_access_keys_owner"), ["owner"], unique=False)

    op.create_table(
        "identity_accounts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("sessions_since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_accounts")),
    )
    op.create_table(
        "identity_policies",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "folded", name=op.f("pk_identity_policies")),
    )
    op.create_table(
        "identity_roles",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("sessions_since", sa.Float(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("longest", sa.Integer(), nullable=False),
        sa.Column("trust", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_roles")),
        sa.UniqueConstraint("account", "folded", name=op.f("uq_identity_roles_account_folded")),
    )
    op.create_table(
        "identity_tags",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "folded", name=op.f("pk_identity_tags")),
    )
    op.create_table(
        "identity_users",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("sessions_since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_users")),
        sa.UniqueConstraint("account", "folded", name=op.f("uq_identity_users_account_folded")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("crashes", sa.BigInteger(), nullable=False),
        sa.Column("stopping", sa.SmallInteger(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("ix_job_service_created_id", ["service", "created", "id"], unique=False)

    op.create_table(
        "journal",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_journal")),
    )
    op.create_table(
        "journal_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("first_root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_head")),
    )
    op.create_table(
        "personalize_entity",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "id", name=op.f("pk_personalize_entity")),
    )
    with op.batch_alter_table("personalize_entity", schema=None) as batch_op:
        batch_op.create_index("ix_personalize_entity_updated", ["dataset", "updated"], unique=False)

    op.create_table(
        "personalize_event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("dataset_group", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personalize_event")),
    )
    with op.batch_alter_table("personalize_event", schema=None) as batch_op:
        batch_op.create_index("ix_personalize_event_session", ["dataset_group", "session_id", "time"], unique=False)
        batch_op.create_index("ix_personalize_event_user", ["dataset_group", "user_id", "time"], unique=False)

    op.create_table(
        "personalize_resource",
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("uses", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("arn", name=op.f("pk_personalize_resource")),
    )
    with op.batch_alter_table("personalize_resource", schema=None) as batch_op:
        batch_op.create_index("ix_personalize_resource_parent", ["parent"], unique=False)
        batch_op.create_index("ix_personalize_resource_place", ["account", "region", "kind", "created"], unique=False)
        batch_op.create_index("ix_personalize_resource_uses", ["uses"], unique=False)

    op.create_table(
        "s3_bucket",
        sa.Column("name", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_s3_bucket")),
    )
    with op.batch_alter_table("s3_bucket", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_s3_bucket_account_name"), ["account", "name"], unique=False)

    op.create_table(
        "s3_garbage",
        sa.Column("blob", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("blob", name=op.f("pk_s3_garbage")),
    )
    with op.batch_alter_table("s3_garbage", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_s3_garbage_since"), ["since"], unique=False)

    op.create_table(
        "s3_part",
        sa.Column("upload", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("blob", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("upload", "number", name=op.f("pk_s3_part")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("s3_part", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_s3_part_blob"), ["blob"], unique=True)

    op.create_table(
        "signing_key",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("public_der", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=False),
        sa.Column("valid_from", sa.Float(), nullable=False),
        sa.Column("valid_to", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "region", "fingerprint", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "state_epoch",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_epoch")),
    )
    op.create_table(
        "tag",
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("tag_key", sa.String(), nullable=False),
        sa.Column("tag_value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("arn", "tag_key", name=op.f("pk_tag")),
    )
    op.create_table(
        "trail",
        sa.Column("arn", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("home_region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("arn", name=op.f("pk_trail")),
    )
    with op.batch_alter_table("trail", schema=None) as batch_op:
        batch_op.create_index("ix_trail_account", ["account", "home_region", "name"], unique=True)

    op.create_table(
        "trail_turn",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_trail_turn")),
    )
    op.create_table(
        "trail_version",
        sa.Column("trail_arn", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_position", sa.BigInteger(), nullable=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("home_region", sa.String(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("logging", sa.SmallInteger(), nullable=False),
        sa.Column("deleted", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trail_arn", "version", name=op.f("pk_trail_version")),
    )
    with op.batch_alter_table("trail_version", schema=None) as batch_op:
        batch_op.create_index("ix_trail_version_from_position", ["from_position"], unique=False)

    op.create_table(
        "s3_object",
        sa.Column("bucket", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("blob", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket"],
            ["s3_bucket.name"],
        ),
        sa.PrimaryKeyConstraint("bucket", "key", name=op.f("pk_s3_object")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("s3_object", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_s3_object_blob"), ["blob"], unique=True)

    op.create_table(
        "s3_upload",
        sa.Column("bucket", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("initiated", sa.BigInteger(), nullable=False),
        sa.Column("initiator", sa.String(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket"],
            ["s3_bucket.name"],
        ),
        sa.PrimaryKeyConstraint("bucket", "key", "id", name=op.f("pk_s3_upload")),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO fhir_change (id, number) VALUES (1, 0)")
    op.execute("INSERT INTO state_epoch (id, epoch) VALUES (1, 0)")
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in ("id", "position", "first")] + [
        sa.column(name, sa.LargeBinary) for name in ("root", "first_root")
    ]
    head = sa.table("journal_head", *columns)
    op.bulk_insert(head, [{"id": 1, "position": 0, "root": bytes(32), "first": 1, "first_root": bytes(32)}])
