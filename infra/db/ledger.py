"""The ledger: double entry, whole minor units, every fact booked once and never changed.

A posting moves a positive amount of one asset from the debit account to the credit account, so
that the sum per asset is zero by construction. The balance of an account is its credits less its
debits. A hold sets an amount aside until it is posted or released, exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, select

from engine.errors import LedgerError
from engine.ledger.attestations import Attestation
from engine.ledger.entries import Entry, Hold, Posting
from engine.ledger.holds import HeldAmount
from engine.money import Money, from_minor_units
from infra.db import ledger_attestations, ledger_holds
from infra.db.bulk import insert_rows
from infra.db.ledger_balances import (
    all_backing,
    asset_scales,
    balance_of,
    balances_of_kind,
)
from infra.db.ledger_booking import book, not_booked
from infra.db.ledger_opening import REGISTERED
from infra.db.tables import AssetRow, EntryRow, PostingRow

if TYPE_CHECKING:
    from infra.db.database import Database
    from infra.db.ledger_verification import LedgerReport
    from infra.db.settlements import Settlements
    from infra.store import Store

__all__ = ["Attestation", "Entry", "HeldAmount", "Hold", "Ledger", "Posting", "PostingSummary"]


@dataclass(frozen=True, slots=True)
class PostingSummary:
    """What was booked: entries, their postings, reversals among them, and what stood already."""

    n_entries: int = 0
    n_postings: int = 0
    n_reversed: int = 0
    n_unchanged: int = 0


class Ledger:
    """Accounts, entries, holds and balances.

    A method whose name ends in ``within`` works in the caller's transaction; the one without is a
    transaction of its own. Both may be repeated, and answer False for what is done already.
    """

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
            new: list[dict[str, Any]] = [
                {"asset": asset, "scale": scale}
                for asset, scale in sorted(scales.items())
                if asset not in known
            ]
            insert_rows(connection, AssetRow, new)
            for row in new:
                # Its decimals give every amount its meaning, so a chain holds them.
                self._database.audit.append_within(
                    connection, REGISTERED, row["asset"], {"scale": row["scale"]}
                )

    # --- entries ------------------------------------------------------------------------------

    def post(self, entry: Entry) -> bool:
        """Book an entry; return False if it is booked already.

        Raises
        ------
        LedgerError
            If its key is booked with other postings, an asset is not registered, an amount is not
            positive or both accounts of a posting are the same.
        InsufficientCollateral
            If a location or a transit would be overdrawn.
        UnbackedCredit
            If clients would be credited more than is attested.
        """
        with self._database.writing() as connection:
            return bool(self.post_within(connection, [entry]))

    def post_within(self, connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
        """Book the entries that are not booked yet in the caller's transaction; return them.

        Floors and backing hold for all entries together; a refusal leaves the transaction as it
        was.
        """
        new = not_booked(connection, entries)
        if new:
            book(connection, self._database.clock(), new)
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

    # --- holds --------------------------------------------------------------------------------

    def hold(self, hold: Hold) -> bool:
        """Set an amount aside; see ``hold_within``."""
        with self._database.writing() as connection:
            return self.hold_within(connection, hold)

    def hold_within(self, connection: Connection, hold: Hold) -> bool:
        """Set an amount aside on the debit account; return False if the hold is there already.

        Raises
        ------
        InsufficientCollateral
            If the debit account has a floor and less is available.
        LedgerError
            If the key is recorded with other content, or the hold could not be posted.
        """
        return ledger_holds.set_aside(connection, self._database.clock(), hold)

    def post_hold(self, hold_key: str, amount: int | None = None) -> bool:
        """Post a hold in whole or in part; see ``post_hold_within``."""
        with self._database.writing() as connection:
            return self.post_hold_within(connection, hold_key, amount)

    def post_hold_within(
        self,
        connection: Connection,
        hold_key: str,
        amount: int | None = None,
        *,
        business_date: date | None = None,
    ) -> bool:
        """Move what is held, or ``amount`` minor units of it, and release the rest.

        The entry has the key ``hold:<hold_key>`` and the hold's business date unless another is
        given. A hold whose time is over can be posted until ``expire_holds`` has released it,
        because what has happened outside has happened.

        Returns
        -------
        bool
            False if the hold is posted with this amount already.

        Raises
        ------
        LedgerError
            If there is no such hold, it ended otherwise, or ``amount`` is more than is held.
        """
        return ledger_holds.post_hold(
            connection, self._database.clock(), hold_key, amount, business_date
        )

    def void_hold(self, hold_key: str, reason: str) -> bool:
        """Release a hold; see ``void_hold_within``."""
        with self._database.writing() as connection:
            return self.void_hold_within(connection, hold_key, reason)

    def void_hold_within(self, connection: Connection, hold_key: str, reason: str) -> bool:
        """Release all of a hold and say why; return False if it is voided already.

        Raises
        ------
        LedgerError
            If there is no such hold or it ended otherwise.
        """
        return ledger_holds.release_hold(connection, self._database.clock(), hold_key, reason)

    def expire_holds(self, now: datetime) -> list[Hold]:
        """Release every pending hold whose ``expires_at`` is not after ``now``; return them."""
        with self._database.writing() as connection:
            return self.expire_holds_within(connection, now)

    def expire_holds_within(self, connection: Connection, now: datetime) -> list[Hold]:
        """Release them in the caller's transaction."""
        return ledger_holds.expire(connection, self._database.clock(), now)

    def held(self, hold_key: str) -> HeldAmount | None:
        """Return a hold and how it ended, or None if there is none of this key."""
        with self._database.reading() as connection:
            return ledger_holds.find_hold(connection, hold_key)

    def pending_holds(self) -> list[Hold]:
        """Return every hold that has not ended, in the order of recording."""
        with self._database.reading() as connection:
            return ledger_holds.pending_holds(connection)

    # --- attestations -------------------------------------------------------------------------

    def attest(self, attestations: Sequence[Attestation]) -> list[Attestation]:
        """Record what outside sources say is held; see ``attest_within``."""
        with self._database.writing() as connection:
            return self.attest_within(connection, attestations)

    def attest_within(
        self, connection: Connection, attestations: Sequence[Attestation]
    ) -> list[Attestation]:
        """Record what outside sources say is held at places; return what is new.

        From the first attestation of an asset on, clients are credited no more of it than is
        attested and in transit. Attest before crediting, in the same transaction or an earlier one.

        Raises
        ------
        LedgerError
            If a source contradicts itself, or a value is out of range.
        """
        return ledger_attestations.attest(connection, self._database.clock(), attestations)

    def backing(self) -> pd.DataFrame:
        """Return per asset what is credited to clients and what is attested, as Decimals.

        Columns: asset, credited, attested, n_attestations. Without an attestation of an asset
        nothing is known about what backs it.
        """
        with self._database.reading() as connection:
            scales = asset_scales(connection)
            found = sorted(all_backing(connection).items())
        return pd.DataFrame(
            [
                {
                    "asset": asset,
                    "credited": from_minor_units(total.credited, asset, scales[asset]).amount,
                    "attested": from_minor_units(total.attested, asset, scales[asset]).amount,
                    "n_attestations": total.n_attestations,
                }
                for asset, total in found
            ],
            columns=["asset", "credited", "attested", "n_attestations"],
        )

    # --- verification -------------------------------------------------------------------------

    def verify(self, store: Store | None = None) -> LedgerReport:
        """Recompute chains, balances, holds and backing; see ``ledger_verification``.

        With a store, the chains must also hold the heads that were anchored there, so that a
        rewritten or cut-off history is found.

        Raises
        ------
        StateError
            Naming the first row that is wrong: table, position or key, and what differs.
        """
        from infra.db.audit import anchored_heads
        from infra.db.ledger_verification import verify_ledger

        anchors, n_anchors = ({}, 0) if store is None else anchored_heads(store)
        with self._database.reading() as connection:
            return verify_ledger(connection, anchors, n_anchors)

    # --- balances -----------------------------------------------------------------------------

    def balance(self, account: str, asset: str) -> Money:
        """Return the balance of an account in an asset: credits less debits, zero if unknown."""
        return self._money(account, asset, "posted")

    def available(self, account: str, asset: str) -> Money:
        """Return what can still be moved: the balance less what is on hold."""
        return self._money(account, asset, "available")

    def available_within(self, connection: Connection, account: str, asset: str) -> int:
        """Return the minor units that can still be moved, in the caller's transaction."""
        return balance_of(connection, account, asset).available

    def balances(self, kind: str | None = None) -> pd.DataFrame:
        """Return every balance, zero ones included.

        Columns: account, asset, amount (posted), held, available; Decimals.
        """
        with self._database.reading() as connection:
            scales = asset_scales(connection)
            units = balances_of_kind(connection, kind)
        keys = sorted(units)
        frame = pd.DataFrame(
            {
                "account": pd.Series([key[0] for key in keys], dtype="str"),
                "asset": pd.Series([key[1] for key in keys], dtype="str"),
            }
        )
        for name, part in (("amount", "posted"), ("held", "held"), ("available", "available")):
            amounts = [
                from_minor_units(getattr(units[key], part), key[1], scales[key[1]]).amount
                for key in keys
            ]
            frame[name] = pd.Series(amounts, dtype=object)
        return frame

    def _money(self, account: str, asset: str, part: str) -> Money:
        with self._database.reading() as connection:
            scale = asset_scales(connection).get(asset)
            if scale is None:
                raise LedgerError(f"asset {asset} is not registered in the ledger")
            units = getattr(balance_of(connection, account, asset), part)
        return from_minor_units(units, asset, scale)
