"""A loop in a process of its own, to be killed: ``python -m tests.integration.intraday.victim``."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from infra.connections import Connections
from infra.db import open_database
from infra.intraday.process import LoopOptions, LoopProcess
from tests.integration.intraday.stage import Closes
from tests.worlds.loop import base


def main() -> None:
    """Run a loop on the database, home and relay that the arguments name, until SIGTERM."""
    address, home, relay, dollars, n_sets = sys.argv[1:6]
    close = base({"A": float(dollars), "B": 1e7}, n_sets=int(n_sets))
    options = LoopOptions(
        home=Path(home), code_version="1.0", grace=1.0, round=0.02, board=0.1, checkpoint=0.3,
        lease=1.0, relays=(relay,),
    )  # fmt: skip
    asyncio.run(_run(LoopProcess(open_database(address), Closes([close]), Connections(), options)))


async def _run(process: LoopProcess) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.stop)
    await process.run()


if __name__ == "__main__":
    main()
