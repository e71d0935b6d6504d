"""Two books of the same things at one instant, aware of what is on its way between them.

A transfer or a fill that one side has seen and the other has not is no break while it is young: it
explains the difference to the last digit or not at all. A side that is too old or incomplete to
judge by is said to be so; it is never taken for agreement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from itertools import combinations
from typing import Final, Literal, TypeAlias

from engine.errors import ModelInputError
from engine.money import MONEY_CONTEXT

BreakKind: TypeAlias = Literal[
    "timing", "late", "stale_side", "missing_there", "missing_here", "duplicate", "sign",
    "quantity", "unknown_item", "conflict", "unmatched", "unreadable", "funding", "margin_model",
]  # fmt: skip
Item: TypeAlias = tuple[str, str]
"""Place (account) and what is held there (asset, instrument)."""

IN_FLIGHT_EXPLAINED_MAX: Final = 12
"""More at one place are not tried in every combination: 4,096 sums are enough for one item."""

# Who has to explain a difference, first.
OWNERS: Final[Mapping[BreakKind, str]] = {
    "timing": "nobody",
    "late": "treasury operations",
    "stale_side": "venue operations",
    "missing_there": "venue operations",
    "missing_here": "middle office",
    "duplicate": "treasury operations",
    "sign": "trading operations",
    "quantity": "middle office",
    "unknown_item": "reference data",
    "conflict": "trading operations",
    "unmatched": "trading operations",
    "unreadable": "trading operations",
    "funding": "venue operations",
    "margin_model": "risk",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One book as it was read.

    Attributes
    ----------
    name : str
        ``ledger``, ``venue``, ``oms``.
    quantities : mapping of (place, item) to Decimal
        What is held; an item that is absent is held at zero, if its place is complete.
    read_at : mapping of place to datetime
        When each place was read; a place that is absent was not read.
    incomplete : frozenset of str
        Places of which a part of the answer was missing.
    """

    name: str
    quantities: Mapping[Item, Decimal]
    read_at: Mapping[str, datetime]
    incomplete: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A movement that their side may show before or after ours.

    ``change`` is what their quantity is expected to move by, signed, beyond what ours says.
    ``is_booked`` is one that both sides should show already: seen twice, it explains a duplicate.
    """

    key: str
    item: Item
    change: Decimal
    since: datetime
    is_booked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One item on which the sides differ, or cannot be compared.

    ``explained_by`` names the movements that explain the whole difference; ``is_break`` is False
    for those that are merely on their way. ``evidence`` names what a person sees of it, where a
    person's word can end it.
    """

    break_id: str
    scope: str
    kind: BreakKind
    item: Item
    ours: Decimal
    theirs: Decimal | None
    difference: Decimal | None
    owner: str
    explained_by: tuple[str, ...] = ()
    detail: str = ""
    evidence: str = ""

    @property
    def is_break(self) -> bool:
        """Return whether somebody has to act."""
        return self.kind != "timing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How old a side may be, how long a movement may take, and what is noise. [scope's unit]"""

    age_max: timedelta
    in_flight_max: timedelta
    tolerance: Decimal = field(default=Decimal(0))

    def __post_init__(self) -> None:
        if self.tolerance < 0 or not self.tolerance.is_finite():
            raise ModelInputError(f"tolerance {self.tolerance} is not a finite amount from 0 on")


def reconcile_items(
    scope: str,
    ours: Side,
    theirs: Side,
    in_flight: Sequence[InFlight],
    *,
    now: datetime,
    limits: Limits,
) -> tuple[Difference, ...]:
    """Return what differs between two sides, sorted by place and item.

    Parameters
    ----------
    scope : str
        What is compared, for instance ``balance``, ``position``, ``funding``; part of each name.
    ours, theirs : Side
        The book of record, and who is asked about it.
    in_flight : sequence of InFlight
        Movements under way, and recent ones that both should show.
    now : datetime
        Instant of the comparison, UTC.
    limits : Limits
        Ages and tolerance.

    Returns
    -------
    tuple of Difference
        Nothing for an item on which fresh, complete sides agree.
    """
    moving: dict[Item, list[InFlight]] = {}
    for movement in sorted(in_flight, key=lambda each: (each.since, each.key)):
        moving.setdefault(movement.item, []).append(movement)
    found = []
    # Quantities of tokens with 18 decimals have more digits than the thread's own context.
    with localcontext(MONEY_CONTEXT):
        for item in sorted({*ours.quantities, *theirs.quantities, *moving}):
            one = _compare(scope, item, ours, theirs, moving.get(item, []), now, limits)
            if one is not None:
                found.append(one)
    return tuple(found)


