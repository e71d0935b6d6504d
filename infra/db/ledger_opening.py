"""Assets and accounts as they were opened: rows without a chain, vouched for by others.

An asset's decimals are in the audit chain. An account was opened by the row that used it first,
at that row's instant; those of a database that is older than this rule were fingerprinted when it
was migrated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from infra.db.canonical import canonical_json
from infra.db.ledger_chains import rows_of, wrong
from infra.db.tables import AccountRow, AssetRow, AuditRow

REGISTERED: Final = "asset registered"
TAKEN_OVER: Final = "ledger taken over"


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What a database held when it was migrated: entries, assets, and a hash of its accounts."""

    n_entries: int = 0
    scales: Mapping[str, int] = field(default_factory=dict)
    accounts_hash: str = ""


def taken_over(connection: Connection) -> TakenOver:
    """Return what the migration has written to the audit chain; nothing for a new database."""
    found: Any = connection.execute(
        select(AuditRow.details).where(AuditRow.action == TAKEN_OVER).limit(1)
    ).scalar_one_or_none()
    if found is None:
        return TakenOver()
    return TakenOver(found["n_entries"], found["assets"], found["accounts_hash"])


def require_assets(connection: Connection, taken: TakenOver) -> int:
    """Raise StateError unless every asset has the decimals it was registered with; count them."""
    name = AssetRow.__tablename__
    registered: dict[str, Any] = dict(taken.scales)
    query = select(AuditRow.subject, AuditRow.details).where(AuditRow.action == REGISTERED)
    for subject, details in connection.execute(query):
        registered[subject] = details["scale"]
    n_assets = 0
    for row in rows_of(connection, AssetRow, (AssetRow.asset,)):
        scale = registered.pop(row["asset"], None)
        if scale is None:
            raise wrong(name, row["asset"], "is there, but was never registered")
        if scale != row["scale"]:
            fact = f"says {row['scale']} decimals, but was registered with {scale}"
            raise wrong(name, row["asset"], fact)
        n_assets += 1
    if registered:
        raise wrong(name, min(registered), "is missing: the audit chain has its registration")
    return n_assets


def require_accounts(
    connection: Connection,
    used_at: Mapping[str, Collection[datetime]],
    older: Collection[str],
    taken: TakenOver,
) -> None:
    """Raise StateError unless every account is used, named as it is, and opened at its first use.

    Parameters
    ----------
    used_at : Mapping
        Instants of the rows that use each account.
    older : Collection
        Accounts that were there when the database was migrated.
    """
    name = AccountRow.__tablename__
    unseen = set(used_at)
    texts: dict[str, str] = {}
    for row in rows_of(connection, AccountRow, (AccountRow.account,)):
        account = row["account"]
        if account not in used_at:
            raise wrong(name, account, "is there, but nothing was ever booked on it")
        unseen.discard(account)
        if f"{row['kind']}:{row['owner']}" != account:
            raise wrong(name, account, f"says kind {row['kind']} and owner {row['owner']}")
        if account in older:
            texts[account] = f"{canonical_json(dict(row))}\n"
        elif row["opened_at"] not in used_at[account]:
            fact = f"was opened at {row['opened_at']}, when nothing was booked on it"
            raise wrong(name, account, fact)
    if unseen:
        raise wrong(name, min(unseen), "is missing")
    # Sorted here: each engine has an order of texts of its own.
    digest = hashlib.sha256("".join(texts[account] for account in sorted(texts)).encode())
    if older and digest.hexdigest() != taken.accounts_hash:
        raise wrong(name, "", f"has a row altered among the {len(older)} that were taken over")
