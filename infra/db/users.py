"""Users, their roles and their tokens; every change is in the audit chain, with who and why."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from engine.errors import MissingDataError, ParameterError, StateError
from engine.ids import parse_identifier
from infra.db.web_tables import ROLES, SCOPES, SessionRow, TokenRow, UserClientRow, UserRow

if TYPE_CHECKING:
    from infra.db.database import Database

_USERNAME_LENGTH_MAX: Final = 64
_NAME_LENGTH_MAX: Final = 60
_TOKEN_PREFIX: Final = "pls_"
TOKEN_DAYS_MAX: Final = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who may log in.

    ``clients`` is None for one who sees all clients. Who was given the role or the password by
    somebody else approves nothing before ``approves_from``.
    """

    username: str
    role: str
    clients: frozenset[str] | None
    is_disabled: bool
    approves_from: datetime
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be added; ``password_hash`` is made by the caller."""

    username: str
    role: str
    password_hash: str
    clients: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is listed; its secret was shown once."""

    token_id: str
    username: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who changes something, with which role, and why; never empty."""

    principal: str
    reason: str
    role: str = ""

    def details(self) -> dict[str, object]:
        """Return what is recorded beside the principal."""
        return {"role": self.role, "reason": self.reason}


class Users:
    """Users of the dashboard and of the HTTP interface."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: NewUser, by: By, *, approver_cool_off: timedelta) -> User:
        """Record a user.

        Raises
        ------
        ParameterError
            If name or role is none, or a reason is absent.
        StateError
            If there is one of that name.
        """
        _require_answered_for(by)
        _require_role(new.role)
        if len(new.username) > _USERNAME_LENGTH_MAX:
            raise ParameterError(
                f"user name of {len(new.username)} characters, limit {_USERNAME_LENGTH_MAX}",
                identifier="username",
                value=len(new.username),
                limit=str(_USERNAME_LENGTH_MAX),
            )
        parse_identifier(new.username, "user name")
        clients = sorted({parse_identifier(client, "client") for client in new.clients})
        now = self._database.clock()
        with self._database.writing() as connection:
            if _row(connection, new.username) is not None:
                raise StateError(
                    f"there is a user {new.username} already: `plimsoll users password "
                    f"{new.username}` sets a new password",
                    identifier=new.username,
                )
            row = {
                "username": new.username,
                "role": new.role,
                "password_hash": new.password_hash,
                "is_disabled": 0,
                "approves_from": now + approver_cool_off,
                "created_at": now,
                "changed_at": now,
            }
            connection.execute(insert(UserRow), row)
            for client in clients:
                pair = {"username": new.username, "client_id": client}
                connection.execute(insert(UserClientRow), pair)
            facts = {"user_role": new.role, "clients": clients, **by.details()}
            self._audit(connection, "user added", new.username, facts, by)
            return _user(connection, new.username)

    def set_password(
        self, username: str, password_hash: str, by: By, *, approver_cool_off: timedelta
    ) -> User:
        """Set a password and end sessions and tokens; set by another, approvals wait anew."""
        changes: dict[str, Any] = {"password_hash": password_hash}
        if by.principal != username:
            changes["approves_from"] = self._database.clock() + approver_cool_off
        return self._change(username, changes, "user password set", by)

    def set_role(self, username: str, role: str, by: By, *, approver_cool_off: timedelta) -> User:
        """Give a user another role; it ends all sessions."""
        _require_role(role)
        starts = self._database.clock() + approver_cool_off
        return self._change(
            username, {"role": role, "approves_from": starts}, f"user made {role}", by
        )

    def disable(self, username: str, by: By) -> User:
        """Shut a user out at once: sessions end, tokens no longer count."""
        return self._change(username, {"is_disabled": 1}, "user disabled", by)

    def enable(self, username: str, by: By) -> User:
        """Let a disabled user in again."""
        return self._change(username, {"is_disabled": 0}, "user enabled", by)

    def get(self, username: str) -> User:
        """Return a user, or raise MissingDataError."""
        with self._database.reading() as connection:
            return _user(connection, username)

    def list(self) -> list[User]:
        """Return all users by name."""
        with self._database.reading() as connection:
            names = connection.execute(select(UserRow.username).order_by(UserRow.username))
            return [_user(connection, name) for name in names.scalars()]

    def credentials(self, username: str) -> tuple[User, str] | None:
        """Return a user and the hash of the password, or None if there is none of that name."""
        with self._database.reading() as connection:
            row = _row(connection, username)
            return None if row is None else (_user(connection, username), row["password_hash"])

    def issue_token(
        self, username: str, name: str, scopes: Iterable[str], lifetime: timedelta, by: By
    ) -> tuple[Token, str]:
        """Return a new token and its secret, which is not kept and cannot be shown again."""
        _require_answered_for(by)
        wanted = sorted(set(scopes))
        if not wanted or not set(wanted) <= set(SCOPES):
            raise ParameterError(
                f"token scopes {', '.join(wanted) or 'none'}, limit: {', '.join(SCOPES)}",
                identifier="scopes",
                value=wanted,
                limit=", ".join(SCOPES),
            )
        if not name.strip() or len(name) > _NAME_LENGTH_MAX:
            raise ParameterError(
                f"token name of {len(name)} characters, limit: 1 to {_NAME_LENGTH_MAX}",
                identifier="name",
            )
        if not timedelta(0) < lifetime <= timedelta(days=TOKEN_DAYS_MAX):
            raise ParameterError(
                f"token lifetime {lifetime}, limit: above 0, at most {TOKEN_DAYS_MAX} days",
                identifier="lifetime",
                value=str(lifetime),
            )
        secret = _TOKEN_PREFIX + secrets.token_urlsafe(32)
        now = self._database.clock()
        row = {
            "token_id": secrets.token_hex(6),
            "token_hash": secret_hash(secret),
            "username": username,
            "name": name.strip(),
            "scopes": " ".join(wanted),
            "created_at": now,
            "expires_at": now + lifetime,
        }
        with self._database.writing() as connection:
            _user(connection, username)
            connection.execute(insert(TokenRow), row)
            facts = {"token": row["token_id"], "scopes": wanted, **by.details()}
            self._audit(connection, "token issued", username, facts, by)
            return _token(connection, str(row["token_id"])), secret

    def revoke_token(self, token_id: str, by: By, *, owner: str | None = None) -> Token:
        """Take a token back at once; with ``owner``, only one of theirs."""
        _require_answered_for(by)
        with self._database.writing() as connection:
            found = _token(connection, token_id)
            if owner is not None and found.username != owner:
                raise _no_token(token_id)
            if found.revoked_at is None:
                now = self._database.clock()
                query = update(TokenRow).where(TokenRow.token_id == token_id)
                connection.execute(query.values(revoked_at=now))
                facts = {"token": token_id, **by.details()}
                self._audit(connection, "token revoked", found.username, facts, by)
            return _token(connection, token_id)

    def tokens(self, username: str | None = None) -> tuple[Token, ...]:
        """Return tokens, newest first."""
        query = select(TokenRow.__table__).order_by(TokenRow.created_at.desc(), TokenRow.token_id)
        if username is not None:
            query = query.where(TokenRow.username == username)
        with self._database.reading() as connection:
            return tuple(_token_of(row) for row in connection.execute(query).mappings())

    def holder_of(self, secret: str) -> tuple[User, Token] | None:
        """Return the user and token of a secret that counts now, else None."""
        query = select(TokenRow.__table__).where(TokenRow.token_hash == secret_hash(secret))
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            token, user = _token_of(row), _user(connection, row["username"])
        is_over = token.revoked_at is not None or token.expires_at <= self._database.clock()
        return None if is_over or user.is_disabled else (user, token)

    def _change(self, username: str, changes: dict[str, Any], action: str, by: By) -> User:
        _require_answered_for(by)
        now = self._database.clock()
        with self._database.writing() as connection:
            _user(connection, username)
            query = update(UserRow).where(UserRow.username == username)
            connection.execute(query.values(**changes, changed_at=now))
            ending = update(SessionRow).where(
                SessionRow.username == username, SessionRow.ended_at.is_(None)
            )
            connection.execute(ending.values(ended_at=now))
            if "password_hash" in changes:
                # Whoever knew the old one may have made tokens.
                tokens = update(TokenRow).where(
                    TokenRow.username == username, TokenRow.revoked_at.is_(None)
                )
                connection.execute(tokens.values(revoked_at=now))
            self._audit(connection, action, username, by.details(), by)
            return _user(connection, username)

    def bind(self, username: str, clients: Iterable[str], by: By) -> User:
        """Bind a user to clients; none lets them see all."""
        _require_answered_for(by)
        wanted = sorted({parse_identifier(client, "client") for client in clients})
        with self._database.writing() as connection:
            _user(connection, username)
            connection.execute(delete(UserClientRow).where(UserClientRow.username == username))
            for client in wanted:
                pair = {"username": username, "client_id": client}
                connection.execute(insert(UserClientRow), pair)
            facts = {"clients": wanted, **by.details()}
            self._audit(connection, "user bound", username, facts, by)
            return _user(connection, username)

    def _audit(
        self, connection: Connection, action: str, subject: str, facts: dict[str, object], by: By
    ) -> None:
        self._database.audit.append_within(connection, action, subject, facts, actor=by.principal)


