"""What a venue itself would do to an account that no longer covers its maintenance margin.

Most venues cancel the account's orders, then take the position down in steps, each at a fee, until
maintenance is covered again or nothing is left; what is then missing is the insurance fund's. The
steps are replayed on the venue's own margin rules at the present marks. Markets that move on
meanwhile make it worse, never better: the answer is a lower bound of the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt

from engine.errors import ModelInputError
from engine.limits import STRICT

WaterfallEnd: TypeAlias = Literal["covered", "restored", "closed_out", "bankrupt"]
STEPS_MAX: Final = 200
"""More steps are no waterfall but a loop; published steps need a few dozen at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationRules:
    """How a venue liquidates.

    Attributes
    ----------
    cancels_orders : bool
        Whether open orders go first.
    step_share : float
        Part of every position that one step takes; 1 takes all at once. [-]
    fee_rate : float
        Fee on the notional of what a step takes. [-]
    step_seconds : float
        Time between two steps. [s]
    whole_below : float
        Positions of no more notional than this go in one step. [USD]
    backstop_share : float
        Below this share of maintenance margin everything is taken over with the equity left. [-]
    hedges_first : bool
        Whether the venue takes the direction off first, by opening futures, before it closes
        anything; the fee is charged on what it opens.
    """

    __pydantic_config__ = STRICT

    cancels_orders: bool
    step_share: Annotated[float, Gt(0.0), Le(1.0)]
    fee_rate: Annotated[float, Ge(0.0), Lt(1.0)]
    step_seconds: Annotated[float, Ge(0.0)] = 0.0
    whole_below: Annotated[float, Ge(0.0)] = 0.0
    backstop_share: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    hedges_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Margin of an account with what is left of it. [USD]

    ``equity`` is before liquidation fees.
    """

    maintenance_margin: float
    equity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationStep:
    """One step: what it takes of each position, its fee, and where the account then stands.

    What is opened as a hedge is taken with the opposite sign: -5 taken is 5 bought.
    """

    action: Literal["cancel_orders", "hedge", "liquidate"]
    after_seconds: float
    taken: Mapping[str, float]
    fee: float
    maintenance_margin: float
    equity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Steps and their end.

    Attributes
    ----------
    end : {"covered", "restored", "closed_out", "bankrupt"}
        ``covered``: nothing to do; ``closed_out``: nothing is left; ``bankrupt``: and equity is
        below zero.
    steps : tuple of LiquidationStep
    fees : float
        All fees. [USD]
    notional : float
        Exposure that is taken. [USD]
    """

    end: WaterfallEnd
    steps: tuple[LiquidationStep, ...]
    fees: float
    notional: float


MarginOf: TypeAlias = Callable[[Mapping[str, float], bool], AccountState]
"""Margin with these contracts by instrument, with or without the open orders."""
HedgeOf: TypeAlias = Callable[[Mapping[str, float]], Mapping[str, float]]
"""Contracts that take the direction off these, by instrument; none where there is none."""


def waterfall(
    held: Mapping[str, float],
    unit_notional: Mapping[str, float],
    rules: LiquidationRules,
    margin_of: MarginOf,
    hedge_of: HedgeOf | None = None,
) -> Waterfall:
    """Return what the venue would take of an account at the present marks.

    Parameters
    ----------
    held : mapping
        Signed contracts by instrument.
    unit_notional : mapping
        Exposure of one contract of each, hedges too, >= 0. [USD]
    rules : LiquidationRules
        The venue's.
    margin_of : callable
        The venue's margin of what is left.
    hedge_of : callable, optional
        What the venue would open first, where its rules say that it hedges first.

    Raises
    ------
    ModelInputError
        If an instrument has no exposure, or a margin is not finite: missing is never covered.
    """
    missing = sorted(set(held) - set(unit_notional))
    if missing:
        raise ModelInputError(f"no exposure of {', '.join(missing)}", identifier=missing[0])
    left = {name: quantity for name, quantity in held.items() if quantity != 0.0}
    state = _checked(margin_of(left, True))
    steps: list[LiquidationStep] = []
    fees = notional = seconds = 0.0
    if state.maintenance_margin <= state.equity:
        return Waterfall(end="covered", steps=(), fees=0.0, notional=0.0)
    if rules.cancels_orders:
        state = _checked(margin_of(left, False))
        steps.append(_step("cancel_orders", seconds, {}, 0.0, state, fees))
    opened = _opened(left, rules, hedge_of) if state.maintenance_margin > state.equity else {}
    if opened:
        exposure = sum(abs(opened[name]) * unit_notional[name] for name in sorted(opened))
        fees, notional = rules.fee_rate * exposure, exposure
        left = {name: left.get(name, 0.0) + opened.get(name, 0.0) for name in {**left, **opened}}
        left = {name: quantity for name, quantity in left.items() if quantity != 0.0}
        seconds += rules.step_seconds
        state = _checked(margin_of(left, not rules.cancels_orders))
        sold = {name: -quantity for name, quantity in opened.items()}
        steps.append(_step("hedge", seconds, sold, fees, state, fees))
    while left and state.maintenance_margin > state.equity - fees:
        exposure = sum(abs(left[name]) * unit_notional[name] for name in sorted(left))
        floor = rules.backstop_share * state.maintenance_margin
        is_backstop = rules.backstop_share > 0.0 and state.equity - fees < floor
        # The last crumbs go together: a share of a share never ends.
        is_whole = is_backstop or exposure <= rules.whole_below or len(steps) >= STEPS_MAX - 1
        share = 1.0 if is_whole else rules.step_share
        taken = {name: quantity * share for name, quantity in left.items()}
        fee = rules.fee_rate * exposure * share
        if is_backstop:
            fee = max(state.equity - fees, 0.0)
        left = {n: q - taken[n] for n, q in left.items() if share < 1.0 and q != taken[n]}
        fees, notional = fees + fee, notional + exposure * share
        seconds += rules.step_seconds
        state = _checked(margin_of(left, not rules.cancels_orders))
        steps.append(_step("liquidate", seconds, taken, fee, state, fees))
    if left:
        end: WaterfallEnd = "restored"
    else:
        end = "bankrupt" if state.equity - fees < 0.0 else "closed_out"
    return Waterfall(end=end, steps=tuple(steps), fees=fees, notional=notional)


def _opened(
    left: Mapping[str, float], rules: LiquidationRules, hedge_of: HedgeOf | None
) -> dict[str, float]:
    if not rules.hedges_first or hedge_of is None:
        return {}
    return {name: quantity for name, quantity in hedge_of(left).items() if quantity != 0.0}


def _step(
    action: Literal["cancel_orders", "hedge", "liquidate"],
    seconds: float,
    taken: Mapping[str, float],
    fee: float,
    state: AccountState,
    fees: float,
) -> LiquidationStep:
    return LiquidationStep(
        action=action,
        after_seconds=seconds,
        taken=taken,
        fee=fee,
        maintenance_margin=state.maintenance_margin,
        equity=state.equity - fees,
    )


def _checked(state: AccountState) -> AccountState:
    total = state.maintenance_margin + state.equity
    if total != total or abs(total) == float("inf"):
        raise ModelInputError(
            f"margin {state.maintenance_margin} or equity {state.equity} is not finite",
            value=state.maintenance_margin,
        )
    return state
