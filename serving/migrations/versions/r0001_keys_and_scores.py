"""API keys and scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "api_keys",
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("salt", sa.LargeBinary(16), nullable=False),
        sa.Column("hashed", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("prefix", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_service", "api_keys", ["service"])
    op.create_table(
        "scores",
        sa.Column("score_id", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("prediction_time", sa.DateTime(), nullable=False),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("raw", sa.Double(), nullable=False),
        sa.Column("band", sa.String(16), nullable=False),
        sa.Column("model_name", sa.String(200), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("matrix_hash", sa.String(64), nullable=False),
        sa.Column("data_version", sa.BigInteger(), nullable=False),
        sa.Column("catalogue_hash", sa.String(64), nullable=False),
        sa.Column("reasons", document, nullable=False),
        sa.Column("themes", document, nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("score_id", name="pk_scores"),
        sa.UniqueConstraint(
            "subject_id",
            "prediction_time",
            "model_version",
            "data_version",
            name="uq_scores_subject_id",
        ),
    )
    op.create_index(
        "ix_scores_run", "scores", ["prediction_time", "model_version", "data_version", "risk"]
    )


def downgrade() -> None:
    """Drop the two tables."""
    op.drop_table("scores")
    op.drop_table("api_keys")
