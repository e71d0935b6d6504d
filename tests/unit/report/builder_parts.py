"""Parts of the report's inputs that stand beside the assessment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd

from engine.assessment import COMPONENT_COLUMNS
from engine.money import Rounding, round_to_increment, to_money
from infra.report.coverage import coverage_of
from infra.report.inputs import Coverage

BUSINESS_DATE = date(2026, 11, 20)
PREVIOUS_DATE = date(2026, 11, 19)


@dataclass(frozen=True)
class Size:
    """How much to build. ``currencies`` are dealt out to netting sets in turn."""

    n_netting_sets: int = 60
    n_failed: int = 1
    n_held: int = 2
    n_breaks: int = 3
    seed: int = 7
    currencies: tuple[str, ...] = ("USD",)


def decided(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with exact amounts and what they come to: a call, a return, or none."""
    amounts, held, calls, actions = [], [], [], []
    for row in table.itertuples(index=False):
        value = to_money(row.collateral_value, row.currency, 2, Rounding.COLLATERAL_VALUE).amount
        held.append(value)
        if np.isnan(row.requirement):
            amounts.append(None), calls.append(None), actions.append("none")
            continue
        amount = to_money(row.requirement, row.currency, 2, Rounding.REQUIREMENT).amount
        amounts.append(amount)
        delta = amount - Decimal(50_000) - value
        action = "none"
        if abs(delta) >= 100_000:
            action = "call" if delta > 0 else "blocked" if row.status == "held" else "return"
        rounding = Rounding.REQUIREMENT if delta > 0 else Rounding.COLLATERAL_VALUE
        moved = round_to_increment(abs(delta), Decimal(10_000), rounding)
        calls.append(moved if action in ("call", "return") else Decimal(0))
        actions.append(action)
    table["excess"] = table["collateral_value"] - table["requirement"]
    table["margin_ratio"] = table["requirement"] / table["collateral_value"].where(
        table["collateral_value"] > 0
    )
    for column, values in (
        ("requirement_amount", amounts),
        ("collateral_amount", held),
        ("call_amount", calls),
    ):
        table[column] = pd.Series(values, dtype="object")
    table["withheld_amount"] = pd.Series([Decimal(0)] * len(table), dtype="object")
    table["call_action"] = actions
    return table


def build_previous(requirements: pd.DataFrame, size: Size) -> pd.DataFrame:
    """Return the previous date's requirements: one set absent, one that has since closed."""
    rng = np.random.default_rng(size.seed + 1)
    n = len(requirements)
    previous = requirements.copy()
    factor = np.exp(rng.normal(-0.01, 0.06, n))
    fallback = np.exp(rng.normal(13.2, 1.0, n))
    for column in COMPONENT_COLUMNS:
        previous[column] = previous[column].fillna(0.0) * factor
    failed = (previous["status"] == "failed").to_numpy()
    previous.loc[failed, "core_margin"] = fallback[failed]
    previous["requirement"] = previous[list(COMPONENT_COLUMNS)].sum(axis=1)
    previous["status"], previous["reason"] = "assessed", ""
    previous = previous.drop(index=previous.index[5:6])
    previous["netting_set_id"] = previous["netting_set_id"].replace("ns-00007", "ns-closed")
    return decided(previous.reset_index(drop=True))


def build_attribution(today: pd.DataFrame, previous: pd.DataFrame, size: Size) -> pd.DataFrame:
    rng = np.random.default_rng(size.seed + 2)
    both = today.merge(previous, on="netting_set_id", suffixes=("", "_before"))
    both = both[both["status"] != "failed"]
    change = (both["requirement_amount"] - both["requirement_amount_before"]).astype(float)
    market = change * rng.uniform(0.2, 0.9, len(both)) + both["requirement_before"] * 0.01
    parameter = both["requirement_before"] * 0.002
    return pd.DataFrame(
        {
            "netting_set_id": both["netting_set_id"],
            "market": market,
            "position": change - market - parameter,
            "parameter": parameter,
            "other": 0.0,
        }
    )


