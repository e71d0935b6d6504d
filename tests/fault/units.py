"""What `make fault` is made of: pieces of work that are done once, and kept when they are done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tests.fault.databases import Template
from tests.fault.outcomes import Outcome, Wrong

Kind = Literal[
    "calls", "transfers", "payments", "batch", "mixed", "planted calls", "planted transfers"
]
Tell = Callable[[Outcome], None]

ROOT = Path(__file__).resolve().parent.parent.parent
# What a result depends on: another text of it, and the result is of another program.
SOURCES = ("engine", "infra", "data_contracts", "tests/fault", "tests/integration/db")
MIXED_TRANSFERS, MIXED_KILLS = 1_000, 20
LIVES_PER_BATCH = 500


@dataclass(frozen=True, slots=True)
class Unit:
    """One seed of a kind of life on one kind of database; ``size`` counts its lives, about."""

    kind: Kind
    engine_name: str
    seed: int
    size: int

    @property
    def name(self) -> str:
        """Return what it is kept under."""
        return f"{self.kind} {self.engine_name} {self.seed} {self.size}"


def full_units(engines: Sequence[str], n_seeds: int, kinds: Iterable[str]) -> list[Unit]:
    """Return all that is shown at full size; what is many small pieces comes last."""
    sizes: dict[Kind, int] = {"payments": 44, "transfers": 30, "calls": 186}
    # Each life of a payment has a venue of its own: fewer seeds take as long.
    seeds = {"payments": max(n_seeds // 5, 1)}
    made = [
        Unit(kind, engine, seed, size)
        for kind, size in sizes.items()
        for seed in range(seeds.get(kind, n_seeds))
        for engine in engines
        if kind in kinds
    ]
    if "transfers" in kinds:
        made = [Unit("mixed", engine, 11, MIXED_TRANSFERS) for engine in engines] + made
        made += [Unit("planted transfers", engine, 1, 1) for engine in engines]
    if "calls" in kinds:
        made += [Unit("planted calls", engine, 0, 1) for engine in engines]
    return made


def release_units(engines: Sequence[str], n_lives: int) -> list[Unit]:
    """Return ``n_lives`` lives of transfers, in batches that take turns on the databases."""
    made = []
    for number, left in enumerate(range(n_lives, 0, -LIVES_PER_BATCH)):
        engine = engines[number % len(engines)]
        made.append(Unit("batch", engine, 1 + number, min(LIVES_PER_BATCH, left)))
    return made


def work(unit: Unit, template: Template, tell: Tell) -> Outcome:
    """Do a piece of work and return what came of it."""
    from tests.fault.calls import sweeps as calls
    from tests.fault.payments import sweeps as payments
    from tests.fault.transfers import sweeps as transfers

    match unit.kind:
        case "calls":
            return calls.sweep(template, unit.seed, 1, tell)
        case "transfers":
            return transfers.sweep(template, unit.seed, 2, tell)
        case "payments":
            return payments.sweep(template, unit.seed, 1, tell)
        case "batch":
            return transfers.batch(template, unit.seed, unit.size, tell)
        case "mixed":
            return transfers.mixed(template, unit.seed, unit.size, MIXED_KILLS, tell)
        case "planted calls":
            return _caught(unit, bool(calls.planted(template, unit.seed)))
        case "planted transfers":
            said = transfers.planted(template)
            return _caught(unit, any("nobody recorded" in sentence for sentence in said))


def _caught(unit: Unit, is_caught: bool) -> Outcome:
    sentence = f"{unit.name}: a new key at each try was not caught, so nothing here proves a thing"
    return Outcome(1, 0, {}, () if is_caught else (Wrong("books", sentence),))


class Kept:
    """Results of finished units in a file, so that an interrupted run goes on where it was."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{_sources()[:16]}.jsonl"

    def read(self) -> dict[str, tuple[Outcome, float]]:
        """Return outcome and seconds by the unit's name."""
        found: dict[str, tuple[Outcome, float]] = {}
        if self.file.exists():
            for line in self.file.read_text("utf-8").splitlines():
                try:
                    kept: dict[str, Any] = json.loads(line)
                except ValueError:
                    # Cut off by the interruption; the unit is done again.
                    continue
                found[kept["unit"]] = (Outcome.from_record(kept["outcome"]), kept["seconds"])
        return found

    def add(self, unit: Unit, outcome: Outcome, seconds: float) -> None:
        """Keep a result; what went wrong is not kept, so that it is done again."""
        if outcome.wrong:
            return
        kept = {"unit": unit.name, "outcome": asdict(outcome), "seconds": seconds}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(kept) + "\n")


def _sources() -> str:
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
