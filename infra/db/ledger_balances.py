"""Balances as they are kept: read cheaply, changed with what changes them, folded to be verified.

All changes of a transaction are checked before its first row is written, so that a refusal inside
a caller's transaction leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, Update, bindparam, column, func, select, update
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

_BALANCE_PARTS: Final = ("posted", "held", "attested")
_BACKING_PARTS: Final = ("credited", "attested", "n_attestations")


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
    _write(
        connection,
        BalanceRow,
        [
            (
                {"account": key[0], "asset": key[1]},
                _parts(new.balances_before.get(key), _BALANCE_PARTS),
                _parts(balance, _BALANCE_PARTS),
            )
            for key, balance in sorted(new.balances.items())
        ],
    )
    _write(
        connection,
        BackingRow,
        [
            (
                {"asset": asset},
                _parts(new.backing_before.get(asset), _BACKING_PARTS),
                _parts(total, _BACKING_PARTS),
            )
            for asset, total in sorted(new.backing.items())
        ],
    )


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


def _parts(sums: Balance | Backing | None, names: Sequence[str]) -> dict[str, int]:
    return {} if sums is None else {name: getattr(sums, name) for name in names}


def _write(
    connection: Connection,
    table: type[DeclarativeBase],
    rows: Sequence[tuple[dict[str, str], dict[str, int], dict[str, int]]],
) -> None:
    """Insert rows of key and value that were not there (no value before), update the others."""
    insert_rows(connection, table, [{**key, **after} for key, before, after in rows if not before])
    changed = [
        {f"old_{name}": value for name, value in (key | before).items()}
        | {f"new_{name}": value for name, value in after.items()}
        for key, before, after in rows
        if before
    ]
    if not changed:
        return
    found = _update(connection, table, changed)
    if found != len(changed):
        raise InvariantBroken(
            f"{table.__tablename__}: {len(changed) - found} of {len(changed)} rows changed between "
            "reading and writing: a program writes without the one-writer lock"
        )


def _update(
    connection: Connection, table: type[DeclarativeBase], changed: Sequence[Mapping[str, Any]]
) -> int:
    """Set the new values where the old ones still stand; return the number of rows found."""
    columns = table.__table__.columns
    kinds = {name: columns[name[4:]].type for name in changed[0]}
    if connection.dialect.name == "postgresql":
        # One statement however many rows: one by one takes longer than all else together.
        arrays = [
            bindparam(None, [row[name] for row in changed], ARRAY(kind))
            for name, kind in kinds.items()
        ]
        names = [column(name, kind) for name, kind in kinds.items()]
        source: Any = func.unnest(*arrays).table_valued(*names).render_derived(name="changed").c
        return connection.execute(_set(table, {name: source[name] for name in kinds})).rowcount
    parameters = {name: bindparam(name, type_=kind) for name, kind in kinds.items()}
    return connection.execute(_set(table, parameters), [dict(row) for row in changed]).rowcount


def _set(table: type[DeclarativeBase], source: Mapping[str, Any]) -> Update:
    columns = table.__table__.columns
    is_as_read = [
        columns[name[4:]] == value for name, value in source.items() if name.startswith("old_")
    ]
    values = {name[4:]: value for name, value in source.items() if name.startswith("new_")}
    return update(table).where(*is_as_read).values(values)
