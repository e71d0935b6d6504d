"""A small market and book whose values can be checked by eye."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd

from engine.snapshot import CollateralSet, PositionSet
from infra.store import SnapshotParts

DAY = date(2026, 11, 20)
CLOSE = datetime(2026, 11, 21, tzinfo=UTC)


def day(*values: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(values))).astype("datetime64[ms]")


def market(**changed: pd.DataFrame) -> SnapshotParts:
    two_days = day("2026-11-20", "2026-11-20")
    frames = {
        "instruments": pd.DataFrame(
            {
                "instrument_id": ["okx:B", "binance:A"],
                "contract_multiplier": [0.01, 1.0],
                "strike": [60000.0, None],
                "option_type": ["call", None],
            }
        ),
        "marks": pd.DataFrame(
            {
                "business_date": two_days,
                "instrument_id": ["binance:A", "okx:B"],
                "mark_price": [90000.0, 0.1],
            }
        ),
        "index_prices": pd.DataFrame(
            {"business_date": two_days, "asset": ["ETH", "BTC"], "index_price": [3000.0, 9e4]}
        ),
        "fx_rates": pd.DataFrame(
            {"business_date": day("2026-11-20"), "asset": ["USD"], "usd_rate": [1.0]}
        ),
        "funding": pd.DataFrame(
            {
                "ts_utc": pd.Series(pd.to_datetime(["2026-11-20T08:00Z"])).astype(
                    "datetime64[ms, UTC]"
                ),
                "venue": ["okx"],
                "symbol": ["B"],
                "funding_rate": [-0.0001],
            }
        ),
        "liquidity": pd.DataFrame({"asset": ["BTC"], "depth_usd": [1e6]}),
        "price_history": pd.DataFrame(
            {
                "date": day("2026-11-19", "2026-11-20"),
                "asset": ["BTC", "BTC"],
                "close": [91000.0, 90000.0],
                "utc_aligned": [True, False],
            }
        ),
        "volatility_history": pd.DataFrame(
            {"date": day("2026-11-20"), "asset": ["BTC"], "atm_iv_30d": [0.5]}
        ),
        "basis_history": pd.DataFrame(
            {"date": day("2026-11-20"), "asset": ["BTC"], "annual_basis": [0.08]}
        ),
        "faults": pd.DataFrame({"dataset": [], "identifier": [], "reason": []}, dtype="str"),
    }
    return SnapshotParts(business_date=DAY, as_of=CLOSE, **{**frames, **changed})


def positions(order: tuple[int, int] = (0, 1)) -> PositionSet:
    rows = pd.DataFrame(
        {
            "business_date": day("2026-11-20", "2026-11-20"),
            "source": ["oms", "venue"],
            "account_id": ["acc-1", "acc-1"],
            "instrument_id": ["okx:B", "okx:B"],
            "netting_set_id": ["NS-1", "NS-1"],
            "quantity": [-3.0, -3.0],
        }
    )
    orders = pd.DataFrame({"netting_set_id": [], "order_id": []}, dtype="str")
    return PositionSet(rows.iloc[list(order)], orders)


def collateral() -> CollateralSet:
    return CollateralSet(
        pd.DataFrame({"netting_set_id": ["NS-1"], "asset": ["BTC"], "quantity": [1.25]})
    )
