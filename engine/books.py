"""Books: the possible truths about what each netting set holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D
from engine.kernels.compensated import grouped_in_order
from engine.reconciliation import Reconciliation

AGREED: Final = "agreed"
FILLED: Final = {"buy": " + buys", "sell": " + sells"}
"""What the name of a book ends in that has all open orders of one side filled."""


@dataclass(frozen=True, slots=True, eq=False)
class Books:
    """Every book of every netting set, and what it holds by instrument."""

    netting_set: Int64Array1D
    """Netting set of each book."""
    label: tuple[str, ...]
    contents: pd.DataFrame
    """Columns group, instrument_id, quantity."""


def books_of(found: Reconciliation, open_orders: pd.DataFrame, row_of: dict[str, int]) -> Books:
    """Return the books of all netting sets; ``row_of`` numbers the netting sets.

    A netting set has one book, unless its sources disagree (one per source) or it has open orders
    (each book once more with all buys filled, and with all sells filled).
    """
    sources = reporting_sources(found)
    broken = found.quantities["netting_set_id"].isin(found.broken_netting_sets)
    agreed = found.quantities[~broken]
    parts = [_held(agreed, sources[0], AGREED)]
    parts += [_held(found.quantities[broken], source, source) for source in sources]
    base = pd.concat(parts, ignore_index=True)
    labels = base[["netting_set_id", "book"]].drop_duplicates()
    only_orders = sorted(set(row_of) - set(labels["netting_set_id"]))
    extra = pd.DataFrame({"netting_set_id": only_orders, "book": AGREED}, dtype="str")
    labels = pd.concat([labels, extra], ignore_index=True)
    filled, filled_labels = _filled_orders(base, labels, open_orders)
    contents = pd.concat([base, filled], ignore_index=True)
    labels = pd.concat([labels, filled_labels], ignore_index=True)
    labels["netting_set"] = labels["netting_set_id"].map(row_of)
    labels = labels.sort_values(["netting_set", "book"], ignore_index=True)
    labels["group"] = np.arange(len(labels))
    contents = contents.merge(labels, on=["netting_set_id", "book"], how="left")
    return Books(
        netting_set=labels["netting_set"].to_numpy(dtype=np.int64),
        label=tuple(labels["book"].astype(str)),
        contents=contents[["group", "instrument_id", "quantity"]],
    )


def reporting_sources(found: Reconciliation) -> list[str]:
    """Return the sources that report; where they agree, the first of them is margined."""
    return [c for c in found.quantities.columns if c not in ("netting_set_id", "instrument_id")]


def filled_quantities(open_orders: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return, by side, what the orders of that side add if all of them fill whole.

    Frames have the columns netting_set_id, instrument_id and quantity. [contracts, buys > 0]
    """
    filled = []
    for side, sign in (("buy", 1.0), ("sell", -1.0)):
        orders = open_orders[open_orders["side"] == side]
        summed = _summed(
            orders.rename(columns={"remaining_quantity": "quantity"}),
            ["netting_set_id", "instrument_id"],
        )
        filled.append((side, (sign * summed).rename("quantity").reset_index()))
    return filled


def _held(rows: pd.DataFrame, source: str, book: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "netting_set_id": rows["netting_set_id"],
            "book": pd.Series(book, index=rows.index, dtype="str"),
            "instrument_id": rows["instrument_id"],
            "quantity": rows[source],
        }
    )


def _filled_orders(
    base: pd.DataFrame, labels: pd.DataFrame, open_orders: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return, for each book with open orders, the book as it were if one side filled whole."""
    contents, names = [base.iloc[:0]], [labels.iloc[:0]]
    if open_orders.empty:
        return contents[0], names[0]
    for side, added in filled_quantities(open_orders):
        touched = labels[labels["netting_set_id"].isin(added["netting_set_id"])]
        renamed = touched.assign(filled=touched["book"] + FILLED[side])
        held = base.merge(renamed, on=["netting_set_id", "book"])
        coming = added.merge(renamed, on="netting_set_id")
        both = pd.concat([held, coming], ignore_index=True)
        total = _summed(both, ["netting_set_id", "filled", "instrument_id"])
        contents.append(total.reset_index().rename(columns={"filled": "book"}))
        names.append(renamed[["netting_set_id", "filled"]].rename(columns={"filled": "book"}))
    return pd.concat(contents, ignore_index=True), pd.concat(names, ignore_index=True)


def _summed(rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Return the quantity of each key, its rows added in their order."""
    grouped = rows.groupby(keys, sort=True)
    index = grouped.size().index
    group = grouped.ngroup().to_numpy().astype(np.int64)
    sums = grouped_in_order(rows["quantity"].to_numpy(dtype=np.float64), group, len(index))
    return pd.Series(sums, index=index, name="quantity")
