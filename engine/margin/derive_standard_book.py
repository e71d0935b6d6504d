"""Options under Derive's standard manager: any number of books of one underlying and expiry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.margin.derive_parameters import DeriveStandardParameters


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveStandardOptions:
    """Options by book; arrays of shape (n_rows,).

    Attributes
    ----------
    book : Int64Array1D
        What one account holds on one underlying and expiry, from 0.
    is_call : BoolArray1D
    quantity : Float64Array1D
        Signed, long > 0. [units of underlying]
    strike_price, mark_price, spot_price, forward_price : Float64Array1D
        [quote currency]
    """

    book: Int64Array1D
    is_call: BoolArray1D
    quantity: Float64Array1D
    strike_price: Float64Array1D
    mark_price: Float64Array1D
    spot_price: Float64Array1D
    forward_price: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveOptionNets:
    """Net margins of books, at most 0; arrays of shape (n_books,). [quote currency]

    The net margin is the better of ``isolated``, option by option, and ``capped``, the worst
    payoff at expiry less the charge for unpaired calls.
    """

    isolated_initial: Float64Array1D
    isolated_maintenance: Float64Array1D
    capped_initial: Float64Array1D
    capped_maintenance: Float64Array1D

    @property
    def net_initial_margin(self) -> Float64Array1D:
        """Better of both ways."""
        return np.asarray(np.maximum(self.isolated_initial, self.capped_initial))

    @property
    def net_maintenance_margin(self) -> Float64Array1D:
        """Better of both ways."""
        return np.asarray(np.maximum(self.isolated_maintenance, self.capped_maintenance))


def option_nets(
    options: DeriveStandardOptions, n_books: int, parameters: DeriveStandardParameters
) -> DeriveOptionNets:
    """Return the net margins of each book; the forward is that of its first option.

    Raises
    ------
    ModelInputError
        If a sum is not finite.
    """
    initial, maintenance = _isolated(options, parameters)
    short = np.minimum(options.quantity, 0.0)
    sums = rounded(
        grouped_sums(
            np.stack([short * initial, short * maintenance], axis=1), options.book, n_books
        )
    )
    calls = np.where(options.is_call, options.quantity, 0.0)
    net_calls = rounded(grouped_sums(calls, options.book, n_books))
    forward = np.zeros(n_books)
    held, first = np.unique(options.book, return_index=True)
    forward[held] = options.forward_price[first]
    unpaired = np.maximum(-net_calls, 0.0) * forward
    floor = _payoff_floors(options, n_books)
    return DeriveOptionNets(
        isolated_initial=sums[:, 0],
        isolated_maintenance=sums[:, 1],
        capped_initial=floor - unpaired * parameters.unpaired_call_initial,
        capped_maintenance=floor - unpaired * parameters.unpaired_call_maintenance,
    )


def _isolated(
    options: DeriveStandardOptions, one: DeriveStandardParameters
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return what one short option of each row needs by itself: initial and maintenance."""
    spot, mark, strike = options.spot_price, options.mark_price, options.strike_price
    distance = np.where(options.is_call, strike - spot, spot - strike)
    put_floor = np.maximum(
        one.maintenance_margin_rate_put * spot, one.maintenance_margin_rate_put_mark * mark
    )
    maintenance = (
        np.where(options.is_call, one.maintenance_margin_rate_call * spot, put_floor) + mark
    )
    needed = one.initial_margin_rate * spot - np.maximum(distance, 0.0)
    raw = np.maximum(needed, one.initial_margin_rate_min * spot) + mark
    floored = np.maximum(raw, one.maintenance_offset * maintenance)
    return np.where(options.is_call, raw, floored), maintenance


def _payoff_floors(options: DeriveStandardOptions, n_books: int) -> Float64Array1D:
    """Return the worst payoff of each book over the prices 0 and its strikes, at most 0."""
    order = np.argsort(options.book, kind="stable")
    edges = np.searchsorted(options.book[order], np.arange(n_books + 1))
    # Candidates of a what-if share most of their books, so each content is looked at once.
    known: dict[tuple[bytes, bytes, bytes], float] = {}
    floors = np.zeros(n_books)
    for book in range(n_books):
        rows = order[edges[book] : edges[book + 1]]
        held = (options.is_call[rows], options.strike_price[rows], options.quantity[rows])
        key = (held[0].tobytes(), held[1].tobytes(), held[2].tobytes())
        if key not in known:
            known[key] = _payoff_floor(*held)
        floors[book] = known[key]
    return floors


def _payoff_floor(is_call: BoolArray1D, strike: Float64Array1D, quantity: Float64Array1D) -> float:
    prices = np.append(strike, 0.0)
    sign = np.where(is_call, 1.0, -1.0)
    payoffs = np.maximum(sign[:, np.newaxis] * (prices - strike[:, np.newaxis]), 0.0)
    one_book = np.zeros(len(strike), dtype=np.int64)
    nets = rounded(grouped_sums(payoffs * quantity[:, np.newaxis], one_book, 1))[0]
    return min(0.0, float(nets.min()))
