"""The rules in force as tables: what a committee approves, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import pandas as pd

from engine.rules import CollateralAsset, HouseParameters
from infra.report.amounts import MINUS, brief, percent

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Methods, not values: the values' own source and effective date stand in the parameter file.
METHODS: Mapping[str, str] = {
    "general": "EMIR RTS 153/2013 art. 27 (offset cap); BCBS-IOSCO d499 (currency mismatch)",
    "filter": "Filtered historical simulation, Barone-Adesi et al. 1999; EMIR RTS 153/2013 art. 25",
    "mpor": "EMIR RTS 153/2013 art. 26: liquidation period by product",
    "proxy": "EMIR RTS 153/2013 art. 25: conservative assumptions where history is absent",
    "surface": "Square root of time law of volatility shocks, as venues' grids use it",
    "anti_procyclicality": "EMIR RTS 153/2013 art. 28: stress weight, buffer or long-run floor",
    "gap": "Largest moves within a day, combined with a correlation matrix",
    "stress_grid": "Price and volatility grid of the venues' portfolio margins, by class",
    "liquidity": "Square root impact law, Almgren et al. 2005",
    "acceptance": "House rule within the day: which prices are believed, and when one is stale",
    "degraded": "House rule within the day: what is owed and what counts on distrusted input",
    "ladder": "House rule within the day: utilisation at which a rung is entered and left",
    "quiet": "House rule: how alerts are grouped, repeated and limited in number",
    "hold": "House rule: last fresh requirement and a charge that grows with its age",
}
_TABLES_OF_THEIR_OWN = ("stress", "collateral", "effective_date", "source")


def parameter_table(house: HouseParameters) -> pd.DataFrame:
    """Return section, key, value (spelled in one line) and method, one row per key."""
    rows: list[tuple[str, str, str, str]] = []
    for field in fields(house):
        value = getattr(house, field.name)
        if field.name in _TABLES_OF_THEIR_OWN or value is None:
            continue
        if is_dataclass(value) and not isinstance(value, type):
            method = METHODS[field.name]
            rows += [(field.name, key, text, method) for key, text in _spelled_fields(value)]
        else:
            rows.append(("general", field.name, spelled(value), METHODS["general"]))
    rows.sort(key=lambda row: row[0] != "general")
    return pd.DataFrame(rows, columns=["section", "key", "value", "method"], dtype="str")


def _spelled_fields(value: DataclassInstance, prefix: str = "") -> list[tuple[str, str]]:
    """Return every key of a section with its value; a table within it gives its name first."""
    found: list[tuple[str, str]] = []
    for field in fields(value):
        inner, name = getattr(value, field.name), prefix + field.name
        if is_dataclass(inner) and not isinstance(inner, type):
            found += _spelled_fields(inner, f"{name}.")
        else:
            found.append((name, spelled(inner)))
    return found


def stress_table(house: HouseParameters) -> pd.DataFrame:
    """Return the named stress scenarios: name, index shocks, volatility, basis, pegs, source."""
    rows = [
        {
            "name": stress.name,
            "index": spelled(stress.index),
            "volatility": stress.volatility,
            "basis": stress.basis,
            "peg": spelled(stress.peg),
            "source": stress.source,
        }
        for stress in house.stress
    ]
    return pd.DataFrame(rows)


def collateral_rule_table(house: HouseParameters) -> pd.DataFrame:
    """Return asset, eligible, haircut tiers, concentration limit and scale of each asset."""
    rows = [
        {
            "asset": asset,
            "eligible": rule.eligible,
            "haircuts": haircut_text(rule),
            "concentration_limit": rule.concentration_limit,
            "scale": rule.scale,
        }
        for asset, rule in sorted(house.collateral.items())
    ]
    return pd.DataFrame(rows)


def haircut_text(rule: CollateralAsset) -> str:
    """Return the tiers in words: ``10 % · 15 % from 20 M``."""
    return " · ".join(
        percent(tier.haircut, 1).replace(".0", "")
        + (f" from {brief(tier.floor)}" if tier.floor else "")
        for tier in rule.haircut_tiers
    )


def spelled(value: object) -> str:
    """Return a parameter in one line, with mappings and tuples spelled out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {spelled(item)}" for key, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(
            f"[{spelled(item)}]" if isinstance(item, tuple) else spelled(item) for item in value
        )
    if isinstance(value, float):
        text = f"{int(value):,}" if value == int(value) and abs(value) >= 1000 else repr(value)
        return text.replace("-", MINUS, 1) if value < 0 else text
    return f"{value:,}" if isinstance(value, int) else str(value)
