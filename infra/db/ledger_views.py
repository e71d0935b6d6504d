"""What people ask of the ledger: postings by account or key, balances, holds."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypedDict

from sqlalchemy import Connection, or_, select, union
from sqlalchemy.orm import aliased

from engine.ledger.balances import Balance
from engine.money import from_minor_units
from infra.db.ledger_balances import asset_scales, balances_of, balances_of_kind
from infra.db.tables import AccountRow, AssetRow, EntryRow, PostingRow


class BookedPosting(TypedDict):
    """One posting with the entry that it belongs to; ``corrects`` is a business key."""

    position: int
    line: int
    business_key: str
    kind: str
    business_date: date
    run_id: str | None
    corrects: str | None
    recorded_at: datetime
    debit: str
    credit: str
    asset: str
    amount: Any


class AccountBalance(TypedDict):
    """The balance of one account in one asset, as Decimals."""

    account: str
    asset: str
    posted: Any
    held: Any
    available: Any


def postings(
    connection: Connection,
    *,
    account: str | None = None,
    business_key: str | None = None,
    limit: int = 1_000,
) -> list[BookedPosting]:
    """Return the postings of the newest ``limit`` entries, newest first.

    Parameters
    ----------
    account : str, optional
        Only entries that touch it, with those of their postings that do.
    business_key : str, optional
        Only the entry of this key, and the one that corrects it.
    limit : int
        Most entries read.
    """
    corrected = aliased(EntryRow)
    chosen = select(EntryRow.position)
    if account is not None:
        touched = union(
            select(PostingRow.position).where(PostingRow.debit == account),
            select(PostingRow.position).where(PostingRow.credit == account),
        ).subquery()
        chosen = chosen.where(EntryRow.position.in_(select(touched.c.position)))
    if business_key is not None:
        own = select(EntryRow.position).where(EntryRow.business_key == business_key)
        chosen = chosen.where(
            or_(EntryRow.business_key == business_key, EntryRow.corrects == own.scalar_subquery())
        )
    newest = chosen.order_by(EntryRow.position.desc()).limit(limit).subquery()
    query = (
        select(
            EntryRow.position,
            PostingRow.line,
            EntryRow.business_key,
            EntryRow.kind,
            EntryRow.business_date,
            EntryRow.run_id,
            corrected.business_key.label("corrects"),
            EntryRow.recorded_at,
            PostingRow.debit,
            PostingRow.credit,
            PostingRow.asset,
            PostingRow.amount,
            AssetRow.scale,
        )
        .join(PostingRow, PostingRow.position == EntryRow.position)
        .join(AssetRow, AssetRow.asset == PostingRow.asset)
        .outerjoin(corrected, corrected.position == EntryRow.corrects)
        .where(EntryRow.position.in_(select(newest.c.position)))
        .order_by(EntryRow.position.desc(), PostingRow.line)
    )
    if account is not None:
        query = query.where(or_(PostingRow.debit == account, PostingRow.credit == account))
    found: list[BookedPosting] = []
    for row in connection.execute(query).mappings():
        values: dict[str, Any] = {str(name): row[name] for name in row if name != "scale"}
        values["amount"] = from_minor_units(row["amount"], row["asset"], row["scale"]).amount
        found.append(BookedPosting(**values))  # type: ignore[typeddict-item]
    return found


def account_balances(
    connection: Connection, *, kind: str | None = None, account: str | None = None
) -> list[AccountBalance]:
    """Return balances sorted by account and asset: of one account, of a kind, or all."""
    scales = asset_scales(connection)
    if account is not None:
        found = balances_of(connection, [account])
    else:
        found = balances_of_kind(connection, kind)
    return [
        {
            "account": name,
            "asset": asset,
            "posted": from_minor_units(balance.posted, asset, scales[asset]).amount,
            "held": from_minor_units(balance.held, asset, scales[asset]).amount,
            "available": from_minor_units(balance.available, asset, scales[asset]).amount,
        }
        for (name, asset), balance in sorted(found.items(), key=_by_key)
        if kind is None or name.startswith(f"{kind}:")
    ]


def kinds(connection: Connection) -> list[str]:
    """Return the kinds of accounts that there are."""
    query = select(AccountRow.kind).distinct().order_by(AccountRow.kind)
    return list(connection.execute(query).scalars())


def _by_key(item: tuple[tuple[str, str], Balance]) -> tuple[str, str]:
    return item[0]
