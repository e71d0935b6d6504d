"""What a close says is held at places: statements in files, and accounts read through adapters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pandas as pd
from sqlalchemy import select

from engine.ledger.accounts import LOCATION
from infra.db.ledger_tables import AttestationRow
from infra.reconciling.attesting import PlaceHoldings

if TYPE_CHECKING:
    from infra.db import Database
    from infra.market.connected.frames import SourceFrames

STATEMENT: Final = "statement"
# Order management is our own word, and vouches for nothing.
_OUTSIDE: Final = ("venue", "clearing")


def statement_holdings(
    collateral: pd.DataFrame, quarantined: pd.DataFrame, content_hash: str, now: datetime
) -> list[PlaceHoldings]:
    """Return what venues and custodians state in the collateral of a close, by location.

    A location counts by its venue's rows, else by those of clearing. One with a row in quarantine
    is not whole and says nothing.

    Parameters
    ----------
    collateral : pandas.DataFrame
        Accepted rows of contract ``collateral``.
    quarantined : pandas.DataFrame
        Rows of it in quarantine, as written.
    content_hash : str
        Of the rows as delivered: a statement that was corrected is another source.
    now : datetime
        No statement is of later.
    """
    if len(quarantined) and "location" not in quarantined:
        return []
    spoilt = set(quarantined["location"].astype(str)) if len(quarantined) else set()
    settled = collateral[collateral["state"] == "settled"]
    source = f"{STATEMENT} {content_hash[:16]}"
    found: dict[str, PlaceHoldings] = {}
    for word in _OUTSIDE:
        rows = settled[settled["source"] == word]
        for location, held in rows.groupby("location", sort=True):
            if location in spoilt or location in found:
                continue
            quantities: dict[str, Decimal] = {}
            for asset, quantity in zip(held["asset"], held["quantity"], strict=True):
                exact = Decimal(repr(float(quantity)))
                quantities[str(asset)] = quantities.get(str(asset), Decimal(0)) + exact
            observed = held["observed_utc"].min().to_pydatetime()
            found[str(location)] = PlaceHoldings(
                place=str(location), source=source, as_of=min(observed, now), quantities=quantities
            )
    return list(found.values())


def gone_from_statements(
    database: Database, stated: list[PlaceHoldings], connected: Collection[str]
) -> list[PlaceHoldings]:
    """Return places that earlier statements spoke of and this one does not: they hold nothing."""
    if not stated:
        return []
    query = (
        select(AttestationRow.account)
        .where(AttestationRow.source.startswith(STATEMENT))
        .distinct()
        .order_by(AttestationRow.account)
    )
    with database.reading() as connection:
        known = [str(name).removeprefix(f"{LOCATION}:") for (name,) in connection.execute(query)]
    here = {one.place for one in stated} | set(connected)
    newest = max(one.as_of for one in stated)
    return [
        PlaceHoldings(place=place, source=stated[0].source, as_of=newest, quantities={})
        for place in known
        if place not in here
    ]


def read_holdings(sources: Mapping[str, SourceFrames]) -> list[PlaceHoldings]:
    """Return what accounts and vaults held that were read whole for a close, the house's too."""
    found = []
    for name, source in sources.items():
        readings, collateral = source.frame("readings"), source.frame("collateral")
        read = readings[(readings["state"] == "read") & (readings["subject"] != "market")]
        for row in read.to_dict(orient="records"):
            held = collateral[collateral["place"] == row["subject"]]
            found.append(
                PlaceHoldings(
                    place=str(row["subject"]), source=name,
                    as_of=row["observed_utc"].to_pydatetime(),
                    quantities={
                        str(asset): _owed(quantity, equity)
                        for asset, quantity, equity in zip(
                            held["asset"], held["quantity"], held["equity"], strict=True
                        )
                    },
                    watermark="" if pd.isna(row["watermark"]) else str(row["watermark"]),
                )
            )  # fmt: skip
    return found


def _owed(quantity: float, equity: float) -> Decimal:
    units = quantity if pd.isna(equity) else equity
    return max(Decimal(repr(float(units))), Decimal(0))
