"""What killed lives come to: how many, how often killed, and what was wrong afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["lost", "duplicated", "in transit", "books"]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fact that must not be; ``n`` counts what is lost, duplicated or in transit."""

    kind: Kind
    sentence: str
    n: int = 1

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Outcome:
    """Lives that were lived, kills that they took, crash points where, and what was wrong."""

    lives: int = 0
    kills: int = 0
    points: dict[str, int] = field(default_factory=dict)
    wrong: tuple[Wrong, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        points = dict(self.points)
        for name, n in other.points.items():
            points[name] = points.get(name, 0) + n
        return Outcome(
            self.lives + other.lives, self.kills + other.kills, points, self.wrong + other.wrong
        )

    def count(self, kind: Kind) -> int:
        """Return how much is wrong of a kind."""
        return sum(one.n for one in self.wrong if one.kind == kind)

    def as_record(self) -> dict[str, Any]:
        """Return what is kept in a file."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Outcome:
        """Return what a file has kept."""
        wrong = tuple(Wrong(**one) for one in record["wrong"])
        return cls(record["lives"], record["kills"], dict(record["points"]), wrong)
