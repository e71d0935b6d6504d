"""What everything that leaves the house exactly once has in common: its waits, and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from annotated_types import Gt

from engine.errors import StateError
from engine.limits import STRICT, NonNegative, Positive

Environment: TypeAlias = Literal["sim", "test", "live"]
"""Networks that the limits of a policy were made for."""
PositiveAmount = Annotated[Decimal, Gt(0)]


@dataclass(frozen=True, slots=True)
class SendTiming:
    """How long to wait for what."""

    __pydantic_config__ = STRICT
    skew_seconds: NonNegative
    """Added to a venue's quiescence: how far our clock and the venue's may differ."""
    poll_seconds: Positive
    """Until what is open is looked at again."""
    poll_seconds_max: Positive
    """Longest pause between two looks; the pause doubles up to it."""
    ask_after_seconds: Positive
    """An outcome unknown for longer is put before a person."""
    send_timeout_seconds: Positive
    """Longest wait for the answer to a sending."""
    send_delay_seconds_max: Positive
    """Bytes that have not left by then, counted from the commit, stay here."""

    @property
    def skew(self) -> timedelta:
        """Return the difference of clocks that is allowed for."""
        return timedelta(seconds=self.skew_seconds)

    def pause(self, n_looks: int) -> timedelta:
        """Return the pause after look number ``n_looks``, from 1."""
        factor = float(2 ** min(max(n_looks - 1, 0), 30))
        return timedelta(seconds=min(self.poll_seconds * factor, self.poll_seconds_max))

    def quiet_at(self, sent_at: datetime, quiescence: timedelta) -> datetime:
        """Return from when on it proves something that the venue does not know a key.

        The bytes may leave some time after the commit, and we wait for an answer that long as well.
        """
        answered = timedelta(seconds=self.send_timeout_seconds)
        left = timedelta(seconds=self.send_delay_seconds_max)
        return sent_at + left + max(quiescence, answered) + self.skew

    def is_overdue(self, sent_at: datetime, now: datetime) -> bool:
        """Return whether an outcome has been unknown for so long that a person is asked."""
        return now >= sent_at + timedelta(seconds=self.ask_after_seconds)


def require_follows(
    noun: str, key: str, allowed: Sequence[str], state: str, following: str
) -> None:
    """Raise StateError unless ``following`` is among the states ``allowed`` after ``state``."""
    if following not in allowed:
        listed = ", ".join(allowed) or "none, it is at its end"
        raise StateError(
            f"{noun} {key} is {state} and cannot become {following}; possible: {listed}",
            identifier=key,
            value=following,
            limit=listed,
        )
