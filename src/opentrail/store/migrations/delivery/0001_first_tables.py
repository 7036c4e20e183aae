"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery_status",
        sa.Column("trail", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("attempted", sa.Float(), nullable=False),
        sa.Column("succeeded", sa.Float(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("stopped", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("trail", "kind", name=op.f("pk_delivery_status")),
    )
    op.create_table(
        "digest",
        sa.Column("trail", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("on_position", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("planned", sa.Float(), nullable=False),
        sa.Column("delivered", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("trail", "region", "end_time", name=op.f("pk_digest")),
    )
    with op.batch_alter_table("digest", schema=None) as batch_op:
        batch_op.create_index(
            "ix_digest_waiting",
            ["trail", "region", "end_time"],
            unique=False,
            sqlite_where=sa.text("delivered IS NULL"),
            postgresql_where=sa.text("delivered IS NULL"),
        )

    op.create_table(
        "digest_chain",
        sa.Column("trail", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("on_position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("on_time", sa.BigInteger(), nullable=False),
        sa.Column("off_position", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("closed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trail", "region", "on_position", name=op.f("pk_digest_chain")),
    )
    op.create_table(
        "follower",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("held_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_follower")),
    )
    op.create_table(
        "log_file",
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("trail", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("planned", sa.Float(), nullable=False),
        sa.Column("delivered", sa.Float(), nullable=True),
        sa.Column("digest_end", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_log_file")),
    )
    with op.batch_alter_table("log_file", schema=None) as batch_op:
        batch_op.create_index(
            "ix_log_file_uncovered",
            ["trail", "region", "last_position"],
            unique=False,
            sqlite_where=sa.text("digest_end IS NULL"),
            postgresql_where=sa.text("digest_end IS NULL"),
        )
        batch_op.create_index(
            "ix_log_file_waiting",
            ["trail", "first_position"],
            unique=False,
            sqlite_where=sa.text("delivered IS NULL"),
            postgresql_where=sa.text("delivered IS NULL"),
        )

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
