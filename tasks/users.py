"""Users of the dashboard as the host manages them, in the name of who runs the command."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from infra.db.users import By, NewUser, User, Users
from tasks.principals import principal
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.table import Table


def add(username: str, role: str, clients: Sequence[str], reason: str, password: str) -> User:
    """Add a user."""
    from infra.web.passwords import hashed

    new = NewUser(
        username=username,
        role=role,
        password_hash=hashed(password, username),
        clients=tuple(clients),
    )
    return _users().add(new, _by(reason), approver_cool_off=_cool_off())


def disable(username: str, reason: str) -> User:
    """Shut a user out."""
    return _users().disable(username, _by(reason))


def enable(username: str, reason: str) -> User:
    """Let a user in again."""
    return _users().enable(username, _by(reason))


def set_role(username: str, role: str, reason: str) -> User:
    """Give a user another role."""
    return _users().set_role(username, role, _by(reason), approver_cool_off=_cool_off())


def bind(username: str, clients: Sequence[str], reason: str) -> User:
    """Bind a user to clients."""
    return _users().bind(username, clients, _by(reason))


def set_password(username: str, reason: str, password: str) -> User:
    """Set a password."""
    from infra.web.passwords import hashed

    digest = hashed(password, username)
    return _users().set_password(username, digest, _by(reason), approver_cool_off=_cool_off())


def issue_token(username: str, label: str, scopes: Sequence[str], days: int, reason: str) -> str:
    """Return the secret of a new token."""
    _, secret = _users().issue_token(username, label, scopes, timedelta(days=days), _by(reason))
    return secret


def has_users() -> bool:
    """Return whether anybody can log in."""
    return bool(workplace().database.users.list())


def listed() -> list[dict[str, Any]]:
    """Return users as JSON values."""
    return [
        {
            "username": user.username,
            "role": user.role,
            "clients": sorted(user.clients) if user.clients is not None else None,
            "is_disabled": user.is_disabled,
            "approves_from": user.approves_from.isoformat(),
            "created_at": user.created_at.isoformat(),
            "changed_at": user.changed_at.isoformat(),
        }
        for user in _users().list()
    ]


def users_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return ``listed`` as a table."""
    from rich import box
    from rich.table import Table

    table = Table(title="Users", title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("Name", "Role", "Sees", "State", "Approves from, UTC"):
        table.add_column(head)
    for row in rows:
        table.add_row(
            row["username"],
            row["role"],
            ", ".join(row["clients"]) if row["clients"] else "all clients",
            "[red]disabled[/]" if row["is_disabled"] else "may log in",
            row["approves_from"][:16].replace("T", " ") if row["role"] == "approver" else "",
        )
    return table


def _users() -> Users:
    database = workplace().database
    database.prepare()
    return database.users


def _by(reason: str) -> By:
    return By(principal=principal(), reason=reason, role="host")


def _cool_off() -> timedelta:
    from tasks.web import approver_cool_off

    return approver_cool_off(workplace().settings)
