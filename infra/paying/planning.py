"""With what a margin call is paid: the planner's optimum over everything that could be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from engine.allocation import Acceptance, Asset, Holding, Need, Optimum, Problem, optimal_plan
from engine.errors import MissingDataError, ParameterError
from engine.money import Rounding, round_to_increment
from infra.paying.available import Availability
from infra.paying.routes import Route, open_routes

if TYPE_CHECKING:
    from engine.ports import TransferGateway
    from engine.transfers.policy import TransferPolicy
    from infra.db import Database

# Haircuts rise with size and values are rounded down: a plan aims a little higher than asked.
COVER: Final = Decimal("1.005")
_DECIMALS_MAX: Final = 8
# A call that is past due takes whatever there is, however long it is on its way.
_NO_HURRY: Final = timedelta(days=3650)


class Valuation(Protocol):
    """What collateral is worth for one call."""

    @property
    def rates(self) -> Mapping[str, float]:
        """Return the USD price of each asset that has one."""

    def value_in(self, asset: str, quantity: Decimal, place: str) -> Decimal:
        """Return what a deposit adds, in the call's currency; ParameterError if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be paid, by whom, and where it is to arrive.

    Attributes
    ----------
    call_id, owner, currency : str
        ``owner`` is the client: only its own holdings pay.
    amount : Decimal
        Value after haircut. [``currency``]
    sources : tuple of str
        Places that the client may pay from.
    destination : str
    due_at, now : datetime
    """

    call_id: str
    owner: str
    currency: str
    amount: Decimal
    sources: tuple[str, ...]
    destination: str
    due_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The plan of one payment, and the routes that its moves take, in the plan's order."""

    wanted: Wanted
    optimum: Optimum
    routes: tuple[Route, ...]

    @property
    def shortfall(self) -> Decimal:
        """Return what stays unpaid of what was asked for. [currency of the call]"""
        covered = sum((move.value for move in self.optimum.plan.moves), start=Decimal(0))
        return max(self.wanted.amount - covered, Decimal(0))


async def payment_plan(
    wanted: Wanted,
    *,
    database: Database,
    gateways: Mapping[str, TransferGateway],
    policy: TransferPolicy,
    valuation: Valuation,
    available: Availability | None = None,
) -> Payment:
    """Return how ``wanted`` is best paid with what is free at its owner's places.

    Free is what the ledger has and nobody holds or was promised, and no more than the venue itself
    lets go: what carries positions there stays. Limits of the day bound what is planned.

    Parameters
    ----------
    available : Availability, optional
        What venues have said already, where several calls are planned in one round.

    Raises
    ------
    MissingDataError
        If nothing could be sent at all; says what is missing.
    """
    routes = open_routes(
        wanted.sources,
        wanted.destination,
        gateways=gateways,
        entries=database.whitelist.list(),
        policy=policy,
        now=wanted.now,
    )
    if not routes:
        raise MissingDataError(
            f"call {wanted.call_id}: nothing can be sent to {wanted.destination} from "
            f"{', '.join(wanted.sources) or 'nowhere'}; connect a place of {wanted.owner} and put "
            "the destination on the whitelist with `plimsoll transfers whitelist propose`",
            identifier=wanted.call_id,
        )
    found = available or Availability(database, gateways, policy, wanted.now)
    free = {(one.source, one.asset): await found.free(one) for one in routes}
    rooms = [(one, found.room(one)) for one in routes]
    bounded = [_within(one, room) for one, room in rooms if room > 0]
    problem = _problem(wanted, bounded, free, policy, valuation)
    optimum = optimal_plan(problem)
    by_way = {(one.source, one.asset): one for one in routes}
    taken = tuple(by_way[move.source, move.asset] for move in optimum.plan.moves)
    return Payment(wanted=wanted, optimum=optimum, routes=taken)


def _within(route: Route, room: Decimal) -> Route:
    most = room if route.rail.quantity_max is None else min(route.rail.quantity_max, room)
    return replace(route, rail=replace(route.rail, quantity_max=most))


def _problem(
    wanted: Wanted,
    routes: Sequence[Route],
    free: Mapping[tuple[str, str], Decimal],
    policy: TransferPolicy,
    valuation: Valuation,
) -> Problem:
    assets: dict[str, Asset] = {}
    acceptance: dict[tuple[str, str], Acceptance] = {}
    holdings = []
    for route in routes:
        rule = policy.asset_rule(route.asset)
        quantity = free[route.source, route.asset]
        price = _price(route.asset, wanted.currency, valuation)
        if quantity <= 0 or price is None:
            continue
        increment = Decimal(1).scaleb(-min(rule.scale, _DECIMALS_MAX))
        needed = round_to_increment(wanted.amount * COVER / price, increment, Rounding.REQUIREMENT)
        probe = min(quantity, needed, rule.transfer_max)
        try:
            value = valuation.value_in(route.asset, probe, wanted.destination)
        except ParameterError:
            # Not eligible, or beyond its concentration limit: no candidate.
            continue
        haircut = max(1 - value / (probe * price), Decimal(0))
        assets[route.asset] = Asset(
            price=price, scale=min(rule.scale, _DECIMALS_MAX), use_cost=rule.use_cost
        )
        acceptance[wanted.destination, route.asset] = Acceptance(haircut=haircut)
        holdings.append(
            Holding(
                place=route.source,
                asset=route.asset,
                owner=wanted.owner,
                quantity=quantity,
                buffer=quantity * rule.kept_share,
            )
        )
    left = wanted.due_at - wanted.now
    need = Need(
        need_id=wanted.call_id,
        owner=wanted.owner,
        place=wanted.destination,
        amount=wanted.amount * COVER,
        within=left if left > timedelta(0) else _NO_HURRY,
    )
    return Problem(
        assets=assets,
        holdings=tuple(holdings),
        needs=(need,),
        acceptance=acceptance,
        rails={(one.source, one.destination, one.asset): one.rail for one in routes},
    )


def _price(asset: str, currency: str, valuation: Valuation) -> Decimal | None:
    """Return the price of a unit in the call's currency; None where one of the two has none."""
    rate, base = valuation.rates.get(asset), valuation.rates.get(currency)
    if not rate or not base:
        return None
    return Decimal(repr(rate)) / Decimal(repr(base))
