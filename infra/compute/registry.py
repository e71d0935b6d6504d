"""All calculations by name; the module of each is imported when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from engine.errors import ContractViolation

if TYPE_CHECKING:
    from infra.compute.calculation import Calculation

_PACKAGE: Final = "infra.compute.calculations"
# In the order in which people read them.
_MODULES: Final[Mapping[str, str]] = {
    "option_value": "options",
    "implied_volatility": "options",
    "tiered_margin": "tiered",
    "liquidation_price": "liquidation",
    "close_out_price": "liquidation",
    "standard_option_margin": "rule_based",
    "scenario_margin": "scenario_margin",
    "derive_portfolio_margin": "derive_portfolio",
    "derive_standard_margin": "derive_standard",
    "span_requirement": "rule_based",
    "margin_levels": "levels",
    "lognormal_risk_factors": "levels",
    "unified_margin_ratio": "unified",
    "collateral_value": "collateral",
    "margin_call": "calls",
    "loan_margin_call": "calls",
    "schedule_margin": "margin",
    "portfolio_offset_cap": "margin",
    "anti_procyclicality": "margin",
    "position_pnl": "settlement",
    "funding_payment": "settlement",
    "mark_to_market_settlement": "settlement",
    "value_at_risk": "risk",
    "conditional_variance": "risk",
    "traffic_light": "traffic_light",
    "kupiec_test": "backtest",
    "christoffersen_test": "backtest",
}
CALCULATION_NAMES: Final = tuple(_MODULES)


@cache
def find_calculation(name: str) -> Calculation[Any]:
    """Return the calculation of that name.

    Raises
    ------
    ContractViolation
        If there is none.
    """
    if name not in _MODULES:
        raise ContractViolation(
            f"unknown calculation {name[:60]!r}; known are {', '.join(CALCULATION_NAMES)}",
            identifier=name[:60],
        )
    module = importlib.import_module(f"{_PACKAGE}.{_MODULES[name]}")
    found: dict[str, Calculation[Any]] = {each.name: each for each in module.CALCULATIONS}
    return found[name]
