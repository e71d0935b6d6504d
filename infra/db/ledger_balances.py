"""Balances as they are kept: read cheaply, changed with what changes them, folded to be verified.

All changes of a transaction are checked before its first row is written, so that a refusal inside
a caller's transaction leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.orm import DeclarativeBase

from engine.ledger.balances import (
    Backing,
    Balance,
    BalanceKey,
    backing_changes,
    require_backed,
    require_floor,
)
from infra.db.bulk import among, insert_rows
from infra.db.column_types import exact_sum
from infra.db.ledger_tables import BackingRow, BalanceRow
from infra.db.tables import AccountRow, AssetRow, PostingRow


@dataclass(frozen=True, slots=True)
class NewBalances:
    """Balances and backing after a change, and which of them have no row yet."""

    balances: Mapping[BalanceKey, Balance]
    backing: Mapping[str, Backing]
    known: frozenset[BalanceKey]
    known_assets: frozenset[str]


def asset_scales(connection: Connection) -> dict[str, int]:
    """Return the decimals of every registered asset."""
    return {row.asset: row.scale for row in connection.execute(select(AssetRow.__table__))}


def planned(
    connection: Connection, changes: Mapping[BalanceKey, Balance], *, n_attested: int = 0
) -> NewBalances:
    """Return the balances after ``changes``; reads and checks, writes nothing.

    ``n_attested`` attestations are among what changes, of each asset in ``changes``.

    Raises
    ------
    InsufficientCollateral
        If an account that may not overdraw would.
    UnbackedCredit
        If clients would be credited more than is attested.
    """
    scales = asset_scales(connection)
    before = balances_of(connection, sorted({account for account, _ in changes}))
    after = {}
    for key, change in changes.items():
        was = before.get(key, Balance())
        after[key] = was + change
        require_floor(*key, was, after[key], scales[key[1]])
    totals = backing_of(connection, sorted({asset for _, asset in changes}))
    backing = {}
    for asset, more in backing_changes(changes).items():
        was_backed = totals.get(asset, Backing())
        backing[asset] = Backing(
            was_backed.credited + more.credited,
            was_backed.attested + more.attested,
            was_backed.n_attestations + n_attested,
        )
        require_backed(asset, was_backed, backing[asset], scales[asset])
    return NewBalances(after, backing, frozenset(before), frozenset(totals))


def write_balances(connection: Connection, new: NewBalances) -> None:
    """Write what ``planned`` has found, in the same transaction."""
    rows = [
        {
            "account": account,
            "asset": asset,
            "posted": balance.posted,
            "held": balance.held,
            "attested": balance.attested,
        }
        for (account, asset), balance in sorted(new.balances.items())
    ]
    _write(connection, BalanceRow, ("account", "asset"), rows, new.known)
    totals = [
        {
            "asset": asset,
            "credited": total.credited,
            "attested": total.attested,
            "n_attestations": total.n_attestations,
        }
        for asset, total in sorted(new.backing.items())
    ]
    known_assets = frozenset((asset,) for asset in new.known_assets)
    _write(connection, BackingRow, ("asset",), totals, known_assets)


def balances_of(connection: Connection, accounts: Sequence[str]) -> dict[BalanceKey, Balance]:
    """Return the balances of accounts in every asset they have had."""
    query = select(BalanceRow.__table__).where(among(connection, BalanceRow.account, accounts))
    return {
        (row.account, row.asset): Balance(row.posted, row.held, row.attested)
        for row in connection.execute(query)
    }


def balance_of(connection: Connection, account: str, asset: str) -> Balance:
    """Return the balance of one account in one asset, zero if there is none."""
    return balances_of(connection, [account]).get((account, asset), Balance())


def balances_of_kind(connection: Connection, kind: str | None) -> dict[BalanceKey, Balance]:
    """Return the balances of every account of a kind, of all accounts without one."""
    query = select(BalanceRow.__table__)
    if kind is not None:
        query = query.join(AccountRow, AccountRow.account == BalanceRow.account).where(
            AccountRow.kind == kind
        )
    return {
        (row.account, row.asset): Balance(row.posted, row.held, row.attested)
        for row in connection.execute(query)
    }


def all_backing(connection: Connection) -> dict[str, Backing]:
    """Return what is credited to clients and attested, of every asset."""
    return {
        row.asset: Backing(row.credited, row.attested, row.n_attestations)
        for row in connection.execute(select(BackingRow.__table__))
    }


def backing_of(connection: Connection, assets: Sequence[str]) -> dict[str, Backing]:
    """Return what is credited to clients and attested, by asset."""
    query = select(BackingRow.__table__).where(among(connection, BackingRow.asset, assets))
    return {
        row.asset: Backing(row.credited, row.attested, row.n_attestations)
        for row in connection.execute(query)
    }


def fold(connection: Connection) -> dict[BalanceKey, int]:
    """Return what is posted by (account, asset), summed from the postings themselves."""
    units: dict[BalanceKey, int] = {}
    for side, sign in ((PostingRow.credit, 1), (PostingRow.debit, -1)):
        query = select(side, PostingRow.asset, exact_sum(PostingRow.amount)).group_by(
            side, PostingRow.asset
        )
        for name, asset, total in connection.execute(query):
            units[name, asset] = units.get((name, asset), 0) + sign * total
    return units


def _write(
    connection: Connection,
    table: type[DeclarativeBase],
    key: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    known: frozenset[Any],
) -> None:
    fresh = [row for row in rows if tuple(row[name] for name in key) not in known]
    insert_rows(connection, table, fresh)
    changed = [row for row in rows if tuple(row[name] for name in key) in known]
    if not changed:
        return
    columns = table.__table__.columns
    statement = (
        update(table)
        .where(*(columns[name] == bindparam(f"key_{name}") for name in key))
        .values({name: bindparam(f"new_{name}") for name in changed[0] if name not in key})
    )
    connection.execute(
        statement,
        [
            {f"key_{name}" if name in key else f"new_{name}": row[name] for name in row}
            for row in changed
        ],
    )
