"""A drill from the close to its end: the day with the platform at work, then without it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.clock import Clock
from infra.drill.aided import AidedDay, Noted
from infra.drill.bars import Bars, write_history
from infra.drill.clients import DrillClient, clients_of
from infra.drill.days import DrillDay, steps
from infra.drill.opening import read_close
from infra.drill.policy import write_policy
from infra.drill.stage import Stage, staged, town_of
from infra.drill.story import Cushion, Played, Sample
from infra.drill.taking import called_in, cushions, moved_in
from infra.drill.telling import Teller
from infra.drill.treasury import Treasury
from infra.venues.pace import Pace, paced

if TYPE_CHECKING:
    from infra.db import Database
    from infra.simulator.venues.core.liquidation import Liquidated

CLOSE_AFTER: Final = 90.0
"""Seconds after its date's end at which a close reads the venues."""
_PACE: Final = Pace(times=1_000.0, slack=60.0)
_AT_ONCE: Final = 600.0
"""Seconds of the day that pass in one step before the loop runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played, and how.

    Attributes
    ----------
    home : Path
        Folder of the drill's own database, store and connections; what is there is removed.
    step_seconds : float
        Seconds of the day between two looks of everybody at everything.
    approval_minutes : float
        Minutes of the day until people have approved a transfer.
    confirmation_seconds : float
        How long the chain takes.
    """

    day: DrillDay
    bars: Bars
    home: Path
    step_seconds: float = 20.0
    approval_minutes: float = 2.0
    confirmation_seconds: float = 300.0
    seed: int = 10


Progress = Callable[[str, float], None]
"""Hears what is being done, and which part of the day has passed."""


Telling = Callable[[datetime, str, str], None]
"""Hears when something happens, who does it, and what."""


def play(
    plan: Plan,
    on_progress: Progress = lambda *_: None,
    on_told: Telling = lambda *_: None,
) -> Played:
    """Return what happens on a day with the platform and without it.

    ``on_told`` hears who does what as it happens: prices, calls, transfers.

    Raises
    ------
    StateError
        If the loop ends or decides nothing any more.
    """
    began = time.monotonic()
    clients = clients_of(list(plan.bars.prices))
    shutil.rmtree(plan.home, ignore_errors=True)
    plan.home.mkdir(parents=True)
    lengths = steps(plan.day, plan.step_seconds)
    with_it = _with_platform(plan, clients, lengths, on_progress, on_told)
    on_progress("without", 0.0)
    unaided, liquidated = _without(plan, clients, with_it.instants, on_progress)
    samples = [
        Sample(
            at=one.at, prices=one.prices, pegs=one.pegs, utilisation=one.utilisation,
            aided=one.aided, unaided=other,
        )
        for one, other in zip(with_it.samples, unaided, strict=True)
    ]  # fmt: skip
    return Played(
        day=plan.day,
        source=plan.bars.source,
        clients=clients,
        samples=samples,
        calls=with_it.calls,
        moves=with_it.moves,
        doubts=with_it.doubts,
        liquidated=with_it.liquidated,
        liquidated_unaided=liquidated,
        n_open_breaks=len(with_it.breaks),
        breaks=with_it.breaks,
        troubles=with_it.troubles,
        n_steps=len(with_it.instants),
        step_seconds=plan.step_seconds,
        approval_minutes=plan.approval_minutes,
        confirmation_seconds=plan.confirmation_seconds,
        real_seconds=time.monotonic() - began,
    )


