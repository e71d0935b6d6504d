"""Replacing collateral that was pledged: of no less value after haircut, new in before old out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from engine.errors import ModelInputError, StateError

SubstitutionStep: TypeAlias = Literal["agreed", "rejected", "received", "released"]
SUBSTITUTION_STEPS: Final[tuple[SubstitutionStep, ...]] = (
    "agreed", "rejected", "received", "released",
)  # fmt: skip
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "proposed": frozenset({"agreed", "rejected"}),
    "agreed": frozenset({"received", "rejected"}),
    # The old leaves only when the new is here; then it is owed to the client for good.
    "received": frozenset({"released"}),
    "released": frozenset(),
    "rejected": frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """A proposal to replace settled collateral.

    Attributes
    ----------
    number : int
        Number of the event that proposed it.
    pledge : int
        Pledge whose collateral is to leave.
    value_out, value_in : Decimal
        Value after haircut of what is to leave and of what is to come. [currency of the call]
    """

    number: int
    pledge: int
    value_out: Decimal
    value_in: Decimal
    state: str = "proposed"


def require_sufficient(call_id: str, proposed: Substitution, settled: Decimal) -> None:
    """Raise unless the substitution can be proposed: what leaves is here and is made up for.

    Raises
    ------
    ModelInputError
        If the new value is below the old one, or no such value of the pledge has settled.
    """
    if not Decimal(0) < proposed.value_out <= settled:
        raise ModelInputError(
            f"call {call_id}: {proposed.value_out} of pledge {proposed.pledge} is to leave, limit "
            f"above 0 and at most {settled}, which has settled",
            identifier=call_id,
            value=proposed.value_out,
            limit=str(settled),
        )
    if proposed.value_in < proposed.value_out:
        raise ModelInputError(
            f"call {call_id}: the new collateral is worth {proposed.value_in} after haircut, limit "
            f"at least {proposed.value_out}, the value of the old",
            identifier=call_id,
            value=proposed.value_in,
            limit=f">= {proposed.value_out}",
        )


def substitution_after(call_id: str, found: Substitution, step: SubstitutionStep) -> Substitution:
    """Return the substitution after ``step``.

    Raises
    ------
    StateError
        If the step may not follow; in particular nothing is released before the new is received.
    """
    if step not in _NEXT[found.state]:
        possible = ", ".join(sorted(_NEXT[found.state])) or "none, it is at its end"
        raise StateError(
            f"substitution {found.number} of call {call_id} is {found.state} and cannot be {step}; "
            f"possible: {possible}",
            identifier=call_id,
            value=found.state,
            limit=possible,
        )
    return replace(found, state=step)
