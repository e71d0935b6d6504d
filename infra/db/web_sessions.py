"""Logins: sessions on the server's side, and failed attempts that are slowed down.

The cookie holds a random secret, the database its hash: whoever reads the database can take over
no session. Idle and absolute ends are judged by the caller's clock.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from infra.db.users import User, secret_hash, user_within
from infra.db.web_tables import LoginFailureRow, SessionRow

if TYPE_CHECKING:
    from infra.db.database import Database

# A page load every second must not be a write every second.
_SEEN_STEP: Final = timedelta(seconds=60)
_ATTEMPTS_FREE: Final = 5
_WINDOW: Final = timedelta(minutes=15)
_BLOCK_FIRST_SECONDS: Final = 5
_BLOCK_SECONDS_MAX: Final = 900
_ADDRESS_FACTOR: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long a session lasts: without use, and at most."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession:
    """A session that counts now."""

    session_hash: str
    user: User
    created_at: datetime
    confirmed_at: datetime
    expires_at: datetime
    notice: str


class WebSessions:
    """Sessions and failed logins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, username: str, address: str, lifetime: Lifetime, previous: str = "") -> str:
        """Return the secret of a new session; ``previous``, the one before the login, ends."""
        secret, now = secrets.token_urlsafe(32), self._database.clock()
        row = {
            "session_hash": secret_hash(secret),
            "username": username,
            "address": address[:60],
            "created_at": now,
            "seen_at": now,
            "confirmed_at": now,
            "expires_at": now + lifetime.absolute,
            "notice": "",
        }
        with self._database.writing() as connection:
            if previous:
                self._end(connection, SessionRow.session_hash == secret_hash(previous))
            # What ended long ago is no history that anybody needs: logins are in the audit chain.
            connection.execute(
                delete(SessionRow).where(SessionRow.expires_at < now - timedelta(days=7))
            )
            connection.execute(insert(SessionRow), row)
            self._database.audit.append_within(
                connection, "login", username, {"address": row["address"]}, actor=username
            )
        return secret

    def find(self, secret: str, idle: timedelta, *, is_used: bool = True) -> WebSession | None:
        """Return the session of a secret if it counts now, and note that it is used."""
        digest, now = secret_hash(secret), self._database.clock()
        query = select(SessionRow.__table__).where(SessionRow.session_hash == digest)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None or row["ended_at"] is not None:
                return None
            if row["expires_at"] <= now or row["seen_at"] + idle <= now:
                return None
            user = user_within(connection, row["username"])
        if user.is_disabled:
            return None
        if is_used and row["seen_at"] + _SEEN_STEP <= now:
            self._set(digest, {"seen_at": now})
        return WebSession(
            session_hash=digest,
            user=user,
            created_at=row["created_at"],
            confirmed_at=row["confirmed_at"],
            expires_at=row["expires_at"],
            notice=row["notice"],
        )

    def confirm(self, session_hash: str) -> None:
        """Note that the person has just given the password again."""
        self._set(session_hash, {"confirmed_at": self._database.clock()})

    def leave_notice(self, session_hash: str, notice: str) -> None:
        """Keep a sentence for the next page of the session."""
        self._set(session_hash, {"notice": notice[:1000]})

    def end(self, session_hash: str, username: str) -> None:
        """End a session: its cookie is worth nothing from now on."""
        with self._database.writing() as connection:
            self._end(connection, SessionRow.session_hash == session_hash)
            self._database.audit.append_within(connection, "logout", username, {}, actor=username)

    def end_all(self, username: str) -> None:
        """End every session of a user, wherever it was begun."""
        with self._database.writing() as connection:
            self._end(connection, SessionRow.username == username)
            self._database.audit.append_within(
                connection, "logout everywhere", username, {}, actor=username
            )

    def blocked_for(self, username: str, address: str) -> timedelta | None:
        """Return how long a name or an address still has to wait, or None."""
        now = self._database.clock()
        query = select(LoginFailureRow.blocked_until).where(
            LoginFailureRow.subject.in_(_subjects(username, address)),
            LoginFailureRow.blocked_until.is_not(None),
        )
        with self._database.reading() as connection:
            until = [found for found in connection.execute(query).scalars() if found is not None]
        latest = max(until, default=now)
        return latest - now if latest > now else None

    def failed(self, username: str, address: str) -> None:
        """Count a failed login: after five of a name, each one doubles the wait."""
        now = self._database.clock()
        with self._database.writing() as connection:
            for subject in _subjects(username, address):
                _count(connection, subject, now)
            self._database.audit.append_within(
                connection, "login refused", username[:64], {"address": address[:60]}, actor="web"
            )

    def succeeded(self, username: str) -> None:
        """Forget the failures of a name; those of an address stay for their window."""
        with self._database.writing() as connection:
            connection.execute(
                delete(LoginFailureRow).where(LoginFailureRow.subject == f"user:{username[:64]}")
            )

    def _set(self, session_hash: str, values: dict[str, Any]) -> None:
        query = update(SessionRow).where(SessionRow.session_hash == session_hash)
        with self._database.writing() as connection:
            connection.execute(query.values(values))

    def _end(self, connection: Connection, condition: Any) -> None:
        query = update(SessionRow).where(condition, SessionRow.ended_at.is_(None))
        connection.execute(query.values(ended_at=self._database.clock()))


def _subjects(username: str, address: str) -> tuple[str, str]:
    return f"user:{username[:64]}", f"address:{address[:60]}"


def _count(connection: Connection, subject: str, now: datetime) -> None:
    query = select(LoginFailureRow.__table__).where(LoginFailureRow.subject == subject)
    row = connection.execute(query).mappings().one_or_none()
    if row is None or row["first_failed_at"] + _WINDOW < now:
        connection.execute(delete(LoginFailureRow).where(LoginFailureRow.subject == subject))
        first = {"subject": subject, "n_failed": 1, "first_failed_at": now}
        connection.execute(insert(LoginFailureRow), first)
        return
    n_failed = row["n_failed"] + 1
    # Several people share an address: it is given more.
    free = _ATTEMPTS_FREE * (_ADDRESS_FACTOR if subject.startswith("address:") else 1)
    values: dict[str, Any] = {"n_failed": n_failed}
    if n_failed >= free:
        seconds = min(_BLOCK_FIRST_SECONDS * 2 ** min(n_failed - free, 20), _BLOCK_SECONDS_MAX)
        values["blocked_until"] = now + timedelta(seconds=seconds)
    connection.execute(
        update(LoginFailureRow).where(LoginFailureRow.subject == subject).values(values)
    )
