"""Equity after collateral rates against maintenance margin: one ratio for a whole account."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import ModelInputError
from engine.ticks import round_to_tick


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedAsset:
    """Balance of one asset, net of loans and with futures wallet and unrealised profit.

    Attributes
    ----------
    asset : str
        Name of the asset.
    quantity : float
        Units, < 0 for a debt.
    mark_price : float
        Price of one unit, > 0. [USD]
    collateral_rate : float
        ``1 - haircut``, 0 to 1. [-]
    """

    asset: str
    quantity: float
    mark_price: float
    collateral_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedLoan:
    """A borrowing that carries maintenance margin: units owed >= 0, price [USD], rate 0 to 1."""

    asset: str
    quantity: float
    mark_price: float
    maintenance_margin_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedAccount:
    """What an account holds and what its positions require. [USD]

    ``positions_initial_margin_usd`` is None where the venue states no initial margin.
    ``rate_tick`` truncates the two rates, as venues print them; the ratio is not truncated.
    """

    assets: Sequence[UnifiedAsset] = ()
    loans: Sequence[UnifiedLoan] = ()
    positions_maintenance_margin_usd: float = 0.0
    positions_initial_margin_usd: float | None = None
    open_order_loss_usd: float = 0.0
    rate_tick: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedMarginRatio:
    """Health of an account.

    Attributes
    ----------
    adjusted_equity_usd, maintenance_margin_usd : float
        Equity after collateral rates; maintenance of positions and loans. [USD]
    margin_ratio : float or None
        Equity per maintenance; None where nothing is to be maintained. [-]
    maintenance_margin_rate, initial_margin_rate : float or None
        Requirement per equity; None where equity is not positive. [-]
    available_balance_usd : float or None
        Equity above initial margin; None without initial margin. [USD]
    """

    adjusted_equity_usd: float
    maintenance_margin_usd: float
    margin_ratio: float | None
    maintenance_margin_rate: float | None
    initial_margin_rate: float | None
    available_balance_usd: float | None


def unified_margin_ratio(account: UnifiedAccount) -> UnifiedMarginRatio:
    """Return equity after collateral rates against maintenance margin [1]_ [2]_ [3]_.

    Each asset counts at its collateral rate when it is an asset and in full when it is a debt:
    ``min(quantity * price * rate, quantity * price)``.

    Parameters
    ----------
    account : UnifiedAccount
        Balances, loans and requirements.

    Returns
    -------
    UnifiedMarginRatio
        Amounts in USD, not rounded.

    Raises
    ------
    ModelInputError
        If a price is not above 0, or a rate outside 0 to 1.

    References
    ----------
    .. [1] Binance FAQ 5e33af8e6ac04d57a1d0a3398e0a0752, "Portfolio margin: uniMMR".
    .. [2] Hyperliquid, "Portfolio margin" (August 2026).
    .. [3] Bybit, ``docs/v5/asset/portfolio-margin`` (March 2026).

    Examples
    --------
    >>> bitcoin = UnifiedAsset(
    ...     asset="BTC", quantity=2.0, mark_price=50000.0, collateral_rate=0.95
    ... )
    >>> unified_margin_ratio(
    ...     UnifiedAccount(assets=[bitcoin], positions_maintenance_margin_usd=9500.0)
    ... ).margin_ratio
    10.0
    """
    values = []
    for each in account.assets:
        _require_usable(each.asset, each.mark_price, each.collateral_rate)
        value = each.quantity * each.mark_price
        values.append(min(value * each.collateral_rate, value))
    maintenance = [account.positions_maintenance_margin_usd]
    for loan in account.loans:
        _require_usable(loan.asset, loan.mark_price, loan.maintenance_margin_rate)
        maintenance.append(loan.quantity * loan.mark_price * loan.maintenance_margin_rate)
    equity = math.fsum((*values, -account.open_order_loss_usd))
    required = math.fsum(maintenance)
    initial = account.positions_initial_margin_usd
    return UnifiedMarginRatio(
        adjusted_equity_usd=equity,
        maintenance_margin_usd=required,
        margin_ratio=equity / required if required > 0.0 else None,
        maintenance_margin_rate=_rate(required, equity, account.rate_tick),
        initial_margin_rate=None if initial is None else _rate(initial, equity, account.rate_tick),
        available_balance_usd=None if initial is None else equity - initial,
    )


def _rate(requirement: float, equity: float, tick: float | None) -> float | None:
    if equity <= 0.0:
        return None
    rate = requirement / equity
    return rate if tick is None else round_to_tick(rate, tick, "toward_zero")


def _require_usable(asset: str, price: float, rate: float) -> None:
    if not (price > 0.0 and 0.0 <= rate <= 1.0):
        raise ModelInputError(
            f"{asset[:60]!r} has price {price} and rate {rate}, limits > 0 and 0 to 1",
            identifier=asset,
        )
