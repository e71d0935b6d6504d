"""Tables of people who work in a browser or over HTTP: users, sessions, tokens, failed logins.

No secret is here in clear: passwords are argon2 hashes, session and token secrets SHA-256 of 256
random bits.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base

_STRICT: Final = {"sqlite_strict": True}
ROLES: Final = ("viewer", "operator", "approver", "admin")
SCOPES: Final = ("read", "act", "approve")


class UserRow(Base):
    """A person: what they may do, and since when they may approve."""

    __tablename__ = "web_users"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'operator', 'approver', 'admin')", name="role_known"),
        CheckConstraint("is_disabled IN (0, 1)", name="is_disabled_known"),
        CheckConstraint("length(username) BETWEEN 1 AND 64", name="username_length"),
        _STRICT,
    )
    username: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    password_hash: Mapped[str]
    is_disabled: Mapped[int]
    approves_from: Mapped[datetime]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class UserClientRow(Base):
    """A client that a user is bound to; a user without a row sees all of them."""

    __tablename__ = "web_user_clients"
    __table_args__ = _STRICT
    username: Mapped[str] = mapped_column(ForeignKey("web_users.username"), primary_key=True)
    client_id: Mapped[str] = mapped_column(primary_key=True)


class SessionRow(Base):
    """A login: its cookie holds the secret, this row the secret's hash."""

    __tablename__ = "web_sessions"
    __table_args__ = (Index("ix_web_sessions_username", "username"), _STRICT)
    session_hash: Mapped[str] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(ForeignKey("web_users.username"))
    address: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    confirmed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    notice: Mapped[str]


class TokenRow(Base):
    """A token for programs, with scopes within the role of its user."""

    __tablename__ = "web_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_web_tokens_username", "username"),
        CheckConstraint("expires_at > created_at", name="dates_ordered"),
        _STRICT,
    )
    token_id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str]
    username: Mapped[str] = mapped_column(ForeignKey("web_users.username"))
    name: Mapped[str]
    scopes: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class LoginFailureRow(Base):
    """Failed logins of a name or an address within the present window."""

    __tablename__ = "web_login_failures"
    __table_args__ = (CheckConstraint("n_failed > 0", name="n_failed_positive"), _STRICT)
    subject: Mapped[str] = mapped_column(primary_key=True)
    n_failed: Mapped[int]
    first_failed_at: Mapped[datetime]
    blocked_until: Mapped[datetime | None]