def build_breaks(requirements: pd.DataFrame, size: Size) -> pd.DataFrame:
    chosen = requirements["netting_set_id"].iloc[-size.n_breaks :] if size.n_breaks else []
    rows = [
        {
            "break_id": f"brk-{i:03d}",
            "scope": ("position", "position", "balance")[i % 3],
            "kind": ("quantity_venue", "missing_at_clearing", "balance")[i % 3],
            "netting_set_id": name,
            "account_id": f"acc-{i:03d}",
            "item": ("binance:BTCUSDT", "okx:ETH-USD-SWAP", "USDC")[i % 3],
            "oms_quantity": 120.0 + i,
            "venue_quantity": 118.5 + i,
            "clearing_quantity": float("nan") if i % 3 == 1 else 120.0 + i,
            "difference": -1.5,
            "tolerance": 0.001,
            "owner": ("operations", "clearing", "treasury")[i % 3],
        }
        for i, name in enumerate(chosen)
    ]
    columns = [
        "break_id", "scope", "kind", "netting_set_id", "account_id", "item", "oms_quantity",
        "venue_quantity", "clearing_quantity", "difference", "tolerance", "owner",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def build_checks() -> pd.DataFrame:
    """Return checks of four datasets, two of them with failing rows."""
    rows = [
        ("instruments", "unique", "instrument_id", 1500, 0, True, ""),
        ("marks", "above zero", "mark_price", 1500, 2, False, "deribit:ETH-C: -0.01; okx:X: 0"),
        ("marks", "present", "mark_price", 1500, 0, True, ""),
        ("positions", "known instrument", "instrument_id", 64210, 1, False, "binance:LUNA2USDT"),
        ("price_history", "present", "close", 21915, 0, True, ""),
    ]
    names = ["dataset", "rule", "column", "n_evaluated", "n_failed", "passed", "detail"]
    return pd.DataFrame(rows, columns=names)


def build_counts() -> pd.DataFrame:
    """Return rows accepted and quarantined by dataset."""
    return pd.DataFrame(
        {
            "dataset": ["instruments", "marks", "positions", "price_history"],
            "n_accepted": [1500, 1498, 64209, 21915],
            "n_quarantined": [0, 2, 1, 0],
        }
    )


def build_coverage(size: Size, n_days: int = 750) -> Coverage:
    """Return a back-test with eight exceptions in 750 days at 99 %."""
    rng = np.random.default_rng(size.seed + 3)
    level = 4e6 * np.exp(np.cumsum(rng.normal(0, 0.02, n_days)))
    loss = level * rng.standard_t(5, n_days) * 0.28
    loss = np.minimum(loss, 0.97 * level)
    hits = rng.choice(n_days, 8, replace=False)
    loss[hits] = level[hits] * rng.uniform(1.02, 1.6, 8)
    days = pd.DataFrame(
        {
            "date": pd.date_range("2024-11-01", periods=n_days, freq="D").astype("datetime64[ms]"),
            "loss": loss,
            "value_at_risk": level,
            "requirement": 1.3 * level,
        }
    )
    return coverage_of("BTC, ETH and SOL reference book", "USD", days, 0.99)


def build_history(requirements: pd.DataFrame, size: Size, n_days: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(size.seed + 4)
    rows = []
    dates = pd.date_range(end=pd.Timestamp(BUSINESS_DATE), periods=n_days).astype("datetime64[ms]")
    for currency, group in requirements.groupby("currency"):
        walk = np.cumsum(rng.normal(0, 0.02, n_days))
        level = group["requirement"].sum() * np.exp(walk - walk[-1])
        rows.append(
            pd.DataFrame(
                {
                    "business_date": dates,
                    "currency": currency,
                    "requirement": level,
                    "collateral_value": level * np.exp(0.4 + rng.normal(0, 0.01, n_days)),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
