"""Settlements and margin as ledger entries: what the close of a date moves, booked once.

Accounts: ``collateral:<netting set>`` is what the house holds free for a client,
``margin:<netting set>`` what is bound because it is owed, ``settlement:<venue account>`` the
other side of the day's gains and losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, not_, select
from sqlalchemy.orm import aliased

from engine.errors import LedgerError, ModelInputError
from engine.ledger.balances import Balance
from engine.ledger.entries import Entry, Posting
from engine.money import Money, to_minor_units
from infra.db.ledger import PostingSummary
from infra.db.ledger_balances import asset_scales, balances_of
from infra.db.ledger_booking import postings_by_entry
from infra.db.runs import MARGIN, RunHandle, get_run, is_history
from infra.db.tables import EntryRow

if TYPE_CHECKING:
    from infra.db.database import Database

SETTLEMENT: Final = "settlement"
_REVERSAL: Final = "settlement reversal"


class Settlements:
    """Books what the close of a date has computed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post_settlements(self, run_id: str, settlements: pd.DataFrame) -> PostingSummary:
        """Book all settlements of the run's business date, one entry per netting set.

        What is booked for the date and stays the same is left; what a later sequence finds
        different is reversed by an entry that names it, and booked anew.

        Parameters
        ----------
        run_id : str
            A run that has been begun.
        settlements : pandas.DataFrame
            netting_set_id, account_id, kind, asset, amount_exact (Decimal, gain of the client
            > 0). Summed per venue account, kind and asset.

        Raises
        ------
        LedgerError
            If an asset is not registered.
        ModelInputError
            If an amount has more decimals than its asset.
        """
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            wanted = _wanted_settlements(settlements, asset_scales(connection))
            booked = _booked_settlements(connection, run)
            reversals, repeated = [], set()
            for owner, (key, postings) in sorted(booked.items()):
                if wanted.get(owner) == postings:
                    repeated.add(owner)
                else:
                    reversals.append(_reversal(run, key, postings))
            entries = [
                Entry(
                    f"{SETTLEMENT}:{run.business_date}:{run.sequence}:{owner}",
                    SETTLEMENT,
                    run.business_date,
                    run_id,
                    wanted[owner],
                )
                for owner in sorted(wanted)
                if owner not in repeated
            ]
            return self._post(connection, run_id, reversals, entries, len(repeated))

    def post_margin(self, run_id: str, required: pd.DataFrame) -> PostingSummary:
        """Move assets between collateral and margin until each margin account holds ``amount``.

        A netting set that is not named keeps its margin: name it with zero to release it. The
        margin is an amount of the agreement's currency whatever covers it, so the collateral
        account may go below zero in that currency while other assets stand against it. A rerun of
        a past date moves nothing, because a later close has set the margin since.

        Parameters
        ----------
        run_id : str
            A run that has been begun.
        required : pandas.DataFrame
            netting_set_id, asset, amount (Decimal >= 0).
        """
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            targets = _targets(required, asset_scales(connection))
            if is_history(connection, run):
                return self._post(connection, run_id, [], [], len(targets))
            accounts = sorted({margin_account(owner) for owner, _ in targets})
            bound = balances_of(connection, accounts)
            entries, unchanged = [], 0
            for (owner, asset), units in sorted(targets.items()):
                delta = units - bound.get((margin_account(owner), asset), Balance()).posted
                if delta == 0:
                    unchanged += 1
                    continue
                pair = (collateral_account(owner), margin_account(owner))
                debit, credit = pair if delta > 0 else pair[::-1]
                entries.append(
                    Entry(
                        f"{MARGIN}:{run.business_date}:{run.sequence}:{asset}:{owner}",
                        MARGIN,
                        run.business_date,
                        run_id,
                        (Posting(debit, credit, asset, abs(delta)),),
                    )
                )
            return self._post(connection, run_id, [], entries, unchanged)

    def _post(
        self,
        connection: Connection,
        run_id: str,
        reversals: Sequence[Entry],
        entries: Sequence[Entry],
        n_unchanged: int,
    ) -> PostingSummary:
        booked = self._database.ledger.post_within(connection, [*reversals, *entries])
        summary = PostingSummary(
            n_entries=len(booked),
            n_postings=sum(len(entry.postings) for entry in booked),
            n_reversed=len(reversals),
            n_unchanged=n_unchanged,
        )
        if booked:
            self._database.audit.append_within(
                connection,
                f"{booked[-1].kind} booked",
                run_id,
                {"n_entries": summary.n_entries, "n_reversed": summary.n_reversed},
            )
        return summary


