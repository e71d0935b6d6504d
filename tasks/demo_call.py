"""The life of one margin call, told step by step: born at the close, answered, paid, reconciled.

Everything is done by the parts that do it every day: the call's own acts, the planner, the transfer
desk with its approvals, the venues' adapters over real sockets. Only the people are made up, and
the venues are simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from engine.errors import MissingDataError
from engine.transfers import WhitelistEntry
from engine.transfers.whitelist import entry_id
from infra.db import Act
from infra.paying.pledging import Payers
from infra.report.amounts import exact
from infra.simulator.venues.connecting import TownAccount
from tasks.paying import pay_as, sentence
from tasks.transfers import desk_of
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.db.transfers import TransferRecord

CLIENT_PLACE: Final = "fireblocks/1"
HOUSE_PLACE: Final = "deribit/1001"
CLIENT: Final = "client"
TREASURY: Final = "anna"
RISK: Final = ("ben", "carla", "dora")
_AMOUNT_MIN, _AMOUNT_MAX = Decimal(20_000), Decimal(400_000)
_DOLLARS: Final = ("USD", "USDC", "USDT")
_REASON: Final = "demonstration on simulated venues"


@dataclass
class Life:
    """The call that is followed, and what has become of it."""

    call_id: str
    netting_set_id: str
    client_id: str
    amount: Decimal
    currency: str
    transfers: list[str] = field(default_factory=list)

    @property
    def accounts(self) -> tuple[TownAccount, ...]:
        """Return the places of the house and of the client."""
        return (
            TownAccount(
                place=HOUSE_PLACE, account_id="house-deribit", client_id="house",
                netting_set_id="house", role="house",
            ),
            TownAccount(
                place=CLIENT_PLACE, account_id=f"{self.netting_set_id}-vault",
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


def answer(life: Life, destinations: Sequence[Mapping[str, str]]) -> Iterator[Told]:
    """The client agrees; the planner chooses; collateral is pledged, transfers are proposed.

    ``destinations`` are the addresses that the custodian knows.
    """
    place = workplace()
    call = place.database.calls.record(life.call_id).call
    yield Told(
        "close",
        f"call {life.call_id[-8:]} of {life.netting_set_id}: {exact(life.amount)} {life.currency} "
        f"due {call['due_at']:%Y-%m-%d %H:%M} UTC",
    )
    agreeing = Act(principal=CLIENT, reason="the figure is ours too")
    place.database.call_actions.agree(life.call_id, agreeing)
    yield Told(CLIENT, "agrees to the call")
    _list_destinations(place, destinations)
    paid = pay_as(place, life.call_id, Payers(pledger=CLIENT, proposer=TREASURY, reason=_REASON))
    moves = paid.payment.optimum.plan.moves
    named = ", ".join(f"{exact(move.quantity)} {move.asset} from {move.source}" for move in moves)
    yield Told("planner", f"{named}: {sentence(paid.payment)}")
    for move, leg in zip(moves, paid.legs, strict=True):
        life.transfers.append(leg.transfer.transfer_key)
        yield Told(CLIENT, f"pledges {exact(move.quantity)} {move.asset}, worth {exact(leg.value)}")
        yield Told(TREASURY, f"proposes transfer {leg.transfer.transfer_key[:8]}")


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


def arrival(life: Life) -> Iterator[Told]:
    """What became of the transfers, and of the call that they pay."""
    place = workplace()
    for key in life.transfers:
        yield Told("venues", _whereabouts(place.database.transfers.get(key)))
    found = place.database.calls.record(life.call_id)
    settled = f"{exact(found.standing.settled)} {life.currency} have come off it"
    yield Told("call", f"is {found.call['state']}: {settled}")


def _list_destinations(place: Workplace, known: Sequence[Mapping[str, str]]) -> None:
    """Put the house's addresses on the whitelist; simulated venues need no cool-off."""
    whitelist = place.database.whitelist
    listed = {one.entry_id for one in whitelist.list()}
    for told in known:
        if told["place"] != HOUSE_PLACE:
            continue
        asset, network, address = told["asset"], told["network"], told["address"]
        name = entry_id(HOUSE_PLACE, asset, network, address, "")
        if name in listed:
            continue
        entry = WhitelistEntry(
            entry_id=name, destination=HOUSE_PLACE, asset=asset, network=network, address=address,
            memo="",
        )  # fmt: skip
        whitelist.propose(entry, TREASURY, _REASON)
        whitelist.approve(name, RISK[0], _REASON, timedelta(0))


def _whereabouts(record: TransferRecord) -> str:
    at = record.venue_transfer_id or "no number yet"
    return f"transfer {record.transfer_key[:8]} is {record.state} ({at})"
