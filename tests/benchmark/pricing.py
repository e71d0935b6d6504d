"""Black-76: 10,000 options in 1,000 scenarios, values kept as float64, one core."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console

from engine.kernels.black76_plain import scenario_option_values as plain_values
from tests.benchmark import bounds, compiled_peers, option_peers, other_python
from tests.benchmark.end_of_day_core import values
from tests.benchmark.measure import Absent, Route, Routes, interleaved, write_result
from tests.benchmark.tables import rates_table
from tests.benchmark.workload import Options, Scenarios, make_options, make_scenarios

# Slow peers are timed on a part, per price, because the whole would take seconds a turn.
N_QUANTLIB, N_VOLLIB = 100, 200
ENGINE, BLOCKED, ONE_SHOT = "engine kernel", "NumPy + SciPy, blocked", "NumPy + SciPy, one shot"
NUMBA, QUANTLIB = "numba math.erfc, factorised", "QuantLib blackFormula from Python"
C, C_GENERAL = "C with libmvec, factorised", "C with libmvec, general"
SVML, SVML_GENERAL = "numba 0.58 with SVML, factorised", "numba 0.58 with SVML, general"
VOLLIB = "py_vollib_vectorized"


def make_routes(
    options: Options, scenarios: Scenarios, process: other_python.OtherPython | Absent
) -> Routes:
    """Return every route on the same options and scenarios, and why some are missing."""
    out = np.empty((len(options), len(scenarios.forward_factor)))
    some = options.rows(slice(0, N_QUANTLIB))
    routes = Routes()
    routes.add(ENGINE, lambda: values(options, scenarios, out))
    compiled = compiled_peers.library()
    has_c = not isinstance(compiled, Absent)
    for name, peer in ((C, compiled_peers.factorised), (C_GENERAL, compiled_peers.general)):
        routes.add(name, _on(peer, options, scenarios, out) if has_c else compiled)
    for name, remote, needs_svml in (
        (SVML, "svml_factorised", True), (SVML_GENERAL, "svml_general", True),
        (VOLLIB, "vollib", False),
    ):  # fmt: skip
        routes.add(name, other_python.route(process, remote, needs_svml))
    routes.add(NUMBA, lambda: option_peers.numba_erfc(options, scenarios, out))
    routes.add(BLOCKED, lambda: option_peers.blocked(options, scenarios, out))
    routes.add(ONE_SHOT, lambda: option_peers.one_shot(options, scenarios))
    routes.add(QUANTLIB, lambda: option_peers.quantlib(some, scenarios))
    return routes


def _on(peer: Any, options: Options, scenarios: Scenarios, out: np.ndarray) -> Route:
    return lambda: peer(options, scenarios, out)


def measure(repeats: int = 7) -> dict[str, Any]:
    """Return prices per second of each route, its largest error, and the machine's bounds."""
    options, scenarios = make_options(), make_scenarios()
    n_prices = len(options) * len(scenarios.forward_factor)
    process = other_python.started(options, scenarios, N_VOLLIB)
    try:
        routes = make_routes(options, scenarios, process)
        limits = [
            limit
            for limit in (
                bounds.multiply_adds(bounds.OPERATIONS_PER_PRICE * n_prices),
                bounds.exponentials(float(n_prices)),
            )
            if not isinstance(limit, Absent)
        ]
        loops = {limit.name: limit.run for limit in limits}
        seconds = interleaved({**routes.present, **loops}, repeats)
        errors = _errors(options, scenarios, routes)
        versions = {} if isinstance(process, Absent) else process.state
    finally:
        if not isinstance(process, Absent):
            process.close()
    counted = {QUANTLIB: N_QUANTLIB, VOLLIB: N_VOLLIB}
    return {
        "prices_per_second": {
            name: counted.get(name, len(options)) * len(scenarios.forward_factor)
            / seconds[name].processor
            for name in routes.present
        },
        "error_max": errors,
        "missing": routes.missing,
        "bound_prices_per_second": {
            limit.name: n_prices / limit.seconds_at_best(seconds) for limit in limits
        },
        "older_python": versions,
    }  # fmt: skip


def _errors(options: Options, scenarios: Scenarios, routes: Routes) -> dict[str, float]:
    """Return errors over max(F, K) against scipy's normal distribution, parity in the money."""
    reference = plain_values(
        options.forward, options.strike, options.is_call, options.volatility, options.years,
        scenarios.forward_factor, scenarios.volatility_factor,
    )  # fmt: skip
    forward = options.forward[:, None] * scenarios.forward_factor
    scale = np.maximum(forward, options.strike[:, None])
    found = {}
    for name, route in routes.present.items():
        value = np.reshape(np.asarray(route()), (-1, reference.shape[1]))
        part = slice(0, len(value))
        found[name] = float(np.max(np.abs(value - reference[part]) / scale[part]))
    return found


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    title = "10,000 options x 1,000 scenarios, one core, processor time"
    console.print(rates_table(title, figures, ENGINE))
    console.print(write_result("pricing", figures))
