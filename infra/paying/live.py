"""What the loop says of its book to whoever pays calls: just now, and what of it is not trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

ASKED_MAX: Final = 64
"""Netting sets of one question at most: it is answered between two rounds of the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHolding:
    """What counts as collateral of a netting set at one location. [asset]"""

    location: str
    asset: str
    state: str
    quantity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStanding:
    """How a netting set stands. Amounts in its agreement's currency; None where unknown.

    Attributes
    ----------
    owed, cover : float, optional
        As ``LiveFigures`` has them.
    status, reason : str
        ``assessed`` where all inputs are fresh and trusted; else what is wrong with them.
    usage : mapping
        Of its venue accounts, the margin that the venue demands over the equity there; infinite
        without equity, absent where the venue has not said it. [-]
    """

    netting_set_id: str
    owed: float | None
    cover: float | None
    status: str
    reason: str
    holdings: tuple[LiveHolding, ...]
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distrust:
    """A venue, account, location or underlying that is not trusted now, and why."""

    scope: str
    name: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """What the loop says at one instant.

    Attributes
    ----------
    close_id : str
        The close whose rule book counts.
    is_deciding : bool
        Whether the loop has its snapshots; before that nothing is paid.
    rates : mapping
        USD price of each asset that has one.
    standings : mapping
        By netting set; one that the loop does not know is absent.
    """

    close_id: str
    is_deciding: bool
    rates: Mapping[str, float]
    distrusted: tuple[Distrust, ...]
    standings: Mapping[str, LiveStanding]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMarks:
    """Every price of the loop that is no longer its close's; ``marks`` are packed prices."""

    run_id: str
    close_id: str
    as_of: datetime
    marks: bytes


class LiveBooks(Protocol):
    """The loop, as far as payments need it."""

    async def ask(self, netting_sets: Sequence[str]) -> LiveAnswer:
        """Return how at most ``ASKED_MAX`` netting sets stand now.

        Raises
        ------
        StateUnavailable
            If the loop does not answer.
        """


class LiveLoop(LiveBooks, Protocol):
    """The loop, as far as plans on its own prices need it."""

    async def marks(self) -> LiveMarks:
        """Return its prices as they are now; raises StateUnavailable if it does not answer."""
