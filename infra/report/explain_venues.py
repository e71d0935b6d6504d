"""The venue side of an explanation: accounts, components, worst cells, positions, drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from infra.report.amounts import exact, percent
from infra.report.explain import Explanation
from infra.report.page.cells import WORDS, plain_number, word
from infra.report.venues import ratio_text

if TYPE_CHECKING:
    from rich.table import Table

POSITIONS_SHOWN = 15
Spelling = Callable[[object], str]
Framed = Callable[[str, pd.DataFrame, Sequence[tuple[str, str, Spelling]]], "Table | None"]


def venue_frames(found: Explanation, framed: Framed) -> list[Table | None]:
    """Return the tables of what the venues demand; none where no venue account is known."""
    if found.venue_accounts.empty:
        return []
    accounts = found.venue_accounts.assign(
        ratio=[
            ratio_text(ratio, kind)
            for ratio, kind in zip(
                found.venue_accounts["margin_ratio"],
                found.venue_accounts["ratio_kind"],
                strict=True,
            )
        ]
    )
    positions = found.venue_positions.assign(size=found.venue_positions["notional"].abs())
    positions = positions.sort_values(["size", "instrument_id"], ascending=[False, True])
    cells = found.venue_cells.assign(
        cell=[
            f"price {float(shock) * 100:+.4g} %, volatility {move}"
            for shock, move in zip(
                found.venue_cells["price_shock"], found.venue_cells["volatility_move"], strict=True
            )
        ]
    )
    return [
        framed(f"Venue accounts, USD: {_side(found.binding)}", accounts, _ACCOUNTS),
        framed("Components of the venues' margins", found.venue_components, _COMPONENTS),
        framed("Parameter sets of the venues", _sets(found.venue_components), _SETS),
        framed("Worst cells of scenario grids", cells, _CELLS),
        framed(
            "Positions at the venues, USD" + _cut(len(positions)),
            positions.iloc[:POSITIONS_SHOWN],
            _POSITIONS,
        ),
        framed("Against the venues' own reports", found.venue_drift, _DRIFT),
    ]


def _side(binding: str) -> str:
    return {"house": "the house binds", "venue": "the venues bind"}.get(
        binding, "nobody can say which side binds"
    )


def _cut(n: int) -> str:
    return f", the largest {POSITIONS_SHOWN} of {n} by notional" if n > POSITIONS_SHOWN else ""


def _state(value: object) -> str:
    return WORDS.get(str(value), ("", word(value)))[1]


def _grade(value: object) -> str:
    return word(value).replace("_", " ")


def _sets(components: pd.DataFrame) -> pd.DataFrame:
    """Return the sets that the components rest on, each once."""
    used = components[components["parameters"] != ""]
    return used.drop_duplicates("parameters").sort_values("parameters", ignore_index=True)


def _short_hash(value: object) -> str:
    return word(value)[:12]


def _difference(value: object) -> str:
    return percent(value, 4)


_ACCOUNTS: tuple[tuple[str, str, Spelling], ...] = (
    ("account_id", "Account", word),
    ("account_mode", "Mode", word),
    ("status", "Status", word),
    ("initial_margin", "Initial", exact),
    ("maintenance_margin", "Maintenance", exact),
    ("house_share", "House share", exact),
    ("equity", "Equity", exact),
    ("ratio", "Ratio", word),
    ("evidence", "Evidence", _grade),
    ("reason", "Reason", word),
    ("note", "Assumed", word),
)
_COMPONENTS: tuple[tuple[str, str, Spelling], ...] = (
    ("account_id", "Account", word),
    ("bucket", "Bucket", word),
    ("component", "Component", word),
    ("initial_margin", "Initial", exact),
    ("maintenance_margin", "Maintenance", exact),
    ("currency", "In", word),
    ("worst_cell", "Worst cell", word),
    ("contingencies", "Charges", exact),
    ("parameters", "Parameters", word),
)
_SETS: tuple[tuple[str, str, Spelling], ...] = (
    ("parameters", "Set", word),
    ("effective_date", "In force from", word),
    ("evidence", "Evidence", _grade),
    ("parameters_hash", "Content", _short_hash),
    ("source", "Source", word),
)
_CELLS: tuple[tuple[str, str, Spelling], ...] = (
    ("account_id", "Account", word),
    ("underlying", "Underlying", word),
    ("cell", "Cell", word),
    ("weight", "Weight", plain_number),
    ("pnl", "Profit and loss", exact),
    ("currency", "In", word),
)
_POSITIONS: tuple[tuple[str, str, Spelling], ...] = (
    ("instrument_id", "Instrument", word),
    ("quantity", "Quantity", plain_number),
    ("notional", "Notional", exact),
    ("initial_margin", "Initial", exact),
    ("maintenance_margin", "Maintenance", exact),
    ("worst_cell_pnl", "In the worst cell", exact),
    ("liquidation_price", "Liquidated at", plain_number),
)
_DRIFT: tuple[tuple[str, str, Spelling], ...] = (
    ("account_id", "Account", word),
    ("bucket", "Bucket", word),
    ("drift_class", "Class", _state),
    ("relative_difference", "Difference", _difference),
    ("cause", "Probable cause", _state),
    ("detail", "Detail", word),
)
