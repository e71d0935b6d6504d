"""Black-76: 10,000 options in 1,000 scenarios, values kept as float64, one core."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.kernels.black76_plain import scenario_option_values as plain_values
from tests.benchmark import option_peers
from tests.benchmark.end_of_day_core import values
from tests.benchmark.measure import interleaved, write_result
from tests.benchmark.workload import Options, Scenarios, make_options, make_scenarios

# QuantLib is timed on a part, per price, because the whole would take seconds a turn.
N_QUANTLIB = 100
ENGINE, BLOCKED, ONE_SHOT = "engine kernel", "NumPy blocked", "NumPy one shot"
NUMBA, QUANTLIB = "numba erfc", "QuantLib"


def measure(repeats: int = 7) -> dict[str, Any]:
    """Return prices per second of each route and the largest error of each."""
    options, scenarios = make_options(), make_scenarios()
    out = np.empty((len(options), len(scenarios.forward_factor)))
    some = options.rows(slice(0, N_QUANTLIB))
    routes = {
        ENGINE: lambda: values(options, scenarios, out),
        BLOCKED: lambda: option_peers.blocked(options, scenarios, out),
        ONE_SHOT: lambda: option_peers.one_shot(options, scenarios),
        NUMBA: lambda: option_peers.numba_erfc(options, scenarios, out),
        QUANTLIB: lambda: option_peers.quantlib(some, scenarios),
    }
    seconds = interleaved(routes, repeats)
    n_prices = dict.fromkeys(routes, out.size) | {QUANTLIB: N_QUANTLIB * out.shape[1]}
    return {
        "prices_per_second": {
            name: n_prices[name] / taken.processor for name, taken in seconds.items()
        },
        "error_max": _errors(options, scenarios),
    }


def _errors(options: Options, scenarios: Scenarios) -> dict[str, float]:
    """Return errors over max(F, K) against scipy's normal distribution, parity in the money."""
    reference = plain_values(
        options.forward, options.strike, options.is_call, options.volatility, options.years,
        scenarios.forward_factor, scenarios.volatility_factor,
    )  # fmt: skip
    forward = options.forward[:, None] * scenarios.forward_factor
    scale = np.maximum(forward, options.strike[:, None])
    out = np.empty_like(reference)
    some = options.rows(slice(0, N_QUANTLIB))
    by_quantlib = np.reshape(option_peers.quantlib(some, scenarios), (N_QUANTLIB, -1))
    found = {
        ENGINE: values(options, scenarios).copy(),
        BLOCKED: option_peers.blocked(options, scenarios, out).copy(),
        ONE_SHOT: option_peers.one_shot(options, scenarios),
        NUMBA: option_peers.numba_erfc(options, scenarios, out).copy(),
        QUANTLIB: by_quantlib,
    }
    return {
        name: float(np.max(np.abs(value - reference[: len(value)]) / scale[: len(value)]))
        for name, value in found.items()
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    rates = figures["prices_per_second"]
    table = Table(title="10,000 options x 1,000 scenarios, one core, processor time")
    for column in ("route", "million prices/s", "ns/price", "engine is", "error / max(F, K)"):
        table.add_column(column, justify="left" if column == "route" else "right")
    for name, rate in rates.items():
        table.add_row(
            name, f"{rate / 1e6:,.1f}", f"{1e9 / rate:,.2f}", f"{rates[ENGINE] / rate:,.1f} x",
            f"{figures['error_max'][name]:.1e}",
        )  # fmt: skip
    console.print(table)
    console.print(write_result("pricing", figures))
