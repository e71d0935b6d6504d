"""Balances as they are kept: read cheaply, changed with what changes them, folded to be verified.

All changes of a transaction are checked before its first row is written, so that a refusal inside
a caller's transaction leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.orm import DeclarativeBase

from engine.errors import InvariantBroken
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
    """Balances and backing after a change, and as they were read before it."""

    balances: Mapping[BalanceKey, Balance]
    backing: Mapping[str, Backing]
    balances_before: Mapping[BalanceKey, Balance]
    backing_before: Mapping[str, Backing]


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
    return NewBalances(after, backing, before, totals)


def write_balances(connection: Connection, new: NewBalances) -> None:
    """Write what ``planned`` has found, in the same transaction.

    Raises
    ------
    InvariantBroken
        If a row is not as it was read: somebody wrote past the one-writer rule.
    """
    balances = [
        (_balance_key(key), new.balances_before.get(key), balance)
        for key, balance in sorted(new.balances.items())
    ]
    _write(connection, BalanceRow, balances)
    backing = [
        ({"asset": asset}, new.backing_before.get(asset), total)
        for asset, total in sorted(new.backing.items())
    ]
    _write(connection, BackingRow, backing)


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


def _balance_key(key: BalanceKey) -> dict[str, str]:
    return {"account": key[0], "asset": key[1]}


def _write(
    connection: Connection,
    table: type[DeclarativeBase],
    rows: Sequence[tuple[dict[str, str], Balance | Backing | None, Balance | Backing]],
) -> None:
    """Insert rows that were not there (no value before) and update the others."""
    fresh = [{**key, **asdict(after)} for key, before, after in rows if before is None]
    insert_rows(connection, table, fresh)
    changed = [(key, before, after) for key, before, after in rows if before is not None]
    if not changed:
        return
    columns = table.__table__.columns
    parts = list(asdict(changed[0][2]))
    is_as_read = [columns[name] == bindparam(f"old_{name}") for name in (*changed[0][0], *parts)]
    statement = (
        update(table).where(*is_as_read).values({name: bindparam(f"new_{name}") for name in parts})
    )
    found = connection.execute(
        statement,
        [
            {
                **{f"old_{name}": value for name, value in {**key, **asdict(before)}.items()},
                **{f"new_{name}": value for name, value in asdict(after).items()},
            }
            for key, before, after in changed
        ],
    ).rowcount
    if found != len(changed):
        raise InvariantBroken(
            f"{table.__tablename__}: {len(changed) - found} of {len(changed)} rows changed between "
            "reading and writing: a program writes without the one-writer lock"
        )
