"""``python -m tests.benchmark [names]``: time and memory against peers, side by side in one run."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from tests.benchmark import aggregation, compile_time, end_of_day, growth, pricing, whatif

BENCHMARKS: dict[str, Callable[[Console], None]] = {
    "pricing": pricing.run,
    "aggregation": aggregation.run,
    "end_of_day": end_of_day.run,
    "growth": growth.run,
    "compile_time": compile_time.run,
    "whatif": whatif.run,
}


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="name",
                        help=f"any of {', '.join(BENCHMARKS)}; all if none is given")  # fmt: skip
    names = parser.parse_args().names or list(BENCHMARKS)
    console = Console()
    for name in names:
        console.rule(name.replace("_", " "))
        BENCHMARKS[name](console)


if __name__ == "__main__":
    main()