def secret_hash(secret: str) -> str:
    """Return the SHA-256 of a random secret; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def user_within(connection: Connection, username: str) -> User:
    """Return a user within a transaction."""
    return _user(connection, username)


def _row(connection: Connection, username: str) -> Mapping[str, Any] | None:
    query = select(UserRow.__table__).where(UserRow.username == username)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _user(connection: Connection, username: str) -> User:
    row = _row(connection, username)
    if row is None:
        raise MissingDataError(
            f"there is no user {username[:80]!r}: `plimsoll users list` has them",
            identifier=username[:80],
        )
    clients = select(UserClientRow.client_id).where(UserClientRow.username == username)
    bound = frozenset(connection.execute(clients).scalars())
    return User(
        username=row["username"],
        role=row["role"],
        clients=bound or None,
        is_disabled=bool(row["is_disabled"]),
        approves_from=row["approves_from"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )


def _token(connection: Connection, token_id: str) -> Token:
    query = select(TokenRow.__table__).where(TokenRow.token_id == token_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise _no_token(token_id)
    return _token_of(row)


def _token_of(row: Any) -> Token:
    return Token(
        token_id=row["token_id"],
        username=row["username"],
        name=row["name"],
        scopes=frozenset(row["scopes"].split()),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _no_token(token_id: str) -> MissingDataError:
    return MissingDataError(f"there is no token {token_id[:40]!r}", identifier=token_id[:40])


def _require_role(role: str) -> None:
    if role not in ROLES:
        listed = ", ".join(ROLES)
        raise ParameterError(
            f"role {role!r}, limit: {listed}", identifier="role", value=role, limit=listed
        )


def _require_answered_for(by: By) -> None:
    for name in ("principal", "reason"):
        if not getattr(by, name).strip():
            raise ParameterError(f"a change of users needs a {name}", identifier=name)
