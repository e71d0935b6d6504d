"""Cash of the day, summed exactly by kind and asset."""

from __future__ import annotations

from typing import Any

import pandas as pd

from engine.money import MONEY_CONTEXT
from infra.report.amounts import total


def settlement_table(settlements: pd.DataFrame) -> pd.DataFrame:
    """Return postings, gains of clients, their losses and the net by kind and asset.

    Parameters
    ----------
    settlements : pandas.DataFrame
        ``Assessment.settlements``; gains of the client are positive. [units of the asset]
    """
    rows: list[dict[str, Any]] = []
    for (kind, asset), group in settlements.groupby(["kind", "asset"], sort=True):
        amounts = group["amount_exact"].to_list()
        gains = total(amount for amount in amounts if amount > 0)
        losses = total(amount for amount in amounts if amount < 0)
        rows.append(
            {
                "kind": kind,
                "asset": asset,
                "n_rows": len(group),
                "gains": gains,
                "losses": losses,
                "net": MONEY_CONTEXT.add(gains, losses),
            }
        )
    return pd.DataFrame(rows, columns=["kind", "asset", "n_rows", "gains", "losses", "net"])
