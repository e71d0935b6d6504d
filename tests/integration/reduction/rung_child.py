"""The desk beside the loop as a process of its own, with nothing but the duty of the last rung."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from infra.connections import open_connections
from infra.dated_policies import InForce
from infra.db import open_database
from infra.db.loop_lease import Lead
from infra.intraday.desk_pipe import LoopPipe, standard_input, to_standard_output
from infra.intraday.leading import LOOP
from infra.outbound import KillSwitch
from infra.reduction import wiring_of
from infra.reduction.rung import ReduceRung, RungParts
from infra.settings import Settings
from tests.integration.reduction.rung_life import rules


async def live(home: Path, url: str, lead: Lead) -> None:
    """Do the duty until the loop closes the pipe, or somebody kills this process."""
    (home / "child.pid").write_text(str(os.getpid()))
    database = open_database(url, wait_seconds=20.0, actor="desk")
    base = pickle.loads((home / "base").read_bytes())
    limits = rules()
    timing = replace(limits.timing, poll_seconds=0.05, poll_seconds_max=0.2)
    policy = InForce(replace(limits, timing=timing), "policy", "tests")
    pipe = LoopPipe(on_called=lambda _: None, write=to_standard_output)
    async with open_connections(Settings(home=home)) as connections:
        rung = ReduceRung(
            RungParts(
                database=database, lead=lead, loop=pipe, policy_of=lambda: policy,
                kill_switch=KillSwitch(home), wiring=wiring_of(connections),
                base_of=lambda _: base,
            ),
            pause=0.1,
        )  # fmt: skip
        hearing = asyncio.create_task(pipe.listen(await standard_input()))
        while not hearing.done():
            try:
                await asyncio.sleep(rung.pause)
                await rung.round()
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                await asyncio.sleep(0.1)


if __name__ == "__main__":
    folder, address, _, epoch, _, holder = sys.argv[1:7]
    asyncio.run(live(Path(folder), address, Lead(name=LOOP, epoch=int(epoch), holder=holder)))
