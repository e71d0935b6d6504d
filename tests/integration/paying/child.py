"""A payment desk in a process of its own: ``python -m tests.integration.paying.child URL HOME N``.

As ``tasks/payment_desk.py`` puts it together, on the close of the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.clock import utc_now
from infra.connections import open_gateways, read_connections
from infra.db import open_database
from infra.db.loop_lease import Fenced, Lead
from infra.intraday.desk_pipe import LoopPipe, standard_input, to_standard_output
from infra.paying.desk import DeskParts, PaymentDesk
from infra.paying.waiting import OpenDemand
from infra.settings import Settings
from infra.transfers import KillSwitch, TransferDesk, policy_in_force
from tests.integration.paying.scene import rules_of


async def main() -> None:
    """Pay until the pipe is closed."""
    url, home, n_sets = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    epoch, holder = int(sys.argv[5]), sys.argv[7]
    stop, settings, database = asyncio.Event(), Settings(home=home), open_database(url)

    def called(demands: Sequence[OpenDemand]) -> None:
        desk.called(demands)

    pipe = LoopPipe(on_called=called, write=to_standard_output)
    policy = policy_in_force(utc_now().date()).policy
    async with open_gateways(settings) as gateways:
        desk = PaymentDesk(
            DeskParts(
                database=database,
                lead=Lead(name="intraday", epoch=epoch, holder=holder),
                books=pipe,
                transfers=TransferDesk(database, policy, KillSwitch(home)),
                gateways=gateways,
                accounts=read_connections(settings.connections_path).account,
                rules_of=lambda _: rules_of(n_sets),
            ),
            on_told=pipe.tell,
        )
        hearing = asyncio.create_task(pipe.listen(await standard_input()))
        hearing.add_done_callback(lambda _: stop.set())
        with contextlib.suppress(Fenced):
            await desk.run(stop)
        hearing.cancel()


if __name__ == "__main__":
    asyncio.run(main())
