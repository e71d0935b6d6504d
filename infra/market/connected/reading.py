"""Ask one venue or custodian for everything that a close needs of it, within a deadline.

Nothing is judged and nothing is left out silently: what could not be read carries its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import pandas as pd

from engine.day_ports import Expired, FundingPayment, SettlementPrice, UsdRate
from engine.errors import BadPayload, NotSent, Throttled, VenueError
from engine.ports import AccountSnapshot, Mark
from infra.connections import AccountConnection, Holdings, VenueAdapter

_Answer = TypeVar("_Answer")
SINGLES_MAX: Final = 200
"""Marks that are asked for one by one where an answer with all of them cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for.

    Attributes
    ----------
    since, until : datetime
        The previous close (exclusive) and the close.
    instruments : frozenset of str
        Held by other books than the venue's own: they need marks and funding too.
    expired : tuple of Expired
        Held instruments of this venue that expired inside the day.
    deadline_seconds : float
    """

    since: datetime
    until: datetime
    instruments: frozenset[str]
    expired: tuple[Expired, ...]
    deadline_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRead:
    """One account; without a snapshot ``failure`` says why."""

    account: AccountConnection
    snapshot: AccountSnapshot | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRead:
    """What a venue says of its market; ``failures`` are marks that could not be read, and why."""

    instruments: pd.DataFrame
    marks: tuple[Mark, ...] = ()
    rates: tuple[UsdRate, ...] = ()
    funding: tuple[FundingPayment, ...] = ()
    settled: tuple[SettlementPrice, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRead:
    """One venue or custodian; a custodian has no market."""

    source: str
    accounts: tuple[AccountRead, ...]
    market: MarketRead | None = None
    market_failure: str = ""


async def read_venue(
    source: str, adapter: VenueAdapter, accounts: Sequence[AccountConnection], wanted: Wanted
) -> SourceRead:
    """Return the accounts of a venue and then its market, each with its failure if it has one."""
    until = asyncio.get_running_loop().time() + wanted.deadline_seconds
    read = await _accounts(adapter.accounts, accounts, until, wanted.deadline_seconds)
    found = [each.snapshot for each in read if each.snapshot is not None]
    held = {one.instrument_id for snapshot in found for one in snapshot.positions}
    held |= {one.instrument_id for snapshot in found for one in snapshot.orders}
    balances = {one.asset for snapshot in found for one in snapshot.balances}
    market, failure = await _guarded(
        f"market of {source}",
        lambda: _market(adapter, wanted, held | wanted.instruments, balances),
        until,
        wanted.deadline_seconds,
    )
    return SourceRead(source=source, accounts=read, market=market, market_failure=failure)


async def read_custodian(
    source: str, holdings: Holdings, accounts: Sequence[AccountConnection], deadline_seconds: float
) -> SourceRead:
    """Return the vaults of a custodian."""
    until = asyncio.get_running_loop().time() + deadline_seconds
    read = await _accounts(holdings, accounts, until, deadline_seconds)
    return SourceRead(source=source, accounts=read)


async def _accounts(
    holdings: Holdings, accounts: Sequence[AccountConnection], until: float, seconds: float
) -> tuple[AccountRead, ...]:
    async def read(account: AccountConnection) -> AccountRead:
        found, failure = await _guarded(
            account.place, lambda: holdings.snapshot(account.place), until, seconds
        )
        return AccountRead(account=account, snapshot=found, failure=failure)

    return tuple(await asyncio.gather(*(read(account) for account in accounts)))


async def _guarded(
    name: str, read: Callable[[], Awaitable[_Answer]], until: float, seconds: float
) -> tuple[_Answer | None, str]:
    """Return an answer, or None and why there is none."""
    try:
        async with asyncio.timeout_at(until):
            return await _patient(read, until), ""
    except TimeoutError:
        return None, f"{name}: no answer within {seconds:g} s"
    except VenueError as error:
        return None, f"{name}: {error}"


async def _patient(read: Callable[[], Awaitable[_Answer]], until: float) -> _Answer:
    """Return an answer; a venue that asks for silence is asked again after it, in time."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return await read()
        except (Throttled, NotSent) as error:
            # Other processes spend the same credential's room: a close can wait for it.
            wait = error.retry_after_seconds
            if wait is None or loop.time() + wait >= until:
                raise
        await asyncio.sleep(wait)


async def _market(
    adapter: VenueAdapter, wanted: Wanted, held: set[str], balances: set[str]
) -> MarketRead:
    listed = await adapter.catalog.instruments()
    # Futures and perpetuals carry the indices of their underlyings, options only their own marks.
    delta_one = listed["kind"].isin(["future", "perpetual"])
    marked = sorted(set(listed.loc[delta_one, "instrument_id"]) | held)
    marks, failures = await _marks(adapter, marked, held)
    is_marked = listed["instrument_id"].isin([one.instrument_id for one in marks])
    indexed = set(listed.loc[is_marked, "underlying"])
    used = listed[listed["instrument_id"].isin(marked)]
    assets = {*balances, *used["quote_asset"], *used["settlement_asset"]} - indexed - {"USD"}
    is_paid = (listed["kind"] == "perpetual") & listed["instrument_id"].isin(held)
    rates = await adapter.day.usd_rates(sorted(map(str, assets)))
    funding = await adapter.day.funding(
        sorted(listed.loc[is_paid, "instrument_id"]), wanted.since, wanted.until
    )
    settled = await adapter.day.settlement_prices(wanted.expired) if wanted.expired else ()
    return MarketRead(
        instruments=listed, marks=marks, rates=rates, funding=funding, settled=settled,
        failures=failures,
    )  # fmt: skip


async def _marks(
    adapter: VenueAdapter, marked: Sequence[str], held: set[str]
) -> tuple[tuple[Mark, ...], dict[str, str]]:
    """Return marks; where one spoils the answer, those that are held are asked for singly."""
    try:
        return await adapter.market.marks(marked), {}
    except BadPayload as error:
        if not held:
            raise
        whole = str(error)
    marks: list[Mark] = []
    failures: dict[str, str] = {}
    for name in sorted(held)[:SINGLES_MAX]:
        try:
            marks += await adapter.market.marks([name])
        except BadPayload as error:
            failures[name] = str(error)
    for name in sorted(held)[SINGLES_MAX:]:
        failures[name] = whole
    if not marks:
        raise BadPayload(whole)
    return tuple(marks), failures
