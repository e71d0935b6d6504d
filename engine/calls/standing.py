"""Where a call stands: what is agreed, disputed, pledged and settled, each from its own facts.

Amounts are exact and in the call's currency. A call asks for ``outstanding``, never for more: what
has settled comes off it to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Final, Literal, TypeAlias

from engine.calls.states import LATE
from engine.money import MONEY_CONTEXT

Direction: TypeAlias = Literal["call", "return"]
FactKind: TypeAlias = Literal[
    "requested", "agreed", "disputed", "dispute_withdrawn", "pledged", "pledge_rejected",
    "pledge_carried", "settled", "failed", "escalated", "reduction",
]  # fmt: skip
FACT_KINDS: Final[tuple[FactKind, ...]] = (
    "requested", "agreed", "disputed", "dispute_withdrawn", "pledged", "pledge_rejected",
    "pledge_carried", "settled", "failed", "escalated", "reduction",
)  # fmt: skip
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFact:
    """One thing that happened to a call.

    Attributes
    ----------
    kind : str
        What happened. ``agreed`` is agreement in full, ``disputed`` of all but ``amount``.
    number : int
        Number of the event that carries the fact; a pledge is named by it.
    amount : Decimal, optional
        Undisputed part (``disputed``), value after haircut (``pledged``), value that arrived
        (``settled``). [currency of the call]
    pledge : int, optional
        Which pledge settles or is rejected; None where money came without one.
    is_last : bool
        Whether nothing more will come of that pledge.
    level : int, optional
        Level of an escalation.
    """

    kind: FactKind
    number: int
    amount: Decimal | None = None
    pledge: int | None = None
    is_last: bool = False
    level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pledge:
    """What was pledged in one go; ``remaining`` is on its way."""

    number: int
    value: Decimal
    settled: Decimal = _ZERO
    is_closed: bool = False

    @property
    def remaining(self) -> Decimal:
        """Return what is still on its way, >= 0."""
        if self.is_closed:
            return _ZERO
        return max(MONEY_CONTEXT.subtract(self.value, self.settled), _ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A call as its facts leave it.

    Attributes
    ----------
    state : str
        State of the life cycle.
    called : Decimal
        What was asked for at issue, > 0.
    agreed, settled : Decimal
        What the client has agreed to, and what has arrived.
    disputed_at_response : Decimal
        What the client contested when it answered last.
    pledges : tuple of Pledge
        In order.
    """

    call_id: str
    direction: Direction
    state: str
    called: Decimal
    agreed: Decimal = _ZERO
    disputed_at_response: Decimal = _ZERO
    settled: Decimal = _ZERO
    pledges: tuple[Pledge, ...] = ()

    @property
    def outstanding(self) -> Decimal:
        """Return what is still asked for: called less settled, >= 0."""
        return max(MONEY_CONTEXT.subtract(self.called, self.settled), _ZERO)

    @property
    def in_flight(self) -> Decimal:
        """Return what is pledged and not settled."""
        with localcontext(MONEY_CONTEXT):
            return sum((pledge.remaining for pledge in self.pledges), start=_ZERO)

    @property
    def pledged(self) -> Decimal:
        """Return what was pledged and not rejected, settled or not."""
        with localcontext(MONEY_CONTEXT):
            return sum((pledge.settled + pledge.remaining for pledge in self.pledges), start=_ZERO)

    @property
    def disputed(self) -> Decimal:
        """Return what is contested and not paid all the same."""
        return min(self.disputed_at_response, self.outstanding)

    @property
    def unanswered(self) -> Decimal:
        """Return what is neither agreed nor contested nor paid."""
        with localcontext(MONEY_CONTEXT):
            answered = max(self.agreed, self.settled) + self.disputed
            return max(self.called - answered, _ZERO)

    @property
    def uncovered(self) -> Decimal:
        """Return what is agreed and neither paid nor on its way."""
        with localcontext(MONEY_CONTEXT):
            return max(self.agreed - self.settled - self.in_flight, _ZERO)

    def pledge(self, number: int) -> Pledge | None:
        """Return the pledge of a number, or None."""
        return next((pledge for pledge in self.pledges if pledge.number == number), None)


def settled_state(standing: Standing) -> str:
    """Return the state that the amounts of a live or late call mean."""
    if not standing.outstanding:
        return "settled"
    if standing.state in LATE or standing.state == "computed":
        return standing.state
    if standing.in_flight:
        return "pledged"
    # What the house returns needs no agreement.
    if standing.unanswered or standing.direction == "return":
        return "issued"
    if not standing.disputed:
        return "agreed"
    return "partially_disputed" if standing.agreed > standing.settled else "disputed"


def after(standing: Standing, fact: CallFact) -> Standing:
    """Return the standing after ``fact``; whether it was allowed is for ``require_allowed``."""
    if fact.kind == "requested":
        return replace(standing, state="issued")
    if fact.kind in ("failed", "escalated", "reduction"):
        return replace(standing, state=fact.kind)
    moved = _with_amounts(standing, fact)
    return replace(moved, state=settled_state(moved))


def fold(standing: Standing, facts: Iterable[CallFact]) -> Standing:
    """Return the standing after ``facts`` in their order."""
    for fact in facts:
        standing = after(standing, fact)
    return standing


def late_after(standing: Standing, fact: CallFact) -> Standing:
    """Return the standing of an ended call to which something still came: it stays ended."""
    return _with_amounts(standing, fact)


def _with_amounts(standing: Standing, fact: CallFact) -> Standing:
    given = fact.amount if fact.amount is not None else _ZERO
    if fact.kind == "agreed":
        return replace(standing, agreed=standing.called, disputed_at_response=_ZERO)
    if fact.kind == "disputed":
        contested = MONEY_CONTEXT.subtract(standing.called, given)
        return replace(standing, agreed=given, disputed_at_response=contested)
    if fact.kind == "dispute_withdrawn":
        return replace(standing, disputed_at_response=_ZERO)
    if fact.kind == "pledged":
        made = Pledge(number=fact.number, value=given)
        return replace(standing, pledges=(*standing.pledges, made))
    if fact.kind in ("pledge_rejected", "pledge_carried"):
        return replace(standing, pledges=_changed(standing, fact.pledge, _ZERO, is_closed=True))
    return replace(
        standing,
        settled=MONEY_CONTEXT.add(standing.settled, given),
        pledges=_changed(standing, fact.pledge, given, is_closed=fact.is_last),
    )


def _changed(
    standing: Standing, number: int | None, arrived: Decimal, *, is_closed: bool
) -> tuple[Pledge, ...]:
    return tuple(
        replace(
            pledge,
            settled=MONEY_CONTEXT.add(pledge.settled, arrived),
            is_closed=pledge.is_closed or is_closed,
        )
        if pledge.number == number
        else pledge
        for pledge in standing.pledges
    )
