"""The measured work: options, scenarios and books of a stated size, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernels.tail import NETTED, LegRows

N_INSTRUMENTS = 10_000
N_SCENARIOS = 1_000
N_POSITIONS = 30
# 99 % expected shortfall of 1,000 scenarios.
N_TAIL = 10


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Distinct options on forwards near 1,000: a day to 18 months, 40 to 150 % volatility."""

    forward: np.ndarray
    strike: np.ndarray
    is_call: np.ndarray
    volatility: np.ndarray
    years: np.ndarray

    def __len__(self) -> int:
        return len(self.forward)

    def rows(self, rows: slice) -> Options:
        """Return the options of ``rows``."""
        return Options(
            self.forward[rows],
            self.strike[rows],
            self.is_call[rows],
            self.volatility[rows],
            self.years[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """A price and a volatility factor for each scenario; Student-t prices, as in a crypto tail."""

    forward_factor: np.ndarray
    volatility_factor: np.ndarray

    def largest_first(self) -> Scenarios:
        """Return the scenarios with the largest moves of the price first."""
        order = np.argsort(-np.abs(np.log(self.forward_factor)), kind="stable")
        return Scenarios(self.forward_factor[order], self.volatility_factor[order])


def make_options(n: int = N_INSTRUMENTS, seed: int = 1) -> Options:
    """Return ``n`` options with ln(F/K) up to 4 either way, most near the money."""
    rng = np.random.default_rng(seed)
    forward = 1_000.0 * rng.uniform(0.9, 1.1, n)
    return Options(
        forward=forward,
        strike=forward * np.exp(rng.uniform(-4.0, 4.0, n) * rng.uniform(0.0, 1.0, n)),
        is_call=rng.random(n) < 0.5,
        volatility=rng.uniform(0.4, 1.5, n),
        years=rng.uniform(1.0 / 365.0, 1.5, n),
    )


def make_scenarios(n: int = N_SCENARIOS, seed: int = 2) -> Scenarios:
    """Return ``n`` joint moves of price and volatility."""
    rng = np.random.default_rng(seed)
    return Scenarios(np.exp(0.05 * rng.standard_t(4.0, n)), np.exp(0.2 * rng.standard_normal(n)))


def make_books(n_sets: int, n_legs: int = 1, seed: int = 3) -> LegRows:
    """Return books of 30 random positions each, in ``n_legs`` legs: the worst case for caches."""
    rng = np.random.default_rng(seed)
    n = n_sets * N_POSITIONS
    return LegRows(
        group_ptr=np.arange(0, n_sets * n_legs + 1, n_legs),
        leg_ptr=np.arange(0, n + 1, N_POSITIONS // n_legs),
        leg_role=np.full(n_sets * n_legs, NETTED, dtype=np.int8),
        index=rng.integers(0, N_INSTRUMENTS, n, dtype=np.int32),
        weight=rng.standard_normal(n),
    )
