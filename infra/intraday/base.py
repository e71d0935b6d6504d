"""What a loop starts from: the inputs of the last finished close."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from engine.rules import RuleBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A close as the loop builds upon it.

    Attributes
    ----------
    close_id : str
        The run that made it.
    rule_book : tuple of (date, str, str)
        Effective date, source and content of the rule book, as they are recorded.
    """

    close_id: str
    snapshot: Snapshot
    positions: PositionSet
    collateral: CollateralSet
    rules: RuleBook
    last_fresh: LastFresh
    content_hashes: dict[str, str]
    rule_book: tuple[date, str, str]

    @property
    def business_date(self) -> date:
        """Return the date that the loop's calls belong to: the one after the close.

        The close of that date supersedes them, a repetition of an earlier one leaves them alone.
        """
        return self.snapshot.business_date + timedelta(days=1)


class Bases(Protocol):
    """Where bases come from."""

    def latest(self) -> Base:
        """Return the last finished close; raises MissingDataError if there is none."""

    def latest_id(self) -> str | None:
        """Return its run alone, or None."""

    def load(self, close_id: str) -> Base:
        """Return the base of a close."""
