"""All that kills at full size, by one command that goes on where an earlier one was interrupted.

python -m tests.fault                          20 seeds on both kinds of database
python -m tests.fault --lifecycles 100000      the size of a release: lives of transfers
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.databases import running_postgresql
from tests.fault.databases import in_memory, migrated
from tests.fault.outcomes import Outcome
from tests.fault.table import crash_points, show
from tests.fault.units import ROOT, Kept, Unit, full_units, release_units
from tests.fault.workers import Done, done_by

ENGINES = ("sqlite", "postgresql")
KINDS = ("calls", "transfers", "payments")
_TELL_SECONDS = 0.5
_TELL_SECONDS_IN_A_FILE = 30.0


@dataclass
class Progress:
    """One line that says how far it is; ``expected`` counts lives."""

    expected: int
    done: Outcome = field(default_factory=Outcome)
    before: int = 0
    """Lives of an earlier command."""
    _started: float = field(default_factory=time.monotonic)
    _told: float = 0.0

    def add(self, more: Outcome) -> None:
        """Count, and tell now and then."""
        self.done += more
        every = _TELL_SECONDS if sys.stderr.isatty() else _TELL_SECONDS_IN_A_FILE
        if time.monotonic() - self._told >= every:
            self.tell()

    def tell(self) -> None:
        """Tell."""
        self._told = time.monotonic()
        lives = self.before + self.done.lives
        rate = self.done.lives / max(time.monotonic() - self._started, 1e-9)
        left = max(self.expected - lives, 0) / rate / 60 if rate else 0.0
        line = (
            f"{lives:,} of about {self.expected:,} lives, {self.done.kills:,} kills, "
            f"{len(self.done.wrong)} wrong, {rate:.1f} lives/s, {left:.0f} min left"
        )
        sys.stderr.write(f"\r{line}  " if sys.stderr.isatty() else f"{line}\n")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is left, show the table, and return 0 if nothing was wrong."""
    chosen = _options().parse_args(arguments)
    engines = ENGINES if chosen.database == "both" else (chosen.database,)
    kinds = KINDS if chosen.what == "all" else (chosen.what,)
    units = (
        release_units(engines, chosen.lifecycles)
        if chosen.lifecycles
        else full_units(engines, chosen.seeds, kinds)
    )
    kept = Kept(Path(chosen.record))
    if chosen.anew:
        kept.file.unlink(missing_ok=True)
    before = kept.read()
    results = {unit: before[unit.name] for unit in units if unit.name in before}
    if results:
        print(f"{len(results)} of {len(units)} pieces are done: {kept.file}")
    progress = Progress(sum(unit.size for unit in units))
    progress.before = sum(outcome.lives for outcome, _ in results.values())
    is_whole = True
    try:
        for done in _run([unit for unit in units if unit not in results], chosen.jobs, progress):
            kept.add(done.unit, done.outcome, done.seconds)
            results[done.unit] = (done.outcome, done.seconds)
    except KeyboardInterrupt:
        is_whole = False
        sys.stderr.write("\ninterrupted; the same command goes on from here\n")
    progress.tell()
    sys.stderr.write("\n")
    results = {unit: results[unit] for unit in units if unit in results}
    show(results)
    if not chosen.lifecycles:
        is_whole &= crash_points(results, kinds)
    total = sum((outcome for outcome, _ in results.values()), Outcome())
    for one in total.wrong[:40]:
        print(f"wrong: {one}")
    if chosen.lifecycles and not total.wrong and total.lives:
        print(f"no fault in {total.lives:,} lives: its rate is below {3 / total.lives:.1e} at 95 %")
    return int(bool(total.wrong) or not is_whole)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m tests.fault",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--what", choices=(*KINDS, "all"), default="all")
    options.add_argument("--database", choices=(*ENGINES, "both"), default="both")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--lifecycles", type=int, default=0, help="lives of transfers, no sweeps")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--record", default=str(ROOT / ".plimsoll" / "fault"))
    options.add_argument("--anew", action="store_true", help="forget what is done")
    return options


def _run(units: Sequence[Unit], jobs: int, progress: Progress) -> Iterator[Done]:
    if not units:
        return
    engines = sorted({unit.engine_name for unit in units})
    with ExitStack() as held:
        places = {"sqlite": str(held.enter_context(in_memory()))}
        if "postgresql" in engines:
            places["postgresql"] = held.enter_context(running_postgresql())
        templates = {name: migrated(name, places[name]) for name in engines}
        for found in held.enter_context(closing(done_by(units, templates, jobs))):
            if isinstance(found, Done):
                progress.add(Outcome(wrong=found.outcome.wrong))
                yield found
            else:
                progress.add(found)
