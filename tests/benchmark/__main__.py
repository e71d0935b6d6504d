"""``python -m tests.benchmark [names]``: time and memory against peers, side by side in one run."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from tests.benchmark import (
    aggregation,
    allocation,
    compile_time,
    end_of_day,
    growth,
    intraday,
    latency,
    pricing,
    report,
    venue_models,
    whatif,
    whole_close,
)

BENCHMARKS: dict[str, Callable[[Console], None]] = {
    "pricing": pricing.run,
    "aggregation": aggregation.run,
    "end_of_day": end_of_day.run,
    "growth": growth.run,
    "whole_close": whole_close.run,
    "venue_models": venue_models.run,
    "compile_time": compile_time.run,
    "whatif": whatif.run,
    "allocation": allocation.run,
    "latency": latency.run,
    "intraday": intraday.run,
}


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="name",
                        help=f"any of {', '.join(BENCHMARKS)}; all if none is given")  # fmt: skip
    parser.add_argument(
        "--write-readme",
        action="store_true",
        help="measure nothing: keep the last figures and write the tables",
    )
    arguments = parser.parse_args()
    console = Console()
    if arguments.write_readme:
        report.keep_figures()
        report.write_tables()
        return
    for name in arguments.names or list(BENCHMARKS):
        console.rule(name.replace("_", " "))
        BENCHMARKS[name](console)


if __name__ == "__main__":
    main()
