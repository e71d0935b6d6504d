"""What a round of a desk has done, and who moves what it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.db.desk_records import Step

DESK: Final = "desk"
"""Who moves what follows from rules and answers alone."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What a round of a desk has done: subjects by key, with the sentence about each."""

    moved: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    def tell(self, key: str, sentence: str, *, has_moved: bool) -> None:
        """Take down what became of one."""
        (self.moved if has_moved else self.waiting)[key] = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who moves something and why; ``details`` are kept with the event."""

    actor: str
    reason: str
    details: dict[str, object] = field(default_factory=dict)

    def step(self, state: str, fact: str = "", /, **changes: Any) -> Step:
        """Return the step to a state, or with ``fact`` what became known in it."""
        from infra.db.desk_records import Step

        return Step(
            state=state, fact=fact, actor=self.actor, reason=self.reason, details=self.details,
            changes=changes,
        )  # fmt: skip


def by_desk(reason: str, **details: object) -> Cause:
    """Return a cause that is nobody's wish: it follows from rules and answers."""
    return Cause(actor=DESK, reason=reason, details=details)
