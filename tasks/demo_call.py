"""The life of one margin call, told step by step: born at the close, answered, paid, reconciled.

Everything is done by the parts that do it every day: the call's own acts, the planner, the transfer
desk with its approvals, the venues' adapters over real sockets. Only the people are made up, and
the venues are simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from engine.allocation import Acceptance, Asset, Holding, Need, Optimum, Problem, Rail, optimal_plan
from engine.errors import MissingDataError, ParameterError
from engine.money import Money, Rounding, round_to_increment, to_minor_units
from engine.transfers import TransferIntent, WhitelistEntry
from engine.transfers.whitelist import entry_id
from infra.db import Act, Arrival, PledgedCollateral
from infra.report.amounts import exact, short
from infra.simulator.venues.connecting import TownAccount
from tasks.call_values import CallValuation
from tasks.transfers import desk_of
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.db.transfers import TransferRecord

CLIENT_PLACE: Final = "deribit/1002"
HOUSE_PLACE: Final = "deribit/1001"
CLIENT: Final = "client"
TREASURY: Final = "anna"
RISK: Final = ("ben", "carla", "dora")
_AMOUNT_MIN, _AMOUNT_MAX = Decimal(20_000), Decimal(400_000)
_DOLLARS: Final = ("USD", "USDC", "USDT")
# Haircuts rise with size and are rounded: a little more than is asked for.
_MARGIN: Final = Decimal("1.005")
_LOT: Final = Decimal("0.0001")
_REASON: Final = "demonstration on simulated venues"
# What it costs to part with a coin instead of a dollar: a house's own view.
_USE_COST: Final = {"BTC": Decimal("0.0010"), "ETH": Decimal("0.0012"), "USDC": Decimal("0.0001")}


@dataclass
class Life:
    """The call that is followed, and what has become of it."""

    call_id: str
    netting_set_id: str
    client_id: str
    amount: Decimal
    currency: str
    transfers: list[str] = field(default_factory=list)
    pledges: dict[str, int] = field(default_factory=dict)

    @property
    def accounts(self) -> tuple[TownAccount, ...]:
        """Return the places of the house and of the client."""
        return (
            TownAccount(
                place=HOUSE_PLACE, account_id="house-deribit", client_id="house",
                netting_set_id="house",
            ),
            TownAccount(
                place=CLIENT_PLACE, account_id=f"{self.netting_set_id}-deribit",
                client_id=self.client_id, netting_set_id=self.netting_set_id,
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story: who did what."""

    who: str
    what: str


def followed_before() -> str | None:
    """Return the call that was followed in this home, None if none was.

    Simulated venues begin anew with every start, and the ledger forgets nothing: a second story
    on the same books would find the first one's collateral missing, and be right.
    """
    place = workplace()
    place.database.prepare()
    if place.database.venue_cursors.get(CLIENT_PLACE) is None:
        return None
    moved = [each for each in place.database.transfers.list() if each.proposer == TREASURY]
    return moved[-1].intent.purpose if moved else ""


def choose_call(run_id: str) -> Life:
    """Return an open call of a run that the simulated client can pay.

    Raises
    ------
    MissingDataError
        If the run has no such call.
    """
    place = workplace()
    calls = place.database.calls.open_calls()
    for row in calls.sort_values("call_id").to_dict(orient="records"):
        is_fit = (
            row["run_id"] == run_id
            and row["direction"] == "call"
            and row["currency"] in _DOLLARS
            and _AMOUNT_MIN <= row["amount"] <= _AMOUNT_MAX
        )
        if is_fit:
            return Life(
                call_id=str(row["call_id"]),
                netting_set_id=str(row["netting_set_id"]),
                client_id=str(row["netting_set_id"]).rpartition("-")[0],
                amount=row["amount"],
                currency=str(row["currency"]),
            )
    raise MissingDataError(
        f"{run_id} has no open call between {_AMOUNT_MIN:,} and {_AMOUNT_MAX:,} dollars to follow",
        identifier=run_id,
    )


def answer(life: Life) -> Iterator[Told]:
    """The client agrees; the planner chooses; collateral is pledged."""
    place = workplace()
    actions = place.database.call_actions
    call = place.database.calls.record(life.call_id).call
    yield Told(
        "close",
        f"call {life.call_id[-8:]} of {life.netting_set_id}: {exact(life.amount)} {life.currency} "
        f"due {call['due_at']:%Y-%m-%d %H:%M} UTC",
    )
    actions.agree(life.call_id, Act(principal=CLIENT, reason="the figure is ours too"))
    yield Told(CLIENT, "agrees to the call")
    found = _planned(place, life)
    moves = ", ".join(f"{exact(move.quantity)} {move.asset}" for move in found.plan.moves)
    saving = (
        f"{short(found.saving)} USD less than by the plain rule"
        if found.saving
        else ("no dearer than by the plain rule")
    )
    yield Told("planner", f"{moves} cover it at a cost of {short(found.plan.cost)} USD, {saving}")
    desk = desk_of(place)
    valuation, left = CallValuation(place, call), life.amount
    for leg, move in enumerate(found.plan.moves, start=1):
        scale = desk.policy.asset_rule(move.asset).scale
        value = min(valuation.value_in(move.asset, move.quantity, HOUSE_PLACE), left)
        left -= value
        pledged = PledgedCollateral(
            asset=move.asset, quantity=move.quantity, place=HOUSE_PLACE, value=value
        )
        act = Act(principal=CLIENT, reason=f"leg {leg} of the plan")
        done = actions.pledge(life.call_id, pledged, act)
        _list_destination(place, move.asset)
        intent = TransferIntent(
            purpose=life.call_id, leg=leg, source=CLIENT_PLACE, destination=HOUSE_PLACE,
            asset=move.asset, amount=to_minor_units(Money(move.quantity, move.asset), scale),
            scale=scale,
        )  # fmt: skip
        record = desk.propose(intent, TREASURY, f"covers {life.call_id}")
        life.transfers.append(record.transfer_key)
        life.pledges[record.transfer_key] = done.number
        yield Told(CLIENT, f"pledges {exact(move.quantity)} {move.asset}, worth {exact(value)}")
        yield Told(TREASURY, f"proposes transfer {record.transfer_key[:8]}")


