"""A few contracts of Derive beside the small market, under the shipped sets of both managers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.rules import RuleBook
from engine.snapshot import Snapshot
from infra.simulator.world.venue_rules import shipped_rules
from tests.worlds import small, venues

PERP, ETH_PERP, SPOT = "derive:BTC-PERP", "derive:ETH-PERP", "derive:BTC-USDC-SPOT"
CALL, PUT = "derive:BTC-20260626-60000-C", "derive:BTC-20260626-60000-P"
HIGH_CALL, LOW_PUT = "derive:BTC-20260626-72000-C", "derive:BTC-20260626-48000-P"
NEAR_CALL = "derive:BTC-20260327-62000-C"
LISTED = (PERP, ETH_PERP, SPOT, CALL, PUT, HIGH_CALL, LOW_PUT, NEAR_CALL)
PORTFOLIO, STANDARD = "portfolio", "standard"


def instruments() -> pd.DataFrame:
    """Return the small market's instruments and Derive's."""
    rows = [_terms(name) for name in LISTED]
    known = small.instruments()
    frame = pd.DataFrame(rows)
    frame["tick_size"], frame["lot_size"] = 0.1, 0.001
    frame["expiry_utc"] = pd.to_datetime(frame["expiry_utc"], utc=True).astype(
        "datetime64[ms, UTC]"
    )
    both = pd.concat([known, frame[list(known.columns)]], ignore_index=True)
    return both.sort_values("instrument_id", ignore_index=True)


def _terms(name: str) -> dict[str, object]:
    symbol = name.split(":")[1]
    parts = symbol.split("-")
    is_option = len(parts) == 4
    kind = "option" if is_option else "spot" if name == SPOT else "perpetual"
    word = {"C": "call", "P": "put"}.get(parts[-1]) if is_option else None
    return {
        "instrument_id": name,
        "kind": kind,
        "payoff": "linear",
        "underlying": parts[0],
        "quote_asset": "USDC",
        "settlement_asset": "USDC",
        "contract_multiplier": 1.0,
        "strike": float(parts[2]) if is_option else np.nan,
        "option_type": word,
        "expiry_utc": pd.Timestamp(f"{parts[1]}T08:00Z") if is_option else None,
        "venue": "derive",
        "venue_symbol": symbol,
    }


def snapshot(**changes: pd.DataFrame) -> Snapshot:
    """Return the small market with Derive's contracts listed and marked."""
    table = changes.pop("instruments", instruments())
    return small.snapshot(instruments=table, **changes)


def rules() -> RuleBook:
    """Return the house parameters with the shipped venue sets in force."""
    return venues.rules(venues=shipped_rules(small.BUSINESS_DATE))


def accounts(*rows: tuple[str, str]) -> pd.DataFrame:
    """Return accounts at Derive (netting set, mode)."""
    return venues.accounts(*((owner, "derive", mode) for owner, mode in rows))
