"""What of the netting sets the day does not change: quarantine, and currencies without a rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D
from engine.intraday.exact import Terms
from engine.market import PreparedMarket
from engine.portfolio import HOLDINGS, HOLDINGS_THAT_ADD_RISK


@dataclass(frozen=True, slots=True, eq=False)
class Lasting:
    """By netting set: text of quarantined rows, text of a missing rate, and breaks of rows lost."""

    hold: dict[int, str]
    failure: dict[int, str]
    has_break: BoolArray1D

    @classmethod
    def of(cls, market: PreparedMarket, names: tuple[str, ...], terms: Terms) -> Lasting:
        """Return what the snapshot that the book was opened with says for good."""
        row_of = {name: row for row, name in enumerate(names)}
        lost = set(
            market.faults.loc[market.faults["dataset"].isin(HOLDINGS), "identifier"].astype(str)
        )
        of_nobody = not lost <= set(names)
        unrated = np.flatnonzero(~np.isfinite(market.usd_rate[terms.currency_row]))
        return cls(
            hold=_quarantined(market, row_of),
            failure={
                row: f"no USD rate of {terms.currency[row]}, currency of the agreement"
                for row in unrated.tolist()
            },
            has_break=np.array([of_nobody or name in lost for name in names], dtype=np.bool_),
        )


def _quarantined(market: PreparedMarket, row_of: dict[str, int]) -> dict[int, str]:
    """Return the rows in quarantine by netting set, as ``engine.portfolio`` names them."""
    lost = market.faults[market.faults["dataset"].isin(HOLDINGS_THAT_ADD_RISK)]
    texts: dict[int, list[str]] = {}
    for record in lost.astype(str).to_dict(orient="records"):
        if record["identifier"] in row_of:
            text = f"row of {record['dataset']} in quarantine ({record['reason']})"
            texts.setdefault(row_of[record["identifier"]], []).append(text)
    return {row: "; ".join(each) for row, each in texts.items()}