def approve(life: Life) -> Iterator[Told]:
    """Other people than the proposer approve, as many as the policy asks for."""
    place = workplace()
    desk = desk_of(place)
    for key in life.transfers:
        for name in RISK:
            record = place.database.transfers.get(key)
            if record.state != "proposed":
                break
            desk.approve(key, name, record.payload_hash, "the hash on my screen is this one")
            yield Told(name, f"approves {key[:8]}, payload {record.payload_hash[:12]}")


def settle_call(life: Life) -> Iterator[Told]:
    """What has arrived comes off the call."""
    place = workplace()
    for key in life.transfers:
        record = place.database.transfers.get(key)
        yield Told("venue", _whereabouts(record))
        if record.credited_at is None:
            continue
        standing = place.database.calls.record(life.call_id).standing
        pledge = standing.pledge(life.pledges[key])
        if pledge is None or not pledge.remaining:
            continue
        arrival = Arrival(value=pledge.remaining, pledge=pledge.number, is_last=True, reference=key)
        act = Act(principal=TREASURY, reason=f"transfer {key[:8]} was credited")
        place.database.call_actions.settle(life.call_id, arrival, act)
        yield Told(TREASURY, f"settles {exact(arrival.value)} {life.currency} of the call")
    state = place.database.calls.record(life.call_id).call["state"]
    yield Told("call", f"is {state}")


def _planned(place: Workplace, life: Life) -> Optimum:
    call = place.database.calls.record(life.call_id).call
    valuation = CallValuation(place, call)
    desk = desk_of(place)
    rates = valuation.rates
    assets, acceptance, holdings, rails = {}, {}, [], {}
    for asset, use_cost in _USE_COST.items():
        free = place.database.ledger.available(f"location:{CLIENT_PLACE}", asset).amount
        price = Decimal(repr(rates[asset])) if asset in rates else Decimal(0)
        if free <= 0 or price <= 0:
            continue
        limit = min(desk.policy.asset_rule(asset).transfer_max, free)
        probe = min(limit, round_to_increment(life.amount / price, _LOT, Rounding.REQUIREMENT))
        try:
            value = valuation.value_in(asset, probe, HOUSE_PLACE)
        except ParameterError:
            # Not eligible, or beyond its concentration limit: no candidate.
            continue
        haircut = max(1 - value / (probe * price), Decimal(0))
        scale = desk.policy.asset_rule(asset).scale
        assets[asset] = Asset(price=price, scale=min(scale, 8), use_cost=use_cost)
        acceptance[HOUSE_PLACE, asset] = Acceptance(haircut=haircut)
        holdings.append(
            Holding(
                place=CLIENT_PLACE, asset=asset, owner=life.client_id, quantity=limit,
                buffer=limit / 20,
            )
        )  # fmt: skip
        rails[CLIENT_PLACE, HOUSE_PLACE, asset] = Rail(settles_within=timedelta(seconds=30))
    need = Need(
        need_id=life.call_id, owner=life.client_id, place=HOUSE_PLACE,
        amount=life.amount * _MARGIN, within=timedelta(hours=1),
    )  # fmt: skip
    return optimal_plan(
        Problem(
            assets=assets, holdings=tuple(holdings), needs=(need,), acceptance=acceptance,
            rails=rails,
        )
    )  # fmt: skip


def _list_destination(place: Workplace, asset: str) -> None:
    """Put the house's account on the whitelist; simulated venues need no cool-off."""
    whitelist = place.database.whitelist
    name = entry_id(HOUSE_PLACE, asset, "", "", "")
    if any(each.entry_id == name for each in whitelist.list()):
        return
    entry = WhitelistEntry(
        entry_id=name, destination=HOUSE_PLACE, asset=asset, network="", address="", memo=""
    )
    listed = whitelist.propose(entry, TREASURY, _REASON)
    whitelist.approve(listed.entry_id, RISK[0], _REASON, timedelta(0))


def _whereabouts(record: TransferRecord) -> str:
    at = record.venue_transfer_id or "no number yet"
    return f"transfer {record.transfer_key[:8]} is {record.state} ({at})"
