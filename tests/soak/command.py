"""Soak: the busy load of profile L2 on the real parts, with random faults, checked throughout.

The loop (one leading, one standing by), the web, the alerts and a database run as processes of
their own, as an installation runs them. Prices come over sockets, fills as signed webhooks. Every
few seconds something breaks, by a seed and a schedule. A checker that shares nothing with the loop
but the record says whether what has to hold still does. Any violation fails the run and is printed
with its instant, its values and the seed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.soak.book import BookSize
from tests.soak.conductor import Conductor, SoakOptions
from tests.soak.place import prepare
from tests.soak.planted import PLANTED
from tests.soak.report import write_report
from tests.soak.schedule import KINDS, schedule
from tests.soak.servers import running
from tests.soak.terminal import Screen, print_report

ROOT = Path(__file__).resolve().parent.parent.parent
SETS, PRICES, FILLS = 50_000, 25_000.0, 100.0
"""Profile L2: accounts, prices a second, fills a second; ten positions each."""
EXAMPLES = """examples:
  python -m tests.soak --minutes 60
  python -m tests.soak --minutes 60 --database postgresql --seed 7
  python -m tests.soak --minutes 10 --scale 0.1
  python -m tests.soak --minutes 5 --scale 0.02 --only crash "leader killed" vanish
  python -m tests.soak --minutes 2 --scale 0.01 --plant drop-fill

Needs nothing but the project: no network, no account, no server. With two cores the sender, the
loop and the database share them: a rate that was aimed at and not reached is said in the report.
Exit code 0 without a violation, 1 with one, 2 if the run could not be done."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if anything was violated."""
    chosen = _options().parse_args(arguments)
    folder = Path(chosen.folder)
    if (folder / "home").exists():
        shutil.rmtree(folder / "home")
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.log"), folder / "facts.jsonl"):
        old.unlink(missing_ok=True)
    if chosen.nice:
        os.nice(chosen.nice)
    scale = chosen.scale
    size = BookSize(n_sets=chosen.sets or max(round(SETS * scale), 20))
    options = SoakOptions(
        seconds=chosen.minutes * 60.0,
        seed=chosen.seed,
        prices=chosen.prices or PRICES * scale,
        fills=chosen.fills or FILLS * scale,
        plant=chosen.plant,
    )
    screen = Screen(folder, options, size)
    with running(chosen.database, folder / "home") as server:
        screen.say(f"a book of {size.n_sets:,} netting sets with {size.n_positions} positions each")
        place = prepare(folder / "home", server, size, chosen.seed, is_small=False)
        able = [word for word, can in (("stop", server.can_stop), ("fill", server.can_fill)) if can]
        planned = schedule(chosen.seed, options.seconds, chosen.every, able, chosen.only)
        conductor = Conductor(options, place, folder, planned, screen.tell)
        with screen:
            asyncio.run(conductor.run())
    page = write_report(conductor, size, folder / "report.html")
    print_report(conductor, size, page)
    return int(bool(conductor.violations))


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--minutes", type=_positive, default=60.0, help="of load and faults (60)")
    options.add_argument("--seed", type=int, default=1, help="of book, prices, fills, faults (1)")
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument(
        "--scale", type=_positive, default=1.0,
        help="part of L2: 50,000 netting sets, 25,000 prices/s, 100 fills/s (1)",
    )  # fmt: skip
    options.add_argument("--sets", type=int, default=0, help="netting sets, whatever the scale")
    options.add_argument("--prices", type=float, default=0.0, help="prices a second")
    options.add_argument("--fills", type=float, default=0.0, help="fills a second")
    options.add_argument(
        "--every", type=_positive, default=10.0, help="seconds between faults (10)"
    )
    options.add_argument(
        "--only", nargs="*", default=(), metavar="KIND", choices=[one.name for one in KINDS],
        help="these kinds of faults alone: " + ", ".join(one.name for one in KINDS),
    )  # fmt: skip
    options.add_argument(
        "--plant", choices=("", *PLANTED), default="", metavar="BUG",
        help="run the loop with a bug, to see it caught: " + ", ".join(PLANTED),
    )  # fmt: skip
    options.add_argument("--nice", type=int, default=5, help="niceness of everything (5)")
    options.add_argument(
        "--folder", default=str(ROOT / ".plimsoll" / "soak"), help="home, logs, report"
    )
    return options


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
