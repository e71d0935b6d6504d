"""What is taken down of a drill: from the venues' own books, and from the platform's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from infra.drill.clients import DrillClient
from infra.drill.days import DrillDay
from infra.drill.stage import STABLE
from infra.drill.story import Called, Cushion, Moved
from infra.simulator.venues.core.margins import position_value
from infra.simulator.venues.core.town import VenueTown

if TYPE_CHECKING:
    from infra.db import Database


def prices_of(town: VenueTown) -> dict[str, float]:
    """Return the price of each coin that is in the bars. [USD]"""
    return {
        asset: float(town.market.usd_price(asset))
        for asset, path in town.market.paths.items()
        if path.underlying.bars
    }


def pegs_of(town: VenueTown, day: DrillDay) -> dict[str, float]:
    """Return the price of each stablecoin, and of one that is apart at a venue. [USD]"""
    found = {asset: float(town.market.usd_price(asset)) for asset in STABLE}
    for one in day.depegs:
        if one.venue:
            name = f"{one.asset}@{one.venue}"
            found[name] = float(town.market.usd_price(one.asset, one.venue))
    return found


def cushions(town: VenueTown, clients: Sequence[DrillClient]) -> Mapping[str, Cushion]:
    """Return how each client stands at its venue, by the venue's own margin."""
    return {one.netting_set_id: _cushion(town, one) for one in clients}


def _cushion(town: VenueTown, client: DrillClient) -> Cushion:
    book = town.venues[client.venue].book
    account = book.accounts[client.place.partition("/")[2]]
    settled = {book.listing(symbol).settlement_asset for symbol in client.notional}
    equity = maintenance = notional = 0.0
    for bucket in book.margins(account):
        if bucket.currency in settled:
            rate = float(town.market.usd_price(bucket.currency, book.venue))
            equity += float(bucket.equity) * rate
            maintenance += float(bucket.maintenance_margin) * rate
    for position in account.open_positions():
        listing = book.listing(position.symbol)
        mark = book.quote(position.symbol).mark_price
        rate = float(town.market.usd_price(listing.settlement_asset, book.venue))
        notional += float(position_value(listing, position.quantity, mark)) * rate
    return Cushion(equity=equity, maintenance=maintenance, notional=notional)


def called_in(database: Database) -> list[Called]:
    """Return the calls of the loop in the order in which they were made."""
    found = []
    for run in database.runs.list(limit=50, kind="intraday"):
        for call in database.calls.of_run(run.run_id).to_dict(orient="records"):
            if call["direction"] != "call":
                continue
            terms = database.calls.record(str(call["call_id"])).terms
            if terms is None:
                continue
            found.append(
                Called(
                    call_id=str(call["call_id"]), netting_set_id=str(call["netting_set_id"]),
                    issued_at=terms["issued_at"], amount=call["amount"],
                    currency=str(call["currency"]), due_at=call["due_at"],
                    state=str(call["state"]),
                )
            )  # fmt: skip
    return sorted(found, key=lambda one: (one.issued_at, one.call_id))


def moved_in(database: Database, town: VenueTown) -> list[Moved]:
    """Return the transfers, each with how often the venues carried it out by their own books."""
    found = []
    for record in database.transfers.list():
        call = database.calls.record(record.intent.purpose).call
        n_executed = sum(
            venue.book.times_executed(record.transfer_key) for venue in town.venues.values()
        )
        found.append(
            Moved(
                transfer_key=record.transfer_key, netting_set_id=call["netting_set_id"],
                call_id=record.intent.purpose, source=record.intent.source,
                destination=record.intent.destination, asset=record.intent.asset,
                quantity=record.intent.quantity, proposed_at=record.recorded_at,
                sent_at=record.sent_at, credited_at=record.credited_at, state=record.state,
                n_executed=n_executed,
            )
        )  # fmt: skip
    return found
