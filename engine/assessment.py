"""What the engine answers: frames with one row per netting set, position, scenario or posting."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from engine.drift import DRIFT_TYPES
from engine.venue_accounts.columns import (
    BUCKET_COLUMNS,
    MARGIN_COLUMNS,
    POSITION_COLUMNS,
    SCENARIO_COLUMNS,
    without_rows,
)
from engine.venue_accounts.columns import COMPONENT_COLUMNS as VENUE_COMPONENT_COLUMNS

REQUIREMENT_COLUMNS = (
    "netting_set_id", "client_id", "currency", "status", "reason", "book", "n_positions",
    "core_margin", "stressed_margin", "offset_margin", "anti_procyclicality", "gap_add_on",
    "liquidity_add_on", "wrong_way_add_on", "hold_add_on", "stress_grid_margin",
    "stress_grid_floor", "requirement",
    "collateral_value", "excess", "margin_ratio", "call_amount", "call_action",
)  # fmt: skip

STRESS_CELL_TYPES = {
    "netting_set_id": "str", "underlying": "str", "stress_class": "str", "price_shock": "float64",
    "volatility_move": "str", "weight": "float64", "loss": "float64",
}  # fmt: skip

VENUE_FRAMES = (
    "venue_margins", "venue_buckets", "venue_components", "venue_positions", "venue_scenarios",
    "venue_drift",
)  # fmt: skip
"""Frames that are kept where venue accounts are known, and absent elsewhere."""

STRESS_FRAME = "stress_cells"
"""Frame that is kept where the rules have a stress grid."""

# These add up to ``requirement``. Memoranda are ``stressed_margin``, part of
# ``anti_procyclicality`` by its weight, and ``stress_grid_margin``, to which ``stress_grid_floor``
# fills the core and its tools up where the grid binds; both are absent without a stress grid.
COMPONENT_COLUMNS = (
    "core_margin", "offset_margin", "anti_procyclicality", "stress_grid_floor", "gap_add_on",
    "liquidity_add_on", "wrong_way_add_on", "hold_add_on",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """Requirement, collateral, decision and explanation of every netting set.

    Attributes
    ----------
    requirements : pandas.DataFrame
        One row per netting set, sorted by ``netting_set_id``; columns ``REQUIREMENT_COLUMNS``.
        ``status`` is ``assessed``, ``held`` (inputs not fresh: last fresh requirement with an
        add-on) or ``failed`` (no requirement; ``reason`` names the identifiers). Margins and
        ``requirement`` are float64 in the agreement's currency, not rounded;
        ``requirement_amount``, ``collateral_amount``, ``call_amount`` and ``withheld_amount`` (a
        return that is blocked) are exact ``Decimal``.
        ``call_action`` is ``call``, ``return``, ``none`` or ``blocked`` (a return withheld because
        inputs are not fresh or a break is open).

        Where venue accounts are known, also ``engine.binding.VENUE_REQUIREMENT_COLUMNS`` and the
        exact ``venue_amount`` and ``owed_amount``: what the venues demand, which side binds, and
        what is owed. ``excess``, ``margin_ratio`` and the call are then measured on what is owed.
    contributions : pandas.DataFrame
        netting_set_id, instrument_id, underlying, quantity, mark_value, core, add_ons,
        contribution; contributions of a netting set sum to its requirement.
    worst_scenarios : pandas.DataFrame
        netting_set_id, rank, scenario, kind, loss: the largest losses of each netting set.
    collateral : pandas.DataFrame
        netting_set_id, location, asset, state, quantity, market_value, haircut, fx_haircut,
        eligible, concentration_cut, collateral_value, reason (why it counts nothing, or empty).
    settlements : pandas.DataFrame
        netting_set_id, account_id, instrument_id, kind (variation, funding, expiry), asset,
        amount (signed, gains of the client > 0, float64) and amount_exact (Decimal).
    unsettled : pandas.DataFrame
        netting_set_id, account_id, instrument_id, kind, reason: what could not be settled.
    breaks : pandas.DataFrame
        Reconciliation differences: break_id, scope (position or balance), kind, netting_set_id,
        account_id, item, oms_quantity, venue_quantity, clearing_quantity, difference, tolerance,
        owner.
    proxies : pandas.DataFrame
        factor, reason, proxy, n_history_days: every stand-in that the scenarios used.
    scenarios : pandas.DataFrame
        scenario (the last day of a historical window, or a name), kind (historical, stress, gap)
        and the one-day shocks of the most held assets.
    stress_cells : pandas.DataFrame
        netting_set_id, underlying, stress_class, price_shock, volatility_move, weight, loss: the
        worst cell of the stress grid for each underlying of the governing book, largest first.
        [agreement currency] Without a row where the rules have no stress grid.
    venue_margins, venue_buckets, venue_components : pandas.DataFrame
    venue_positions, venue_scenarios, venue_drift : pandas.DataFrame
        Frames of ``engine.venue_accounts.VenueMargins``; without a row where no venue account is
        known.
    """

    requirements: pd.DataFrame
    contributions: pd.DataFrame
    worst_scenarios: pd.DataFrame
    collateral: pd.DataFrame
    settlements: pd.DataFrame
    unsettled: pd.DataFrame
    breaks: pd.DataFrame
    proxies: pd.DataFrame
    scenarios: pd.DataFrame
    stress_cells: pd.DataFrame = field(default_factory=lambda: without_rows(STRESS_CELL_TYPES))
    venue_margins: pd.DataFrame = field(default_factory=lambda: without_rows(MARGIN_COLUMNS))
    venue_buckets: pd.DataFrame = field(default_factory=lambda: without_rows(BUCKET_COLUMNS))
    venue_components: pd.DataFrame = field(
        default_factory=lambda: without_rows(VENUE_COMPONENT_COLUMNS)
    )
    venue_positions: pd.DataFrame = field(default_factory=lambda: without_rows(POSITION_COLUMNS))
    venue_scenarios: pd.DataFrame = field(default_factory=lambda: without_rows(SCENARIO_COLUMNS))
    venue_drift: pd.DataFrame = field(default_factory=lambda: without_rows(DRIFT_TYPES))

    @property
    def has_stress_grid(self) -> bool:
        """Whether the rules have a stress grid."""
        return "stress_grid_margin" in self.requirements

    @property
    def has_venues(self) -> bool:
        """Whether venue accounts are known."""
        return len(self.venue_margins) > 0
