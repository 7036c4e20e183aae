"""Rows of segments; the index is made anew from the journal"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("history_posting")
    op.drop_table("history_segment")
    op.drop_table("history_head")
    op.create_table(
        "history_row",
        sa.Column("segment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stored", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("segment", "key", name=op.f("pk_history_row")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history_segment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history_segment")),
    )
    with op.batch_alter_table("history_segment", schema=None) as batch_op:
        batch_op.create_index("ix_history_segment_newest", ["newest"], unique=False)
    op.execute("UPDATE follower SET position = 0 WHERE name = 'history'")
