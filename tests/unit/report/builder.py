"""An assessment of any size with every kind of row, made from the documented columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd

from engine.assessment import COMPONENT_COLUMNS, Assessment
from engine.rules import Agreement, RuleBook
from infra.report.inputs import ReportInputs, RunFacts
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters, rule_book
from tests.unit.report.builder_parts import (
    BUSINESS_DATE,
    PREVIOUS_DATE,
    Size,
    build_attribution,
    build_breaks,
    build_checks,
    build_counts,
    build_coverage,
    build_history,
    build_previous,
    decided,
)

_ASSETS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "AVAX", "LINK", "BNB")
_VENUES = ("binance", "okx", "deribit", "bybit")
_NAMES = (
    "Aldgate", "Barents", "Cinder", "Dovetail", "Eastmoor", "Fathom", "Greywell", "Harrow",
    "Islay", "Juniper", "Kestrel", "Lantern", "Meridian", "Northlight", "Orrery", "Pelham",
)  # fmt: skip

USUAL = Size()


def build_inputs(size: Size = USUAL, *, with_history: bool = True) -> ReportInputs:
    """Return report inputs with all optional parts, or with none of them."""
    today = build_assessment(size)
    rules = build_rules(today)
    run = RunFacts(
        run_id="eod-2026-11-20-1",
        business_date=BUSINESS_DATE,
        sequence=1,
        snapshot_id="9f2c4e1ab37d",
        rule_book_hash=rules.rule_book_hash,
        code_version="0.1.0+c605868",
        status="failed" if size.n_failed else "completed",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
    )
    rates = {"USD": 1.0, "EUR": 1.0843, "USDT": 0.9997}
    if not with_history:
        return ReportInputs(run, today, rules, usd_rates=rates)
    previous = build_previous(today.requirements, size)
    return ReportInputs(
        run=run,
        assessment=today,
        rules=rules,
        previous=previous,
        previous_date=PREVIOUS_DATE,
        attribution=build_attribution(today.requirements, previous, size),
        breaks=today.breaks.assign(age_days=np.arange(len(today.breaks)) * 3),
        checks=build_checks(),
        dataset_counts=build_counts(),
        coverage=build_coverage(size),
        history=build_history(today.requirements, size),
        usd_rates=rates,
    )


def build_assessment(size: Size) -> Assessment:
    """Return an assessment whose frames agree with each other."""
    rng = np.random.default_rng(size.seed)
    requirements = _requirements(size, rng)
    scenarios = _scenarios(rng)
    return Assessment(
        requirements=requirements,
        contributions=_contributions(requirements, rng),
        worst_scenarios=_worst_scenarios(requirements, scenarios, rng),
        collateral=_collateral(requirements, rng),
        settlements=_settlements(requirements, rng),
        unsettled=pd.DataFrame(
            {
                "netting_set_id": ["ns-00003"],
                "account_id": ["acc-1"],
                "instrument_id": ["deribit:BTC-20NOV26-90000-C"],
                "kind": ["expiry"],
                "reason": ["no settlement price"],
            }
        ),
        breaks=build_breaks(requirements, size),
        proxies=pd.DataFrame(
            {
                "factor": ["index:WIF", "volatility:SOL", "basis:AVAX"],
                "reason": ["41 own returns, 250 needed", "no history", "no history"],
                "proxy": ["BTC × 2", "BTC volatility × 1.5", "0.5 × return of AVAX"],
                "n_history_days": [41, 0, 0],
            }
        ),
        scenarios=scenarios,
    )


def build_rules(assessment: Assessment) -> RuleBook:
    """Return the shipped parameters with an agreement per netting set."""
    house, text = read_house_parameters(DEFAULT_PARAMETERS, BUSINESS_DATE)
    rows = assessment.requirements
    agreements = {
        name: Agreement(
            netting_set_id=name,
            client_id=client,
            currency=currency,
            confidence=0.99,
            threshold=50_000.0,
            minimum_transfer_amount=100_000.0,
            rounding_increment=10_000.0,
            independent_amount=0.0,
            cure_hours=4.0,
            effective_date=date(2026, 1, 1),
        )
        for name, client, currency in zip(
            rows["netting_set_id"], rows["client_id"], rows["currency"], strict=True
        )
    }
    return rule_book(house, text, agreements)


def _requirements(size: Size, rng: np.random.Generator) -> pd.DataFrame:
    n = size.n_netting_sets
    core = np.exp(rng.normal(13.2, 1.5, n))
    table = pd.DataFrame(
        {
            "netting_set_id": [f"ns-{i:05d}" for i in range(n)],
            "client_id": [
                f"{_NAMES[i // 3 % len(_NAMES)]}-{i // 3 // len(_NAMES):03d}".lower()
                for i in range(n)
            ],
            "currency": [size.currencies[i % len(size.currencies)] for i in range(n)],
            "status": "assessed",
            "reason": "",
            "book": "agreed",
            "n_positions": rng.integers(1, 60, n),
            "core_margin": core,
            "stressed_margin": core * rng.uniform(1.1, 1.9, n),
            "offset_margin": core * rng.choice([0.0, 0.04, 0.11], n),
            "gap_add_on": core * rng.choice([0.0, 0.03, 0.3], n, p=[0.3, 0.5, 0.2]),
            "liquidity_add_on": core * rng.exponential(0.08, n),
            "wrong_way_add_on": core * rng.choice([0.0, 0.05, 0.2], n, p=[0.7, 0.2, 0.1]),
            "hold_add_on": 0.0,
            "stress_grid_margin": core * np.linspace(0.2, 2.0, n),
            "stress_grid_floor": 0.0,
        }
    )
    table["anti_procyclicality"] = 0.25 * (table["stressed_margin"] - core)
    held, failed = slice(0, size.n_held), slice(size.n_held, size.n_held + size.n_failed)
    table.loc[table.index[held], "status"] = "held"
    table.loc[table.index[held], "reason"] = "mark of okx:SOL-USD-SWAP is 14.0 h old, limit 12 h"
    table.loc[table.index[held], "hold_add_on"] = 0.1 * core[held]
    table["requirement"] = table[list(COMPONENT_COLUMNS)].sum(axis=1)
    utilisation = np.exp(rng.normal(-0.35, 0.45, n))
    table["collateral_value"] = table["requirement"] / utilisation
    table.loc[table.index[failed], [*COMPONENT_COLUMNS, "stressed_margin", "requirement"]] = np.nan
    table.loc[table.index[failed], "status"] = "failed"
    table.loc[table.index[failed], "reason"] = "unknown instrument binance:LUNA2USDT-PERP"
    if n > 8:
        table.loc[n - 1, "collateral_value"] = 0.0
        table.loc[n - 2, [*COMPONENT_COLUMNS, "stressed_margin", "requirement"]] = 0.0
    return decided(table)


def _contributions(requirements: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for row in requirements.itertuples(index=False):
        if not row.requirement > 0:
            continue
        n = min(int(row.n_positions), 12)
        share = rng.dirichlet(np.full(n, 0.5)) * 1.2
        share[0] -= 0.2
        for i in range(n):
            asset, venue = _ASSETS[int(rng.integers(8))], _VENUES[int(rng.integers(4))]
            rows.append(
                {
                    "netting_set_id": row.netting_set_id,
                    "instrument_id": f"{venue}:{asset}USDT-{i:02d}",
                    "underlying": asset,
                    "quantity": float(rng.normal(0, 400)),
                    "mark_value": float(rng.normal(0, 4) * row.requirement),
                    "core": share[i] * row.core_margin,
                    "add_ons": share[i] * (row.requirement - row.core_margin),
                    "contribution": share[i] * row.requirement,
                }
            )
    columns = [
        "netting_set_id", "instrument_id", "underlying", "quantity", "mark_value", "core",
        "add_ons", "contribution",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _scenarios(rng: np.random.Generator) -> pd.DataFrame:
    dates = pd.date_range("2023-03-01", periods=400, freq="D").astype("datetime64[ms]")
    historical = pd.DataFrame(
        {"scenario": [f"{d:%Y-%m-%d}" for d in dates], "kind": "historical", "ends_on": dates}
    )
    stress = pd.DataFrame(
        {
            "scenario": ["2020-03-12 liquidity crash", "2022-11-09 FTX", "Stablecoin run"],
            "kind": "stress",
            "ends_on": pd.NaT,
        }
    )
    gap = pd.DataFrame({"scenario": ["BTC −30 %", "SOL −60 %"], "kind": "gap", "ends_on": pd.NaT})
    table = pd.concat([historical, stress, gap], ignore_index=True)
    n = len(table)
    market = rng.standard_t(4, n) * 0.03
    for asset in ("BTC", "ETH", "SOL", "XRP", "DOGE", "AVAX"):
        table[f"index:{asset}"] = market + rng.normal(0, 0.02, n)
        table[f"volatility:{asset}"] = -market * 2 + rng.normal(0, 0.1, n)
        table[f"basis:{asset}"] = rng.normal(0, 0.03, n)
    return table


def _worst_scenarios(
    requirements: pd.DataFrame, scenarios: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    rows = []
    popular = rng.choice(len(scenarios), 25, replace=False)
    for row in requirements.itertuples(index=False):
        if not row.requirement > 0:
            continue
        chosen = rng.choice(popular, 5, replace=False)
        losses = row.core_margin * np.sort(rng.uniform(0.9, 1.4, 5))[::-1]
        rows += [
            {
                "netting_set_id": row.netting_set_id,
                "rank": rank + 1,
                "scenario": scenarios["scenario"].iat[chosen[rank]],
                "kind": scenarios["kind"].iat[chosen[rank]],
                "loss": losses[rank],
            }
            for rank in range(5)
        ]
    return pd.DataFrame(rows, columns=["netting_set_id", "rank", "scenario", "kind", "loss"])


def _collateral(requirements: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for row in requirements.itertuples(index=False):
        for asset, share, haircut in (("USDC", 0.6, 0.01), ("BTC", 0.4, 0.1)):
            value = row.collateral_value * share
            rows.append(
                {
                    "netting_set_id": row.netting_set_id,
                    "location": _VENUES[int(rng.integers(4))],
                    "asset": asset,
                    "state": "settled",
                    "quantity": value / (1 - haircut) / (1.0 if asset == "USDC" else 91_000.0),
                    "market_value": value / (1 - haircut),
                    "haircut": haircut,
                    "fx_haircut": 0.0,
                    "eligible": True,
                    "concentration_cut": 0.0,
                    "collateral_value": value,
                }
            )
    return pd.DataFrame(rows)


def _settlements(requirements: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    amounts = np.round(rng.normal(0, 90_000, len(requirements)), 2)
    return pd.DataFrame(
        {
            "netting_set_id": requirements["netting_set_id"],
            "account_id": "acc-1",
            "instrument_id": "binance:BTCUSDT",
            "kind": "variation",
            "asset": "USDT",
            "amount": amounts,
            "amount_exact": [Decimal(repr(float(a))) for a in amounts],
        }
    )