def collateral_account(netting_set_id: str) -> str:
    """Return the account of a client's free collateral."""
    return f"collateral:{netting_set_id}"


def margin_account(netting_set_id: str) -> str:
    """Return the account of a client's bound margin."""
    return f"{MARGIN}:{netting_set_id}"


def settlement_account(account_id: str) -> str:
    """Return the account that faces a venue account's daily gains and losses."""
    return f"{SETTLEMENT}:{account_id}"


def _wanted_settlements(
    frame: pd.DataFrame, scales: Mapping[str, int]
) -> dict[str, tuple[Posting, ...]]:
    names = ("netting_set_id", "account_id", "kind", "asset", "amount_exact")
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ModelInputError(f"settlements lack the columns {', '.join(missing)}")
    sums: dict[tuple[str, str, str, str], int] = {}
    for owner, account, kind, asset, amount in zip(*(frame[name] for name in names), strict=True):
        key = (owner, account, kind, asset)
        sums[key] = sums.get(key, 0) + _units(amount, asset, scales, owner)
    wanted: dict[str, list[Posting]] = {}
    for (owner, account, _, asset), units in sorted(sums.items()):
        if units:
            pair = (settlement_account(account), collateral_account(owner))
            debit, credit = pair if units > 0 else pair[::-1]
            wanted.setdefault(owner, []).append(Posting(debit, credit, asset, abs(units)))
    return {owner: tuple(postings) for owner, postings in wanted.items()}


def _booked_settlements(
    connection: Connection, run: RunHandle
) -> dict[str, tuple[str, tuple[Posting, ...]]]:
    """Return key and postings of the date's settlements that nothing reverses, by netting set."""
    reversal = aliased(EntryRow)
    is_reversed = select(reversal.position).where(reversal.corrects == EntryRow.position).exists()
    query = select(EntryRow.position, EntryRow.business_key).where(
        EntryRow.kind == SETTLEMENT,
        EntryRow.business_date == run.business_date,
        not_(is_reversed),
    )
    keys = {row.position: row.business_key for row in connection.execute(query)}
    postings = postings_by_entry(connection, sorted(keys))
    # The key ends with the netting set, which may itself hold colons.
    return {key.split(":", 3)[3]: (key, postings[position]) for position, key in keys.items()}


def _reversal(run: RunHandle, key: str, postings: Sequence[Posting]) -> Entry:
    swapped = tuple(
        Posting(posting.credit, posting.debit, posting.asset, posting.amount)
        for posting in postings
    )
    return Entry(f"reversal:{key}", _REVERSAL, run.business_date, run.run_id, swapped, corrects=key)


def _targets(frame: pd.DataFrame, scales: Mapping[str, int]) -> dict[tuple[str, str], int]:
    names = ("netting_set_id", "asset", "amount")
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ModelInputError(f"required margin lacks the columns {', '.join(missing)}")
    targets: dict[tuple[str, str], int] = {}
    for owner, asset, amount in zip(*(frame[name] for name in names), strict=True):
        units = _units(amount, asset, scales, owner)
        if units < 0 or (owner, asset) in targets:
            raise ModelInputError(
                f"margin of {owner} in {asset} is {amount}: limit >= 0, once per netting set",
                identifier=owner,
                value=amount,
            )
        targets[owner, asset] = units
    return targets


def _units(amount: Any, asset: str, scales: Mapping[str, int], owner: str) -> int:
    if asset not in scales:
        raise LedgerError(f"{owner}: asset {asset} is not registered", identifier=asset)
    if not isinstance(amount, Decimal):
        raise ModelInputError(f"{owner}: an amount needs a Decimal, found {amount!r}", value=amount)
    return to_minor_units(Money(amount, asset), scales[asset])