def _compare(
    scope: str,
    item: Item,
    ours: Side,
    theirs: Side,
    moving: Sequence[InFlight],
    now: datetime,
    limits: Limits,
) -> Difference | None:
    held = ours.quantities.get(item, Decimal(0))
    unreadable = _why_unreadable(item[0], theirs, now, limits) or _why_unreadable(
        item[0], ours, now, limits
    )
    if unreadable:
        reported = theirs.quantities.get(item)
        return difference(scope, "stale_side", item, held, reported, detail=unreadable)
    reported = theirs.quantities.get(item, Decimal(0))
    gap = reported - held
    if abs(gap) <= limits.tolerance:
        return None
    awaited = [movement for movement in moving if not movement.is_booked]
    explanation = _explaining(gap, awaited, limits.tolerance)
    if explanation:
        late = [each.key for each in explanation if now - each.since > limits.in_flight_max]
        kind: BreakKind = "late" if late else "timing"
        detail = f"{', '.join(late)} under way for longer than {limits.in_flight_max}" * bool(late)
        keys = tuple(each.key for each in explanation)
        return difference(scope, kind, item, held, reported, keys, detail)
    twice = [
        each for each in moving if each.is_booked and abs(gap - each.change) <= limits.tolerance
    ]
    if twice:
        keys = tuple(each.key for each in twice[:1])
        return difference(scope, "duplicate", item, held, reported, keys, "seen twice there")
    return difference(scope, _kind_of(held, reported), item, held, reported)


def _why_unreadable(place: str, side: Side, now: datetime, limits: Limits) -> str:
    read_at = side.read_at.get(place)
    if read_at is None:
        return f"{side.name} was not read"
    if now - read_at > limits.age_max:
        return f"{side.name} was read {now - read_at} ago, limit is {limits.age_max}"
    if place in side.incomplete:
        return f"the answer of {side.name} was incomplete"
    return ""


def _explaining(
    gap: Decimal, moving: Sequence[InFlight], tolerance: Decimal
) -> tuple[InFlight, ...]:
    """Return the fewest, then oldest, movements whose sum is the whole gap; none otherwise."""
    tried: Iterable[int] = range(1, len(moving) + 1)
    if len(moving) > IN_FLIGHT_EXPLAINED_MAX:
        # One of them, or all of them: what remains is a difference that a person looks at.
        tried = (1, len(moving))
    for count in tried:
        for chosen in combinations(moving, count):
            total = sum((each.change for each in chosen), start=Decimal(0))
            if abs(gap - total) <= tolerance:
                return chosen
    return ()


def _kind_of(ours: Decimal, theirs: Decimal) -> BreakKind:
    if theirs == 0:
        return "missing_there"
    if ours == 0:
        return "missing_here"
    return "sign" if (ours > 0) != (theirs > 0) else "quantity"


def difference(
    scope: str,
    kind: BreakKind,
    item: Item,
    ours: Decimal,
    theirs: Decimal | None,
    explained_by: tuple[str, ...] = (),
    detail: str = "",
) -> Difference:
    """Return a difference under the name that it keeps while it lasts, with its first owner."""
    identity = "|".join((scope, *item))
    return Difference(
        # A break keeps its name while it lasts, whatever its size or kind becomes.
        break_id="brk-" + hashlib.sha256(identity.encode()).hexdigest()[:16],
        scope=scope,
        kind=kind,
        item=item,
        ours=ours,
        theirs=theirs,
        difference=None if theirs is None else theirs - ours,
        owner=OWNERS[kind],
        explained_by=explained_by,
        detail=detail,
    )
