"""The ledger: double entry, whole minor units, every fact booked once and never changed.

A posting moves a positive amount of one asset from the debit account to the credit account, so
that the sum per asset is zero by construction. The balance of an account is its credits less its
debits: what the house owes to whoever owns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from engine.errors import LedgerError, ModelInputError
from engine.money import Money, from_minor_units
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import canonical_json, link
from infra.db.column_types import MINOR_UNITS_MAX, exact_sum
from infra.db.tables import AccountRow, AssetRow, EntryRow, PostingRow

if TYPE_CHECKING:
    from infra.db.database import Database
    from infra.db.settlements import Settlements


@dataclass(frozen=True, slots=True, order=True)
class Posting:
    """``amount`` minor units of ``asset`` from ``debit`` to ``credit``."""

    debit: str
    credit: str
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A business fact: all its postings are booked, or none. ``corrects`` names another's key."""

    business_key: str
    kind: str
    business_date: date
    run_id: str | None
    postings: tuple[Posting, ...]
    corrects: str | None = None


@dataclass(frozen=True, slots=True)
class PostingSummary:
    """What was booked: entries, their postings, reversals among them, and what stood already."""

    n_entries: int = 0
    n_postings: int = 0
    n_reversed: int = 0
    n_unchanged: int = 0


class Ledger:
    """Accounts, entries and balances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register_assets(self, scales: Mapping[str, int]) -> None:
        """Record the decimals of each asset's minor unit; changing one raises LedgerError."""
        with self._database.writing() as connection:
            known = asset_scales(connection)
            for asset, scale in sorted(scales.items()):
                if known.get(asset, scale) != scale:
                    raise LedgerError(
                        f"{asset} is booked with {known[asset]} decimals, not {scale}: what is "
                        "booked would change its meaning",
                        identifier=asset,
                        value=scale,
                    )
            new = [
                {"asset": asset, "scale": scale}
                for asset, scale in sorted(scales.items())
                if asset not in known
            ]
            insert_rows(connection, AssetRow, new)

    def post(self, entry: Entry) -> bool:
        """Book an entry; return False if it is booked already.

        Raises
        ------
        LedgerError
            If its key is booked with other postings, an asset is not registered, an amount is not
            positive or both accounts of a posting are the same.
        """
        with self._database.writing() as connection:
            return bool(self.post_within(connection, [entry]))

    def post_within(self, connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
        """Book the entries that are not booked yet in the caller's transaction; return them."""
        new = _not_booked(connection, entries)
        if not new:
            return []
        scales = asset_scales(connection)
        for entry in new:
            _require_valid(entry, scales)
        self._open_accounts(connection, new)
        corrected = _corrected(connection, new)
        head = chain_head(connection, EntryRow.position, EntryRow.hash)
        now, digest = self._database.clock(), head.hash
        rows: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        for position, entry in enumerate(new, start=head.position + 1):
            row = {
                "business_key": entry.business_key,
                "body_hash": _body_hash(entry),
                "kind": entry.kind,
                "business_date": entry.business_date,
                "run_id": entry.run_id,
                "corrects": corrected.get(entry.corrects or ""),
                "recorded_at": now,
            }
            # The postings are part of the link through the hash of the body.
            digest = link(digest, row)
            rows.append({"position": position, "hash": digest, **row})
            lines += [
                {
                    "position": position,
                    "line": line,
                    "debit": posting.debit,
                    "credit": posting.credit,
                    "asset": posting.asset,
                    "amount": posting.amount,
                }
                for line, posting in enumerate(entry.postings, start=1)
            ]
        insert_rows(connection, EntryRow, rows)
        insert_rows(connection, PostingRow, lines)
        return new

    def post_settlements(self, run_id: str, settlements: pd.DataFrame) -> PostingSummary:
        """Book the settlements of a run's date; see ``Settlements.post_settlements``."""
        return self._settlements.post_settlements(run_id, settlements)

    def post_margin(self, run_id: str, required: pd.DataFrame) -> PostingSummary:
        """Move margin to what is required; see ``Settlements.post_margin``."""
        return self._settlements.post_margin(run_id, required)

    @cached_property
    def _settlements(self) -> Settlements:
        from infra.db.settlements import Settlements

        return Settlements(self._database)

    def balance(self, account: str, asset: str) -> Money:
        """Return the balance of an account in an asset: credits less debits, zero if unknown."""
        with self._database.reading() as connection:
            scale = asset_scales(connection).get(asset)
            if scale is None:
                raise LedgerError(f"asset {asset} is not registered in the ledger")
            units = fold(connection, account=account, asset=asset)
        return from_minor_units(units.get((account, asset), 0), asset, scale)

    def balances(self, kind: str | None = None) -> pd.DataFrame:
        """Return account, asset and amount (Decimal) of every balance, zero ones included."""
        with self._database.reading() as connection:
            scales = asset_scales(connection)
            units = fold(connection, kind=kind)
        keys = sorted(units)
        amounts = [from_minor_units(units[key], key[1], scales[key[1]]).amount for key in keys]
        return pd.DataFrame(
            {
                "account": pd.Series([key[0] for key in keys], dtype="str"),
                "asset": pd.Series([key[1] for key in keys], dtype="str"),
                "amount": pd.Series(amounts, dtype=object),
            }
        )

    def entries(self, run_id: str) -> pd.DataFrame:
        """Return the postings that a run has booked, in the order of booking."""
        query = (
            select(
                EntryRow.position,
                EntryRow.business_key,
                EntryRow.kind,
                EntryRow.corrects,
                PostingRow.debit,
                PostingRow.credit,
                PostingRow.asset,
                PostingRow.amount,
                AssetRow.scale,
            )
            .join(PostingRow, PostingRow.position == EntryRow.position)
            .join(AssetRow, AssetRow.asset == PostingRow.asset)
            .where(EntryRow.run_id == run_id)
            .order_by(PostingRow.position, PostingRow.line)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        names = ("position", "business_key", "kind", "corrects", "debit", "credit", "asset")
        frame = pd.DataFrame([tuple(row)[:7] for row in rows], columns=list(names))
        amounts = [from_minor_units(row.amount, row.asset, row.scale).amount for row in rows]
        return frame.assign(amount=pd.Series(amounts, dtype=object))

    def _open_accounts(self, connection: Connection, entries: Sequence[Entry]) -> None:
        used = {
            account
            for entry in entries
            for posting in entry.postings
            for account in (posting.debit, posting.credit)
        }
        is_used = among(connection, AccountRow.account, sorted(used))
        known = set(connection.execute(select(AccountRow.account).where(is_used)).scalars())
        now = self._database.clock()
        insert_rows(
            connection,
            AccountRow,
            [
                {
                    "account": account,
                    "kind": account.partition(":")[0],
                    "owner": account.partition(":")[2],
                    "opened_at": now,
                }
                for account in sorted(used - known)
            ],
        )


def body_hash(
    kind: str, business_date: date, corrects: str | None, postings: Sequence[Posting]
) -> str:
    """Return the hash of what an entry says, whoever says it and when."""
    body = {
        "kind": kind,
        "business_date": business_date,
        "corrects": corrects,
        "postings": [
            [posting.debit, posting.credit, posting.asset, str(posting.amount)]
            for posting in postings
        ],
    }
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def asset_scales(connection: Connection) -> dict[str, int]:
    """Return the decimals of every registered asset."""
    return {row.asset: row.scale for row in connection.execute(select(AssetRow.__table__))}


def fold(
    connection: Connection,
    *,
    account: str | None = None,
    asset: str | None = None,
    kind: str | None = None,
) -> dict[tuple[str, str], int]:
    """Return balances in minor units by (account, asset), summed from the postings themselves."""
    units: dict[tuple[str, str], int] = {}
    for side, sign in ((PostingRow.credit, 1), (PostingRow.debit, -1)):
        query = select(side, PostingRow.asset, exact_sum(PostingRow.amount)).group_by(
            side, PostingRow.asset
        )
        if account is not None:
            query = query.where(side == account)
        if asset is not None:
            query = query.where(PostingRow.asset == asset)
        if kind is not None:
            query = query.join(AccountRow, AccountRow.account == side).where(
                AccountRow.kind == kind
            )
        for name, found_asset, total in connection.execute(query):
            units[name, found_asset] = units.get((name, found_asset), 0) + sign * total
    return units


def postings_by_entry(
    connection: Connection, positions: Sequence[int]
) -> dict[int, tuple[Posting, ...]]:
    """Return the postings of entries in their order."""
    found: dict[int, list[Posting]] = {}
    query = (
        select(PostingRow.__table__)
        .where(among(connection, PostingRow.position, positions))
        .order_by(PostingRow.position, PostingRow.line)
    )
    for row in connection.execute(query):
        posting = Posting(row.debit, row.credit, row.asset, row.amount)
        found.setdefault(row.position, []).append(posting)
    return {position: tuple(postings) for position, postings in found.items()}


def _not_booked(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    keys = [entry.business_key for entry in entries]
    query = select(EntryRow.business_key, EntryRow.body_hash).where(
        among(connection, EntryRow.business_key, keys)
    )
    booked = {row.business_key: row.body_hash for row in connection.execute(query)}
    new: dict[str, Entry] = {}
    for entry in entries:
        before = booked.get(entry.business_key)
        if before is None and entry.business_key in new:
            before = _body_hash(new[entry.business_key])
        if before is None:
            new[entry.business_key] = entry
        elif before != _body_hash(entry):
            raise LedgerError(
                f"entry {entry.business_key} is booked with other postings: a correction is a new "
                "entry that names the old one",
                identifier=entry.business_key,
            )
    return list(new.values())


def _require_valid(entry: Entry, scales: Mapping[str, int]) -> None:
    if not entry.postings:
        raise LedgerError(f"entry {entry.business_key} has no postings")
    for posting in entry.postings:
        if posting.asset not in scales:
            raise LedgerError(
                f"entry {entry.business_key}: asset {posting.asset} is not registered",
                identifier=posting.asset,
            )
        if posting.debit == posting.credit:
            raise LedgerError(
                f"entry {entry.business_key} moves {posting.asset} from {posting.debit} to itself",
                identifier=posting.debit,
            )
        for account in (posting.debit, posting.credit):
            kind, separator, owner = account.partition(":")
            if not (kind and separator and owner):
                raise ModelInputError(f"account {account!r} is not <kind>:<owner>")
        if type(posting.amount) is not int or not 0 < posting.amount <= MINOR_UNITS_MAX:
            raise LedgerError(
                f"entry {entry.business_key} moves {posting.amount!r} {posting.asset}: limit is a "
                "positive whole number of minor units",
                identifier=entry.business_key,
                value=posting.amount,
            )


def _corrected(connection: Connection, entries: Sequence[Entry]) -> dict[str, int]:
    """Return the positions of the entries that are corrected, each booked and not corrected yet."""
    found: dict[str, int] = {}
    done: dict[str, str] = {}
    keys = {entry.corrects: entry.business_key for entry in entries if entry.corrects}
    correction = aliased(EntryRow)
    query = (
        select(EntryRow.business_key, EntryRow.position, correction.business_key)
        .outerjoin(correction, correction.corrects == EntryRow.position)
        .where(among(connection, EntryRow.business_key, sorted(keys)))
    )
    for key, position, by in connection.execute(query):
        found[key] = position
        if by is not None:
            done[key] = by
    for key, by in keys.items():
        if key not in found or key in done:
            fact = f"corrected already by {done[key]}" if key in done else "not booked"
            raise LedgerError(f"entry {by} corrects {key}, which is {fact}", identifier=key)
    return found


def _body_hash(entry: Entry) -> str:
    return body_hash(entry.kind, entry.business_date, entry.corrects, entry.postings)
