"""The checker, in a process of its own: ``python -m tests.soak.checker``.

It reads the record as anybody could, by SQL, and the facts of the conductor: what was sent, what
was acknowledged, what was spoilt and when. What has to hold is computed here anew.
"""

from __future__ import annotations

import json
import select
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.checks_book import BookChecks
from tests.soak.checks_record import RecordChecks
from tests.soak.facts import FactReader
from tests.soak.history import History

DATABASE_AWAY_SECONDS = 60.0
CHAINS_SECONDS = 60.0
Work = Callable[..., None]


@dataclass
class Findings:
    """What one round found."""

    checks: Counter[str] = field(default_factory=Counter)
    violations: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def checked(self, invariant: str, n: int = 1) -> None:
        """Count facts that were checked."""
        self.checks[invariant] += n

    def violated(self, invariant: str, sentence: str, **values: Any) -> None:
        """Note what must not be."""
        self.violations.append({"invariant": invariant, "sentence": sentence, "values": values})


class Checker:
    """All checks of one run, by name."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._facts, self._history = FactReader(Path(plan["facts"])), History(plan["seed"])
        self._record = RecordChecks(plan["database"], self._history)
        book = BookChecks(plan, self._history, self._record)
        self.works: dict[str, Work] = {
            "record": self._record.check,
            "chains": self._record.chains,
            "book": book.check,
        }

    def round(self, name: str, found: Findings, *, is_final: bool) -> float:
        """Do one of the checks; return the seconds that it took."""
        for fact in self._facts.new():
            self._history.take(fact)
        began = time.monotonic()
        while True:
            try:
                self.works[name](found, is_final=is_final)
            except Exception as error:
                # A database that is down is part of the play.
                is_away = self._record.is_away(error)
                if is_away and not is_final:
                    break
                if is_away and time.monotonic() - began < DATABASE_AWAY_SECONDS:
                    time.sleep(1.0)
                    continue
                traceback.print_exc()
                sentence = f"check {name} failed: {type(error).__name__}: {error}"[:300]
                found.violated("the soak itself", sentence)
            break
        seconds = time.monotonic() - began
        found.notes[f"seconds of {name}"] = round(seconds, 2)
        return seconds

    def final(self) -> Findings:
        """Do everything once more, with nothing excused by what is still on its way."""
        found = Findings()
        for name in self.works:
            self.round(name, found, is_final=True)
        return found


def main() -> None:
    """Check until killed; the last round of all is told by a line."""
    plan = json.loads(sys.stdin.readline())
    checker = Checker(plan)
    began = time.monotonic()
    due = {"record": began, "chains": began + 20.0, "book": began + 10.0}
    pauses = {"record": plan["check_every"], "chains": CHAINS_SECONDS, "book": plan["book_every"]}
    while True:
        if _told(0.2):
            _say(checker.final(), is_final=True)
            continue
        found = Findings()
        for name in due:
            if time.monotonic() >= due[name]:
                seconds = checker.round(name, found, is_final=False)
                # What is checked has the processor; the checker takes a fourth of a core at most.
                due[name] = time.monotonic() + max(pauses[name], 3.0 * seconds)
        if found.checks or found.violations:
            _say(found, is_final=False)


def _told(seconds: float) -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return False
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return bool(json.loads(line).get("do") == "final")


def _say(found: Findings, *, is_final: bool) -> None:
    content = {**vars(found), "is_final": is_final}
    sys.stdout.write(json.dumps(content, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
