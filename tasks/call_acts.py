"""Acts of people on calls: the principal of the process, a reason, and the event last seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from engine.calls.disputes import dispute_reason
from engine.calls.substitution import SUBSTITUTION_STEPS, SubstitutionStep
from engine.errors import ParameterError
from infra.db import Act, Arrival, PledgedCollateral
from infra.db import Done as Done
from infra.db.call_actions import CallActions
from tasks.call_values import CallValuation
from tasks.principals import principal
from tasks.workplace import Workplace, workplace


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What every act has: the call, why, and how it is told from another one alike."""

    call_id: str
    reason: str
    seen: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Collateral as it is typed; ``value`` is taken as given instead of being computed."""

    asset: str
    quantity: str
    place: str
    value: str | None = None


def agree(order: Order) -> Done:
    """Agree to a call in full."""
    return _done(order, lambda actions, act: actions.agree(order.call_id, act))


def dispute(order: Order, contested: str, agreed: str) -> Done:
    """Dispute a call but for the amount agreed, naming the figure that is contested."""
    why, undisputed = dispute_reason(contested), amount("--agreed", agreed, or_zero=True)
    return _done(order, lambda actions, act: actions.dispute(order.call_id, undisputed, why, act))


def withdraw_dispute(order: Order) -> Done:
    """Withdraw the dispute of a call."""
    return _done(order, lambda actions, act: actions.withdraw_dispute(order.call_id, act))


def pledge(order: Order, offer: Offer) -> Done:
    """Pledge collateral for a call, at its value after haircut."""
    pledged = _pledged(_place(), order, offer)
    return _done(order, lambda actions, act: actions.pledge(order.call_id, pledged, act))


def reject_pledge(order: Order, number: int) -> Done:
    """Turn a pledge down."""
    return _done(order, lambda actions, act: actions.reject_pledge(order.call_id, number, act))


def settle(order: Order, value: str, number: int | None, is_last: bool, reference: str) -> Done:
    """Record what has arrived for a call."""
    arrival = Arrival(
        value=amount("--value", value), pledge=number, is_last=is_last, reference=reference
    )
    return _done(order, lambda actions, act: actions.settle(order.call_id, arrival, act))


def request_return(order: Order) -> Done:
    """Ask for a return that waits for it."""
    return _done(order, lambda actions, act: actions.request_return(order.call_id, act))


def substitute(order: Order, number: int, out: str, offer: Offer) -> Done:
    """Propose other collateral instead of some that has settled."""
    new, value_out = _pledged(_place(), order, offer), amount("--out", out)
    return _done(
        order,
        lambda actions, act: actions.propose_substitution(
            order.call_id, number, value_out, new, act
        ),
    )


def move_substitution(order: Order, number: int, step: SubstitutionStep) -> Done:
    """Take the next step of a substitution."""
    return _done(
        order, lambda actions, act: actions.move_substitution(order.call_id, number, step, act)
    )


def substitution_step(text: str) -> SubstitutionStep:
    """Return the step that a word names.

    Raises
    ------
    ParameterError
        If there is none of that name.
    """
    for step in SUBSTITUTION_STEPS:
        if text == step:
            return step
    listed = ", ".join(SUBSTITUTION_STEPS)
    raise ParameterError(
        f"step is {text!r}, limit: one of {listed}", identifier="step", value=text, limit=listed
    )


def amount(name: str, text: str, *, or_zero: bool = False) -> Decimal:
    """Return a typed amount, exact.

    Raises
    ------
    ParameterError
        If it is no plain number above 0.
    """
    limit = "a plain number, at least 0" if or_zero else "a plain number above 0"
    try:
        found = Decimal(text.replace(",", ""))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0 or (not found and not or_zero):
        raise ParameterError(
            f"{name} is {text!r}, limit {limit}", identifier=name, value=text, limit=limit
        )
    return found


def _place() -> Workplace:
    place = workplace()
    place.database.check_schema()
    return place


def _done(order: Order, do: Callable[[CallActions, Act], Done]) -> Done:
    database = _place().database
    # Read and act are one person's: whoever acts in between is noticed.
    seen = order.seen
    if seen is None and order.key is None:
        seen = database.calls.record(order.call_id).call["n_events"]
    act = Act(principal=principal(), reason=order.reason, key=order.key, seen=seen)
    return do(database.call_actions, act)


def _pledged(place: Workplace, order: Order, offer: Offer) -> PledgedCollateral:
    quantity = amount("--quantity", offer.quantity)
    if offer.value is not None:
        value = amount("--value", offer.value)
    else:
        call = place.database.calls.record(order.call_id).call
        value = CallValuation(place, call).value_in(offer.asset, quantity, offer.place)
    return PledgedCollateral(asset=offer.asset, quantity=quantity, place=offer.place, value=value)
