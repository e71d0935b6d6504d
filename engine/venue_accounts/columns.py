"""Columns of the frames that venue margins are told in, and the frames without a row."""

from __future__ import annotations

from typing import Final

import pandas as pd

_TEXT: Final = "str"
_NUMBER: Final = "float64"
_COUNT: Final = "int64"
_FLAG: Final = "bool"

MARGIN_COLUMNS: Final[dict[str, str]] = {
    "account_id": _TEXT, "venue": _TEXT, "client_id": _TEXT, "netting_set_id": _TEXT,
    "account_mode": _TEXT, "status": _TEXT, "reason": _TEXT, "book": _TEXT,
    "n_positions": _COUNT, "currency": _TEXT, "initial_margin": _NUMBER,
    "maintenance_margin": _NUMBER, "demand": _NUMBER, "maintenance_demand": _NUMBER,
    "demand_source": _TEXT, "house_share": _NUMBER, "equity": _NUMBER, "equity_source": _TEXT,
    "margin_ratio": _NUMBER, "ratio_kind": _TEXT, "evidence": _TEXT, "note": _TEXT,
}  # fmt: skip
BUCKET_COLUMNS: Final[dict[str, str]] = {
    "account_id": _TEXT, "bucket": _TEXT, "currency": _TEXT, "initial_margin": _NUMBER,
    "maintenance_margin": _NUMBER, "equity": _NUMBER, "usd_rate": _NUMBER,
}  # fmt: skip
COMPONENT_COLUMNS: Final[dict[str, str]] = {
    "account_id": _TEXT, "bucket": _TEXT, "component": _TEXT, "model": _TEXT, "currency": _TEXT,
    "initial_margin": _NUMBER, "maintenance_margin": _NUMBER, "initial_margin_usd": _NUMBER,
    "maintenance_margin_usd": _NUMBER, "worst_loss": _NUMBER, "contingencies": _NUMBER,
    "minimum_charge": _NUMBER, "worst_cell": _TEXT, "parameters": _TEXT,
    "effective_date": _TEXT, "source": _TEXT, "evidence": _TEXT, "parameters_hash": _TEXT,
    "note": _TEXT,
}  # fmt: skip
POSITION_COLUMNS: Final[dict[str, str]] = {
    "account_id": _TEXT, "instrument_id": _TEXT, "bucket": _TEXT, "model": _TEXT,
    "quantity": _NUMBER, "mark_price": _NUMBER, "notional": _NUMBER, "initial_margin": _NUMBER,
    "maintenance_margin": _NUMBER, "worst_cell_pnl": _NUMBER, "liquidation_price": _NUMBER,
}  # fmt: skip
SCENARIO_COLUMNS: Final[dict[str, str]] = {
    "account_id": _TEXT, "bucket": _TEXT, "underlying": _TEXT, "cell": _COUNT,
    "price_shock": _NUMBER, "volatility_move": _TEXT, "weight": _NUMBER, "currency": _TEXT,
    "pnl": _NUMBER, "pnl_usd": _NUMBER, "is_worst": _FLAG,
}  # fmt: skip


def without_rows(columns: dict[str, str]) -> pd.DataFrame:
    """Return a frame with these columns and types and no row."""
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in columns.items()})


def framed(values: dict[str, object], columns: dict[str, str]) -> pd.DataFrame:
    """Return the columns in their order and with their types."""
    return pd.DataFrame(values)[list(columns)].astype(columns)
