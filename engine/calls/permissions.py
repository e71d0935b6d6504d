"""What may be done to a call as it stands, and the sentence for what may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from engine.calls.standing import CallFact, FactKind, Pledge, Standing
from engine.calls.states import END_STATES, LATE, LIVE
from engine.errors import ModelInputError, StateError


def require_allowed(standing: Standing, fact: CallFact) -> None:
    """Raise unless ``fact`` may happen to the call as it stands.

    Raises
    ------
    StateError
        If the call is at its end or in a state in which this makes no sense; says what would.
    ModelInputError
        If an amount is out of range, or there is no such pledge.
    """
    _CHECKS[fact.kind](standing, fact)


def is_late_arrival(standing: Standing, fact: CallFact) -> bool:
    """Return whether ``fact`` is about a pledge that outlived its call.

    What was sent for a call that has since been replaced, taken back or paid otherwise still
    arrives, or is rejected: that is recorded where it was pledged, and changes no state.
    """
    if standing.state not in END_STATES or fact.pledge is None:
        return False
    pledge = standing.pledge(fact.pledge)
    is_about_it = fact.kind in ("settled", "pledge_rejected", "pledge_carried")
    return is_about_it and pledge is not None and bool(pledge.remaining)


def _request(standing: Standing, _: CallFact) -> None:
    if standing.direction != "return" or standing.state != "computed":
        raise _refused(
            standing,
            "requested",
            "only a return that is computed and not yet issued is waiting for a request",
        )


def _answer(standing: Standing, fact: CallFact) -> None:
    _open_call(standing, fact.kind)
    if standing.state in LATE and fact.kind != "agreed":
        raise _refused(standing, fact.kind, "its cure period has ended: pay it, then dispute")
    if not standing.unanswered and not standing.disputed:
        raise _refused(standing, fact.kind, "it is agreed in full: pledge or settle it")


def _dispute(standing: Standing, fact: CallFact) -> None:
    _answer(standing, fact)
    given = _amount(standing, fact, at_least=Decimal(0))
    if given >= standing.called:
        raise _out_of_range(standing, "undisputed amount", given, f"below {standing.called}")
    floor = max(standing.agreed, min(standing.settled, standing.called))
    if given < floor:
        raise _out_of_range(
            standing, "undisputed amount", given, f"at least {floor}, which is agreed or paid"
        )
    if standing.disputed and given == standing.agreed:
        raise _refused(standing, "disputed", f"{standing.disputed} of it is disputed already")


def _withdraw_dispute(standing: Standing, fact: CallFact) -> None:
    _open_call(standing, fact.kind)
    if not standing.disputed:
        raise _refused(standing, fact.kind, "nothing of it is disputed")


def _pledge(standing: Standing, fact: CallFact) -> None:
    _open(standing, fact.kind)
    _amount(standing, fact)
    if standing.direction == "return":
        if standing.in_flight >= standing.outstanding:
            raise _refused(standing, fact.kind, "all of it is on its way: settle the pledge")
        return
    if standing.uncovered:
        return
    if standing.in_flight:
        raise _refused(standing, fact.kind, "all that is agreed is on its way: settle the pledge")
    raise _refused(standing, fact.kind, "nothing unpaid of it is agreed: agree to it first")


def _reject_pledge(standing: Standing, fact: CallFact) -> None:
    if standing.state in END_STATES and not is_late_arrival(standing, fact):
        raise _refused(standing, fact.kind, "it is at its end")
    _living_pledge(standing, fact)


def _settle(standing: Standing, fact: CallFact) -> None:
    if standing.state in END_STATES and not is_late_arrival(standing, fact):
        raise _refused(
            standing, fact.kind, "it is at its end: money that came is seen by the close"
        )
    if standing.state == "computed":
        raise _refused(standing, fact.kind, "it has not been issued")
    given = _amount(standing, fact)
    if fact.pledge is None:
        return
    pledge = _living_pledge(standing, fact)
    if given > pledge.remaining:
        raise _out_of_range(
            standing,
            f"settlement of pledge {pledge.number}",
            given,
            f"at most {pledge.remaining}; record what came beyond it without a pledge",
        )


def _fail(standing: Standing, fact: CallFact) -> None:
    _open_call(standing, fact.kind)
    if standing.state not in LIVE:
        raise _refused(standing, fact.kind, "only a live call can fail")


def _escalate(standing: Standing, fact: CallFact) -> None:
    if standing.state not in ("failed", "escalated"):
        raise _refused(standing, fact.kind, "only a failed call is escalated")


_CHECKS: Final[Mapping[FactKind, Callable[[Standing, CallFact], None]]] = {
    "requested": _request,
    "agreed": _answer,
    "disputed": _dispute,
    "dispute_withdrawn": _withdraw_dispute,
    "pledged": _pledge,
    "pledge_rejected": _reject_pledge,
    "pledge_carried": _reject_pledge,
    "settled": _settle,
    "failed": _fail,
    "escalated": _escalate,
    "reduction": _escalate,
}


def _open(standing: Standing, kind: str) -> None:
    if standing.state in END_STATES:
        raise _refused(standing, kind, "it is at its end")
    if standing.state == "computed":
        raise _refused(standing, kind, "it has not been issued")


def _open_call(standing: Standing, kind: str) -> None:
    _open(standing, kind)
    if standing.direction != "call":
        raise _refused(standing, kind, "it is a return, which the house pays")


def _amount(standing: Standing, fact: CallFact, at_least: Decimal | None = None) -> Decimal:
    given = fact.amount
    if not isinstance(given, Decimal) or not given.is_finite():
        raise ModelInputError(
            f"call {standing.call_id}: {fact.kind} needs a finite Decimal, found {given!r}",
            identifier=standing.call_id,
            value=given,
        )
    if (given < at_least) if at_least is not None else (given <= 0):
        limit = f">= {at_least}" if at_least is not None else "> 0"
        raise _out_of_range(standing, f"amount {fact.kind}", given, limit)
    return given


def _living_pledge(standing: Standing, fact: CallFact) -> Pledge:
    living = [pledge for pledge in standing.pledges if pledge.remaining]
    found = next((pledge for pledge in living if pledge.number == fact.pledge), None)
    if found is None:
        listed = ", ".join(str(pledge.number) for pledge in living) or "none"
        raise _out_of_range(standing, "pledge", fact.pledge, f"one that is on its way: {listed}")
    return found


def _refused(standing: Standing, kind: str, why: str) -> StateError:
    worded = kind.replace("_", " ")
    return StateError(
        f"call {standing.call_id} is {standing.state} and cannot be {worded}: {why}",
        identifier=standing.call_id,
        value=standing.state,
        limit=why,
    )


def _out_of_range(standing: Standing, what: str, found: object, limit: str) -> ModelInputError:
    return ModelInputError(
        f"call {standing.call_id}: {what} is {found}, limit {limit}",
        identifier=standing.call_id,
        value=found,
        limit=limit,
    )
