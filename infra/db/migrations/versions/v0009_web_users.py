"""People who work in a browser or over HTTP: users, sessions, tokens, failed logins."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
NUMBER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
ROLES = "role IN ('viewer', 'operator', 'approver', 'admin')"


def upgrade() -> None:
    """Create the tables."""
    _create_users()
    _create_logins()


def _create_users() -> None:
    op.create_table(
        "web_users",
        _key("username"),
        _column("role"),
        _column("password_hash"),
        _column("is_disabled", NUMBER),
        *(_column(name, INSTANT) for name in ("approves_from", "created_at", "changed_at")),
        sa.CheckConstraint(ROLES, name="role_known"),
        sa.CheckConstraint("is_disabled IN (0, 1)", name="is_disabled_known"),
        sa.CheckConstraint("length(username) BETWEEN 1 AND 64", name="username_length"),
        sqlite_strict=True,
    )
    op.create_table(
        "web_user_clients", _key("username", "web_users.username"), _key("client_id"),
        sqlite_strict=True,
    )  # fmt: skip


def _create_logins() -> None:
    op.create_table(
        "web_sessions",
        _key("session_hash"),
        _column("username", TEXT, "web_users.username"),
        _column("address"),
        *(
            _column(name, INSTANT)
            for name in ("created_at", "seen_at", "confirmed_at", "expires_at")
        ),
        _column("ended_at", INSTANT, nullable=True),
        _column("notice"),
        sqlite_strict=True,
    )
    op.create_index("ix_web_sessions_username", "web_sessions", ["username"])
    op.create_table(
        "web_tokens",
        _key("token_id"),
        _column("token_hash"),
        _column("username", TEXT, "web_users.username"),
        _column("name"),
        _column("scopes"),
        _column("created_at", INSTANT),
        _column("expires_at", INSTANT),
        _column("revoked_at", INSTANT, nullable=True),
        sa.UniqueConstraint("token_hash"),
        sa.CheckConstraint("expires_at > created_at", name="dates_ordered"),
        sqlite_strict=True,
    )
    op.create_index("ix_web_tokens_username", "web_tokens", ["username"])
    op.create_table(
        "web_login_failures",
        _key("subject"),
        _column("n_failed", NUMBER),
        _column("first_failed_at", INSTANT),
        _column("blocked_until", INSTANT, nullable=True),
        sa.CheckConstraint("n_failed > 0", name="n_failed_positive"),
        sqlite_strict=True,
    )


def _key(name: str, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, TEXT, *targets, primary_key=True, autoincrement=False)


def _column(
    name: str, kind: Kind = TEXT, target: str | None = None, *, nullable: bool = False
) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=nullable)
