"""Start a town: ``python -m infra.simulator.venues --venues deribit``; prints addresses as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from infra.simulator.oms.hosting import desk_at
from infra.simulator.venues.core.paths import Underlying, bars_of
from infra.simulator.venues.core.town import UNDERLYINGS, TownParameters
from infra.simulator.venues.streets import VENUES, build_town


def main() -> None:
    """Host a town until interrupted; the first line of output describes it."""
    arguments = _arguments()
    parameters = TownParameters(
        seed=arguments.seed,
        speed=arguments.speed,
        tick_seconds=arguments.tick_seconds,
        confirmation_seconds=arguments.confirmation_seconds,
        is_liquidating=arguments.liquidate,
        underlyings=_underlyings(arguments.bars, arguments.bar_seconds),
        admin_token=secrets.token_urlsafe(24),
    )
    asyncio.run(_host(arguments.venues, parameters, arguments.desk, arguments.desk_places))


async def _host(names: list[str], parameters: TownParameters, desk: str, places: list[str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with build_town(names, parameters) as town:
        told = town.describe()
        if not desk:
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            await stop.wait()
            return
        async with desk_at(town, Path(desk), places) as names_of:
            told["desk"] = {"folder": desk, "accounts": names_of}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            await stop.wait()


def _underlyings(bars: str, bar_seconds: float) -> tuple[Underlying, ...]:
    if not bars:
        return UNDERLYINGS
    frame = pd.read_csv(bars) if bars.endswith(".csv") else pd.read_parquet(bars)
    held = set(frame["asset"])
    return tuple(
        replace(one, bars=bars_of(frame, one.asset), bar_seconds=bar_seconds)
        if one.asset in held
        else one
        for one in UNDERLYINGS
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.simulator.venues")
    parser.add_argument("--venues", nargs="*", default=[], choices=sorted(VENUES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=1.0, help="town seconds per second")
    parser.add_argument("--tick-seconds", type=float, default=0.1)
    parser.add_argument("--confirmation-seconds", type=float, default=30.0)
    parser.add_argument("--bars", default="", help="CSV or Parquet of asset, close, ts_utc: replay")
    parser.add_argument("--bar-seconds", type=float, default=60.0)
    parser.add_argument("--desk", default="", help="folder that a desk drops its executions in")
    parser.add_argument("--desk-places", nargs="*", default=[], help="where it trades; else all")
    parser.add_argument("--liquidate", action="store_true", help="liquidate accounts under margin")
    return parser.parse_args()


if __name__ == "__main__":
    main()