def _with_platform(
    plan: Plan,
    clients: Sequence[DrillClient],
    lengths: Sequence[float],
    on_progress: Progress,
    on_told: Telling,
) -> Noted:
    noted = Noted(clients)
    town = town_of(
        plan.day, plan.bars, clients, seed=plan.seed, confirmation=plan.confirmation_seconds
    )
    with staged(town) as stage, _connected(plan.home, stage, clients):
        on_progress("close", 0.0)
        stage.step(CLOSE_AFTER)
        history = plan.bars.history or str(write_history(plan.bars, plan.day, plan.home / "market"))
        write_policy(plan.home / "parameters")
        with paced(_PACE):
            base = read_close(plan.day, clients, plan.home, history, stage.clock)
        database = _database(plan.home, stage.clock)
        by_name = {one.netting_set_id: one for one in clients}
        approval = timedelta(minutes=plan.approval_minutes)
        try:
            with Treasury(database, plan.home, by_name, stage.clock, approval) as treasury:
                treasury.list_destinations(stage.told["fireblocks"]["destinations"])
                _reconciled(database, treasury, plan.day)
                for seconds in _before(plan.day):
                    stage.step(seconds)
                _reconciled(database, treasury, plan.day)
                told = Teller(database, on_told)
                aided = AidedDay(
                    day=plan.day, home=plan.home, step_seconds=plan.step_seconds, stage=stage,
                    database=database, base=base, treasury=treasury, noted=noted, told=told,
                    on_progress=partial(on_progress, "day"),
                )  # fmt: skip
                asyncio.run(aided.play(lengths))
                on_progress("books", 1.0)
                noted.breaks = _reconciled(database, treasury, plan.day)
                noted.troubles = dict(treasury.troubles)
            database.ledger.verify()
            noted.calls = called_in(database)
            noted.moves = moved_in(database, town)
            noted.liquidated = [
                act for one in town.venues.values() for act in one.book.liquidations
            ]
            noted.end()
        finally:
            database.close()
    return noted


def _without(
    plan: Plan, clients: Sequence[DrillClient], instants: Sequence[float], on_progress: Progress
) -> tuple[list[Mapping[str, Cushion]], list[Liquidated]]:
    """Return the same accounts on the same path, where nobody calls and nobody pays."""
    town = town_of(
        plan.day, plan.bars, clients, seed=plan.seed, confirmation=plan.confirmation_seconds
    )

    async def run() -> list[Mapping[str, Cushion]]:
        found = []
        await town.step(CLOSE_AFTER)
        for seconds in _before(plan.day):
            await town.step(seconds)
        for number, elapsed in enumerate(instants):
            await town.step(max(elapsed - town.clock.elapsed(), 0.0))
            found.append(cushions(town, clients))
            on_progress("without", (number + 1) / len(instants))
        return found

    found = asyncio.run(run())
    return found, [act for one in town.venues.values() for act in one.book.liquidations]


def _before(day: DrillDay) -> Iterator[float]:
    """Yield the steps from the close to the beginning of the loop."""
    left = (day.begins_at - day.opened_at).total_seconds() - CLOSE_AFTER
    while left > 0.0:
        yield min(left, _AT_ONCE)
        left -= _AT_ONCE


def _database(home: Path, clock: Clock) -> Database:
    from infra.db import open_database

    database = open_database(f"sqlite:///{home / 'plimsoll.sqlite'}", actor="drill", clock=clock)
    database.prepare()
    return database


def _reconciled(database: Database, treasury: Treasury, day: DrillDay) -> list[str]:
    """Book what the venues tell, compare, and return the breaks as sentences."""
    from infra.reconciling import look_at
    from infra.reconciling.attesting import attest_round
    from infra.transfers import policy_in_force

    policy = policy_in_force(day.business_date).policy.assets
    scales = {asset: rule.scale for asset, rule in policy.items()}
    started_at = database.clock()

    async def work(connections: Any) -> Any:
        return await look_at(database, connections, scales)

    look = treasury.do(work)
    attest_round(database, look.places, started_at, f"drill {day.name}")
    return [
        f"{one.item[0]} {one.item[1]}: {one.kind}, ours {one.ours}, theirs {one.theirs} "
        f"({one.detail})"
        for one in look.breaks
    ]


@contextmanager
def _connected(home: Path, stage: Stage, clients: Sequence[DrillClient]) -> Iterator[None]:
    """Connect a home to the venues; names of secrets leave the environment again."""
    from infra.simulator.venues.connecting import connect_home, disconnect_home

    accounts = [account for one in clients for account in one.accounts]
    environment = connect_home(home, stage.told, accounts)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        disconnect_home(home)
