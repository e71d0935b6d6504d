"""The payment desk's process, put together from settings; no orchestrator here."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from infra.connections import Connections, has_connections, open_connections
from infra.connections.document import AccountConnection, read_connections
from infra.db.loop_lease import Fenced, Lead
from infra.outbound import KillSwitch
from infra.reduction import wiring_of
from tasks.gateways import gateways
from tasks.intraday import StoredBases
from tasks.records import facts_of
from tasks.reduction import reduction_policy
from tasks.rule_books import rule_book_from
from tasks.transfers import desk_of
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from engine.rules import RuleBook
    from infra.paying.live import LiveLoop
    from infra.paying.waiting import OpenDemand
    from infra.reduction.rung import ReduceRung


def run_desk(epoch: int, holder: str) -> None:
    """Pay calls for the loop that holds the lead, until it closes the pipe or loses the lead."""
    from infra.intraday.leading import LOOP

    place = workplace()
    place.database.check_schema()
    asyncio.run(_run(place, Lead(name=LOOP, epoch=epoch, holder=holder)))


async def _run(place: Workplace, lead: Lead) -> None:
    from infra.intraday.desk_pipe import LoopPipe, standard_input, to_standard_output
    from infra.paying.desk import DeskParts, PaymentDesk

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # A signal to the whole group is for the loop: it closes the pipe when it has ended.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def called(demands: Sequence[OpenDemand]) -> None:
        desk.called(demands)

    pipe = LoopPipe(on_called=called, write=to_standard_output)
    async with AsyncExitStack() as stack:
        connections = Connections()
        if has_connections(place.settings):
            connections = await stack.enter_async_context(open_connections(place.settings))
        opened = connections.gateways
        if place.settings.gateways is not None:
            opened = await stack.enter_async_context(gateways(place))
        desk = PaymentDesk(
            DeskParts(
                database=place.database,
                lead=lead,
                books=pipe,
                transfers=desk_of(place),
                gateways=opened,
                accounts=_accounts(place),
                rules_of=lambda close_id: _rules_of(place, close_id),
            ),
            on_told=pipe.tell,
            more=_rung(place, lead, pipe, connections).duties,
        )
        hearing = asyncio.create_task(pipe.listen(await standard_input()))
        hearing.add_done_callback(lambda _: stop.set())
        # Another loop leads: this desk's own has ended, or is about to hear of it.
        with contextlib.suppress(Fenced, BrokenPipeError):
            await desk.run(stop)
        hearing.cancel()


def _rung(place: Workplace, lead: Lead, loop: LiveLoop, connections: Connections) -> ReduceRung:
    from infra.reduction.rung import ReduceRung, RungParts

    return ReduceRung(
        RungParts(
            database=place.database,
            lead=lead,
            loop=loop,
            policy_of=lambda: reduction_policy(place),
            kill_switch=KillSwitch(place.settings.home_path),
            wiring=wiring_of(connections),
            base_of=StoredBases(place).load,
        )
    )


def _accounts(place: Workplace) -> tuple[AccountConnection, ...]:
    path = place.settings.connections_path
    return read_connections(path).account if path.is_file() else ()


def _rules_of(place: Workplace, close_id: str) -> RuleBook:
    known = place.database.records.rule_book(facts_of(close_id, "freeze")["rule_book_hash"])
    return rule_book_from(known.content, known.rule_book_hash, place.database.parameters.bodies)
