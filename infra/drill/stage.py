"""The venues of a drill: a town in a thread of its own, whose time moves when it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from engine.money import Rounding, round_to_decimals
from infra.drill.bars import Bars
from infra.drill.clients import RESERVE_SHARE, DrillClient
from infra.drill.days import Depeg, DrillDay, Outage
from infra.simulator.venues.core.accounts import TRADING
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.paths import Move, Underlying
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town

VENUES: Final = ("binance", "deribit", "okx", "fireblocks")
STABLE: Final = ("USDT", "USDC")
_UP_SECONDS: Final = 30.0
_DECIMALS: Final = {"BTC": 8, "ETH": 8, "SOL": 8, "USDC": 6, "USDT": 6}
_OUTAGE: Final = (FaultKind.REFUSE, FaultKind.FORCED_CLOSE, FaultKind.RESET_BEFORE)
_FUNDING: Final = "-funding"
_T = TypeVar("_T")


@dataclass(slots=True)
class Stage:
    """A town that is up, and its time."""

    town: VenueTown
    loop: asyncio.AbstractEventLoop
    told: Mapping[str, Any]
    _gone: dict[str, list[int]] = field(default_factory=dict)

    def clock(self) -> datetime:
        """Return the present instant of the day."""
        return self.town.clock.now()

    def monotonic_ns(self) -> int:
        """Return the same as nanoseconds since the close, for durations."""
        return round(self.town.clock.elapsed() * 1e9)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run something among the venues and return what it gives."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_UP_SECONDS)

    def step(self, seconds: float) -> None:
        """Move the day on: prices, funding, chain, liquidation, streams."""
        self.run(self.town.step(seconds))

    def vanish(self, outage: Outage) -> None:
        """Let a venue be gone."""
        plan = self.town.plan
        self._gone[outage.venue] = [
            plan.inject(Fault(kind=kind, venue=outage.venue)) for kind in _OUTAGE
        ]

    def come_back(self, outage: Outage) -> None:
        """Let it be there again."""
        for number in self._gone.pop(outage.venue, ()):
            self.town.plan.withdraw(number)


def town_of(
    day: DrillDay, bars: Bars, clients: Sequence[DrillClient], *, seed: int, confirmation: float
) -> VenueTown:
    """Return the venues of a day, without accounts but those of the clients, which are empty."""
    underlyings = [
        Underlying(
            asset=asset, price=bars.points(asset)[0], bars=bars.points(asset),
            bar_seconds=bars.spacing_seconds[asset],
        )
        for asset in bars.prices
    ]  # fmt: skip
    flat = dict.fromkeys((*STABLE, *({"BTC", "ETH", "SOL"} - bars.prices.keys())), Decimal(1))
    underlyings += [
        Underlying(asset=asset, price=price, volatility=0.0, jumps_per_year=0.0, basis=0.0)
        for asset, price in sorted(flat.items())
    ]
    parameters = TownParameters(
        seed=seed, speed=0.0, tick_seconds=0.0, confirmation_seconds=confirmation,
        underlyings=underlyings, moves=_moves(day), is_liquidating=True, has_brackets=True,
        starts_at=day.opened_at,
    )  # fmt: skip
    town = build_town(VENUES, parameters)
    for venue in town.venues.values():
        # A ledger holds what its scale can: venues that keep more could not be booked.
        venue.book.keep_decimals(_DECIMALS)
        for account in venue.book.accounts.values():
            account.balances.clear()
            account.positions.clear()
            account.lines.clear()
    for client in clients:
        _furnish(town, client)
    return town


def _furnish(town: VenueTown, client: DrillClient) -> None:
    for asset, share in client.collateral.items():
        _fund(town, client.place, asset, client.gross * client.margin_share * share)
    if client.payer:
        _fund(town, client.payer, client.reserve, client.gross * RESERVE_SHARE)
    _take_positions(town, client)


def _take_positions(town: VenueTown, client: DrillClient) -> None:
    """Give a client what it holds, at the mark."""
    book, account = _account(town, client.place)
    for symbol, notional in client.notional.items():
        listing, mark = book.listing(symbol), book.quote(symbol).mark_price
        one = listing.contract_multiplier * (Decimal(1) if listing.is_inverse_future else mark)
        lots = (Decimal(repr(abs(notional))) / one / listing.lot_size).to_integral_value()
        sign = 1 if notional > 0 else -1
        book.fill(book.accounts[account], symbol, lots * listing.lot_size * sign, mark)


def _fund(town: VenueTown, place: str, asset: str, dollars: float) -> None:
    book, name = _account(town, place)
    wallet = "funding" if place.endswith(_FUNDING) else TRADING
    units = Decimal(repr(dollars)) / town.market.usd_price(asset)
    quantity = round_to_decimals(units, 4 if units < 1_000 else 0, Rounding.SETTLEMENT)
    account = book.accounts[name]
    book.adjust(account, asset, quantity, "deposit", wallet=wallet, reference="opening")


def _account(town: VenueTown, place: str) -> tuple[VenueBook, str]:
    venue, _, account = place.partition("/")
    return town.venues[venue].book, account.removesuffix(_FUNDING)


def _moves(day: DrillDay) -> dict[str, list[Move]]:
    found: dict[str, list[Move]] = {}
    for one in day.depegs:
        found.setdefault(_key(one), []).extend(_bend(day, one))
    return found


def _key(depeg: Depeg) -> str:
    return f"{depeg.asset}@{depeg.venue}" if depeg.venue else depeg.asset


def _bend(day: DrillDay, depeg: Depeg) -> list[Move]:
    def after(at: datetime) -> float:
        return (at - day.opened_at).total_seconds()

    fall = (depeg.bottom_at - depeg.falls_at).total_seconds()
    rise = (depeg.back_at - depeg.rises_at).total_seconds()
    return [
        Move(after(depeg.falls_at), depeg.low - 1.0, fall),
        Move(after(depeg.rises_at), 1.0 / depeg.low - 1.0, rise),
    ]


@contextmanager
def staged(town: VenueTown) -> Iterator[Stage]:
    """Yield the town, served from a thread of its own until the block ends."""
    found: list[Stage] = []
    failed: list[BaseException] = []
    up, ends = threading.Event(), []

    async def serve() -> None:
        async with town:
            ends.append(asyncio.Event())
            found.append(Stage(town, asyncio.get_running_loop(), town.describe()))
            up.set()
            await ends[0].wait()

    def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001  (told to whoever waits)
            failed.append(error)
            up.set()

    thread = threading.Thread(target=run, args=(serve,), daemon=True, name="venues of a drill")
    thread.start()
    up.wait(_UP_SECONDS)
    if failed:
        raise failed[0]
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(ends[0].set)
        thread.join(_UP_SECONDS)
