"""The findings of a drill as rows of text, for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.drill.story import Played, acts_of, in_dollars


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its title, columns (those of numbers are ``right``), rows and a note."""

    title: str
    columns: Sequence[str]
    right: frozenset[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def tables_of(played: Played) -> list[Table]:
    """Return what a risk manager reads first, then what it rests on."""
    return [
        outcomes(played),
        calls(played),
        transfers(played),
        liquidations(played),
        doubts(played),
    ]


def outcomes(played: Played) -> Table:
    """Return a row a client: called when, paid when, liquidated when without the platform."""
    rows = [
        (
            one.netting_set_id,
            one.venue,
            str(one.n_calls),
            _at(one.first_call_at),
            _at(one.first_credit_at),
            dollars(one.paid),
            "none" if not one.n_liquidated else f"{one.n_liquidated} times",
            _at(one.liquidated_at),
            _minutes(one.lead_of_call),
            _minutes(one.lead_of_credit),
            dollars(one.closed),
            dollars(one.cost) if one.closed else "-",
        )
        for one in played.outcomes()
    ]
    columns = (
        "Client", "Venue", "Calls", "First call", "First credit", "Paid, $", "Liquidated with",
        "Liquidated without", "Call before, min", "Credit before, min", "Closed without, $",
        "Its cost, $",
    )  # fmt: skip
    return Table(
        "With Plimsoll and without",
        columns,
        frozenset(columns) - {"Client", "Venue", "Liquidated with"},
        rows,
        "Times are UTC. Lead is from the first call, and the first arrival of collateral, to the "
        "first liquidation of the same account on the same path without calls. Cost: the venue's "
        "fee, the slippage taken as half a percent, and what the closed positions would have "
        "gained (+) or lost (-) by the end.",
    )


def calls(played: Played) -> Table:
    """Return the calls of the loop."""
    rows = [
        (
            f"{one.issued_at:%H:%M:%S}", one.netting_set_id, f"{one.amount:,.0f}", one.currency,
            f"{one.due_at:%d %H:%M}", one.state, one.call_id[-8:],
        )
        for one in played.calls
    ]  # fmt: skip
    columns = ("At", "Client", "Amount", "Currency", "Due", "State", "Call")
    note = (
        "A call that the deficit outgrows by a tenth and by the minimum transfer is superseded by "
        "a larger one; what was pledged to it is carried on."
    )
    return Table("Calls made by the loop", columns, frozenset({"At", "Amount", "Due"}), rows, note)


def transfers(played: Played) -> Table:
    """Return what was moved for them."""
    rows = [
        (
            f"{one.proposed_at:%H:%M:%S}", _at(one.sent_at), _at(one.credited_at),
            one.netting_set_id, one.source, one.destination, f"{one.quantity:,.8f}".rstrip("0"),
            one.asset, one.state, str(one.n_executed),
        )
        for one in played.moves
    ]  # fmt: skip
    columns = (
        "Proposed", "Sent", "Credited", "Client", "From", "To", "Quantity", "Asset", "State",
        "Executed",
    )  # fmt: skip
    right = frozenset({"Proposed", "Sent", "Credited", "Quantity", "Executed"})
    note = (
        f"People approve within {played.approval_minutes:g} min of the day, the chain takes "
        f"{played.confirmation_seconds / 60:g} min. Executed: how often, by the venues' own books."
    )
    return Table("Collateral moved", columns, right, rows, note)


def liquidations(played: Played) -> Table:
    """Return what each venue would have liquidated without the platform, by contract."""
    rows = []
    last = played.samples[-1]
    for client in played.clients:
        acts = acts_of(client, played.liquidated_unaided)
        for symbol in sorted({one.symbol for one in acts}):
            mine = [one for one in acts if one.symbol == symbol]
            money = [in_dollars(one, last) for one in mine]
            quantity = sum(abs(one.quantity) for one in mine)
            mark = sum(float(abs(one.quantity) * one.mark_price) for one in mine)
            fill = sum(float(abs(one.quantity) * one.fill_price) for one in mine)
            rows.append(
                (
                    client.netting_set_id, client.venue, symbol, f"{mine[0].at:%H:%M:%S}",
                    f"{mine[-1].at:%H:%M:%S}", str(len(mine)), f"{quantity:,f}",
                    _price(mark / float(quantity)), _price(fill / float(quantity)),
                    dollars(sum(one.closed for one in money)),
                    dollars(sum(one.fee for one in money)),
                    dollars(sum(one.slipped for one in money)),
                    dollars(sum(one.missed for one in money)),
                    dollars(sum(one.written_off for one in money)),
                )
            )  # fmt: skip
    columns = (
        "Client", "Venue", "Contract", "From", "To", "Acts", "Contracts", "Mark", "Price",
        "Closed, $", "Fee, $", "Slippage, $", "Missed, $", "Venue's fund, $",
    )  # fmt: skip
    note = (
        "Each venue liquidates as it publishes: Binance at once what is needed, Deribit a tenth a "
        "second until margin is covered (how much a round takes is not published), OKX whole. "
        "Mark and price are means by size; the price has fee and slippage in it."
    )
    right = frozenset(columns) - {"Client", "Venue", "Contract"}
    return Table("What the venues liquidate without Plimsoll", columns, right, rows, note)


def doubts(played: Played) -> Table:
    """Return what the loop did not trust, stretches shorter than a step left out."""
    rows = []
    for one in played.doubts:
        ends = one.ends_at or played.day.ends_at
        lasted = (ends - one.begins_at).total_seconds()
        if lasted >= played.step_seconds:
            rows.append(
                (
                    f"{one.begins_at:%H:%M:%S}", f"{ends:%H:%M:%S}", f"{lasted / 60:,.1f}",
                    f"{one.scope} {one.name}", one.state.replace("_", " "), one.reason,
                )
            )  # fmt: skip
    columns = ("From", "To", "Minutes", "What", "State", "Why")
    note = "While something is not trusted more is owed and less counts; nothing is released."
    return Table(
        "What the loop did not trust", columns, frozenset({"From", "To", "Minutes"}), rows, note
    )


def headline(played: Played) -> str:
    """Return the outcome in one sentence or two."""
    found = played.outcomes()
    hit = [one for one in found if one.liquidated_at is not None]
    saved = [one for one in hit if not one.n_liquidated]
    n_with = sum(bool(one.n_liquidated) for one in found)
    if not hit:
        return (
            "Without Plimsoll no account is liquidated on this path; with it "
            f"{len(played.calls)} calls were made."
        )
    closed = sum(one.closed for one in hit)
    cost = sum(one.cost for one in hit)
    leads = [one.lead_of_call for one in saved if one.lead_of_call is not None]
    told = (
        f"Without Plimsoll {len(hit)} of {len(found)} accounts are liquidated: "
        f"${closed:,.0f} of positions closed, {_worded(cost)}. With it {_how_many(n_with)}; "
    )
    if leads:
        told += (
            f"the first call came {min(leads).total_seconds() / 60:,.0f} to "
            f"{max(leads).total_seconds() / 60:,.0f} minutes before the liquidation."
        )
    return told


def _worded(cost: float) -> str:
    if cost >= 0.0:
        return f"at a cost of ${cost:,.0f} by the end"
    return f"which spared them ${-cost:,.0f} by the end, since prices went on falling"


def _how_many(n: int) -> str:
    return {0: "none is", 1: "one is"}.get(n, f"{n} are")


def books_line(played: Played) -> str:
    """Return whether the books agree, and that nothing was sent twice."""
    twice = [one for one in played.moves if one.n_executed > 1]
    books = (
        "the ledger agrees with every venue"
        if not played.n_open_breaks
        else f"ledger and venues differ in {played.n_open_breaks}"
    )
    sent = "no transfer was carried out twice" if not twice else f"{len(twice)} carried out twice"
    return f"{len(played.moves)} transfers, {sent}; {books}."


def scale_line(played: Played) -> str:
    """Return by how much time was accelerated, and how."""
    return (
        f"{played.day.seconds / 3600:.1f} hours of the day in {played.real_seconds:,.0f} s "
        f"({played.scale:,.0f} times as fast): {played.n_steps:,} steps of "
        f"{played.step_seconds:g} s, each of which waits until the loop has decided. Cure hours, "
        "approvals, the chain, ages of prices and cool-downs run in the day's time; reconnecting "
        "runs in real time, and the day creeps on meanwhile."
    )


def dollars(value: float) -> str:
    """Return an amount in whole dollars."""
    return f"{value:,.0f}" if abs(value) >= 0.5 else "-"


def _at(instant: datetime | None) -> str:
    return "-" if instant is None else f"{instant:%H:%M:%S}"


def _minutes(lead: timedelta | None) -> str:
    return "-" if lead is None else f"{lead.total_seconds() / 60:,.0f}"


def _price(value: float) -> str:
    return f"{value:,.1f}" if value >= 1000 else f"{value:,.2f}"
