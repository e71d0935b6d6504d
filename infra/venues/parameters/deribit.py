"""Deribit: parameters of the portfolio margin engine.

``public/pme/get_params``, or ``model_params`` of ``private/pme/simulate`` (docs.deribit.com). What
the parameters do is described on support.deribit.com ("Portfolio Margin", 25944756247837); the
extended table and the delta shock are inferred from samples of the interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from infra.venues.parameters.importing import (
    BadRow,
    Imported,
    PayloadFacts,
    Row,
    imported_rows,
    number,
    read_json,
    unknown_form,
)

VENUE: Final = "deribit"
_FORMS: Final = ("pme/get_params: result of {currency_pair, currency, general}",)
EXTENDED_PRICE_SHOCKS: Final = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
_DOLLARS: Final = ("usdc", "usd")
_VOLATILITY_MOVES: Final = ("down", "unchanged", "up")


def import_payload(payload: bytes, facts: PayloadFacts) -> Imported:
    """Return a ``scenario_grid`` set for every currency pair, its scope the base currency."""
    content = read_json(payload, VENUE)
    body = content.get("result", content) if isinstance(content, dict) else None
    params = body.get("model_params", body) if isinstance(body, dict) else None
    if not isinstance(params, dict) or not isinstance(params.get("general"), dict):
        raise unknown_form(VENUE, _FORMS)
    pairs = params.get("currency_pair")
    if not isinstance(pairs, dict) or not pairs:
        raise unknown_form(VENUE, _FORMS)
    rows = [
        Row(_base(name).upper(), partial(_grid, name, pair, params))
        for name, pair in sorted(pairs.items())
    ]
    return imported_rows(VENUE, "scenario_grid", rows, facts)


def price_shocks(price_range: float, n_buckets: int) -> list[float]:
    """Return the grid's moves: ``n_buckets`` equal steps down and up to the range, and none.

    >>> price_shocks(0.16, 4)
    [-0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16]
    """
    steps = range(-n_buckets, n_buckets + 1)
    return [round(price_range * step / n_buckets, 12) + 0.0 for step in steps]


def _base(pair: str) -> str:
    return pair.split("_", maxsplit=1)[0]


def _grid(name: str, pair: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} pme parameters {name}"
    currency = _currency(name, params, identifier)
    general = params["general"]
    if number(general, "vol_scenarios_count", identifier) != len(_VOLATILITY_MOVES):
        found = general["vol_scenarios_count"]
        raise BadRow(identifier, found, "3", f"{identifier}: {found} volatility moves, limit: 3")
    value, by_currency = partial(_value, pair, identifier), partial(_value, currency, identifier)
    n_buckets = int(number(general, "buckets_count", identifier))
    # The cap is stated in dollars and the grid of a coin counts coins: no gain offsets there.
    offsets: dict[str, object] = {}
    if not currency["is_coin"]:
        offsets = {
            "gain_offset_fraction": by_currency("pnl_offset"),
            "gain_offset_max": by_currency("max_offsetable_pnl"),
        }
    return {
        **offsets,
        "price_shocks": price_shocks(value("price_range"), n_buckets),
        "volatility_moves": _VOLATILITY_MOVES,
        "volatility_shock_up": value("volatility_range_up"),
        "volatility_shock_down": value("volatility_range_down"),
        "volatility_power_short": value("short_term_vega_power"),
        "volatility_power_long": value("long_term_vega_power"),
        "volatility_min": value("min_volatility_for_shock_up"),
        "annualised_move_risk": by_currency("annualised_move_risk"),
        "annualised_move_min": by_currency("min_annualised_move"),
        "maintenance_margin_factor": number(general, "mm_factor", identifier),
        "extended_price_shocks": _beyond(value("price_range")),
        "extended_fraction": value("extended_table_factor"),
        "extended_dampener": by_currency("extended_dampener"),
        "delta_shock_threshold": value("delta_total_liq_shock_threshold"),
        "delta_shock_slope": value("m_inc"),
        "delta_shock_max": value("max_delta_shock"),
    }


def _currency(name: str, params: Mapping[str, Any], identifier: str) -> Mapping[str, Any]:
    """Return the entry of the currency that the pair is margined in: its base, or its quote's."""
    currencies = params.get("currency")
    if isinstance(currencies, dict):
        for candidate in (_base(name), *name.split("_")[1:], *_DOLLARS):
            found = currencies.get(candidate)
            if isinstance(found, dict):
                return {**found, "is_coin": candidate not in _DOLLARS}
    reason = f"{identifier}: no entry of {_base(name)} under currency"
    raise BadRow(identifier, None, "an entry under currency", reason)


def _value(row: Mapping[str, Any], identifier: str, key: str) -> float:
    return number(row, key, identifier)


def _beyond(price_range: float) -> Sequence[float]:
    # A cell within the grid would count a smaller move than the grid itself.
    return [shock for shock in EXTENDED_PRICE_SHOCKS if abs(shock) >= price_range]
