"""Funding: the venues' own lines beside what rate, position and mark make due.

Each round keeps what it has seen of held perpetuals. A line is judged between the two rounds around
its instant, once; a venue that pays funding inside other lines is not judged here, its balance is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final

from engine.errors import VenueError
from engine.executions import Holding
from engine.money import MONEY_CONTEXT
from engine.ports import AccountSnapshot, VenueLedgerLine
from engine.reconciliation import (
    Difference,
    FundingTerms,
    Observation,
    difference,
    funding_due,
    judge_funding,
)
from infra.db.break_acceptances import evidence_of
from infra.db.funding import FundingCheck, FundingSample
from infra.reconciling import order_management
from infra.reconciling.scopes import ScopeLook
from infra.report.amounts import exact

if TYPE_CHECKING:
    from infra.connections import Connections
    from infra.db import Database
    from infra.reconciling.markets import VenueMarket

FUNDING: Final = "funding"
# The words of Binance, OKX for lines that are funding and nothing else.
FUNDING_KINDS: Final = frozenset({"FUNDING_FEE", "funding_fee"})
APART_MAX: Final = timedelta(minutes=15)
SAME_INSTANT: Final = timedelta(minutes=1)
"""Lines and published rates of one funding are stamped this close to each other."""
MISSING_AFTER: Final = timedelta(minutes=2)
"""A venue that has booked one account's funding has booked the others' by then."""
_ROWS_SHOWN: Final = 50
_SHOWN: Final = 6
"""Decimals of amounts for people; the record is exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingInputs:
    """What a round has read: snapshots and new lines by place, markets by venue."""

    snapshots: Mapping[str, AccountSnapshot]
    lines: Mapping[str, Sequence[VenueLedgerLine]]
    markets: Mapping[str, VenueMarket]


async def compare_funding(
    database: Database, connections: Connections, inputs: FundingInputs
) -> ScopeLook:
    """Return where the venues' funding lines are not what was due, not accepted so far."""
    samples = list(_samples(inputs))
    database.funding.sample(samples)
    lines = [
        (place, line)
        for place, found in inputs.lines.items()
        for line in found
        if line.kind in FUNDING_KINDS
    ]
    rates = await _published(connections, lines)
    judge = _Judge(database, connections, inputs.markets, rates)
    checks = [judge.of_lines(*key, found) for key, found in _by_instant(lines).items()]
    database.funding.record(checks)
    missing = list(_missing(database, judge, samples))
    database.funding.record(missing)
    differing = [_difference(check) for check in database.funding.differing()]
    latest = database.funding.latest(_ROWS_SHOWN)
    return ScopeLook(
        scope="funding",
        n_compared=sum(check.verdict != "not_judged" for check in checks),
        differences=order_management.without_accepted(database, differing),
        not_compared=tuple(
            f"{check.place} {check.instrument_id}: {check.why}"
            for check in checks
            if check.verdict == "not_judged"
        ),
        rows=[_row(check) for check in reversed(latest)],
    )


class _Judge:
    """Judges funding instants by what was seen around them."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        markets: Mapping[str, VenueMarket],
        rates: Mapping[tuple[str, str], list[tuple[datetime, Decimal]]],
    ) -> None:
        self._database, self._connections = database, connections
        self._markets, self._rates = markets, rates
        self._held: dict[datetime, tuple[frozenset[str], Mapping[Holding, Decimal]]] = {}

    def of_lines(
        self, place: str, instrument_id: str, at: datetime, lines: Sequence[VenueLedgerLine]
    ) -> FundingCheck:
        """Judge what was booked for one instrument at one instant."""
        with localcontext(MONEY_CONTEXT):
            booked = sum((line.change for line in lines), start=Decimal(0))
        return self._check(place, instrument_id, at, lines[0].asset, booked)

    def of_silence(self, place: str, instrument_id: str, at: datetime) -> FundingCheck | None:
        """Judge that nothing was booked at an instant at which others were."""
        terms = self._terms(place, instrument_id)
        if terms is None:
            return None
        return self._check(place, instrument_id, at, terms.settlement_asset, None)

    def _check(
        self, place: str, instrument_id: str, at: datetime, asset: str, booked: Decimal | None
    ) -> FundingCheck:
        terms = self._terms(place, instrument_id)
        if terms is None:
            return FundingCheck(
                place=place, instrument_id=instrument_id or "?", asset=asset, funded_at=at,
                booked=booked, due_low=Decimal(0), due_high=Decimal(0), quantity=Decimal(0),
                verdict="not_judged", why="the line names no perpetual that the venue lists",
            )  # fmt: skip
        before, after = self._database.funding.around(place, instrument_id, at)
        rate = self._published(place, instrument_id, at)
        if before is not None and rate is not None:
            before = replace(before, funding_rate=rate)
        due = funding_due(
            before, after, terms, at=at, quantity=self._quantity(place, instrument_id, at),
            apart_max=APART_MAX,
        )  # fmt: skip
        why = due.obstacle
        if not why and before is not None and after is not None:
            why = (
                f"rate {exact(before.funding_rate)} × {exact(due.quantity)} contracts at marks "
                f"{exact(before.mark_price)} and {exact(after.mark_price)}"
            )
        return FundingCheck(
            place=place, instrument_id=instrument_id, asset=asset, funded_at=at, booked=booked,
            due_low=due.low, due_high=due.high, quantity=due.quantity,
            verdict=judge_funding(due, booked), why=why,
        )  # fmt: skip

    def _quantity(self, place: str, instrument_id: str, at: datetime) -> Decimal | None:
        """Return contracts at the instant by order management, None where it has no word."""
        oms, account = self._connections.oms, self._connections.accounts.get(place)
        if oms is None or account is None:
            return None
        if place not in order_management.covered_places(self._connections, oms):
            return None
        if at not in self._held:
            self._held[at] = order_management.at(self._database, oms, at)
        known, held = self._held[at]
        if account.account_id not in known:
            return None
        return held.get((account.account_id, instrument_id), Decimal(0))

    def _published(self, place: str, instrument_id: str, at: datetime) -> Decimal | None:
        told = self._rates.get((place.partition("/")[0], instrument_id), [])
        near = [(abs(paid_at - at), rate) for paid_at, rate in told]
        return min(near)[1] if near and min(near)[0] <= SAME_INSTANT else None

    def _terms(self, place: str, instrument_id: str) -> FundingTerms | None:
        market = self._markets.get(place.partition("/")[0])
        rows = None if market is None else market.rows([instrument_id])
        if rows is None or rows.empty or rows["kind"].iloc[0] != "perpetual":
            return None
        return FundingTerms(
            is_inverse=rows["payoff"].iloc[0] == "inverse",
            contract_multiplier=Decimal(repr(float(rows["contract_multiplier"].iloc[0]))),
            settlement_asset=str(rows["settlement_asset"].iloc[0]),
        )


def _samples(inputs: FundingInputs) -> Iterable[FundingSample]:
    for place, snapshot in sorted(inputs.snapshots.items()):
        market = inputs.markets.get(place.partition("/")[0])
        for held in snapshot.positions:
            mark = None if market is None else market.marks.get(held.instrument_id)
            if mark is None or mark.funding_rate is None:
                continue
            seen = Observation(
                observed_at=mark.reading.received_at, quantity=held.quantity,
                mark_price=mark.mark_price, funding_rate=mark.funding_rate,
            )  # fmt: skip
            yield FundingSample(place=place, instrument_id=held.instrument_id, seen=seen)


def _by_instant(
    lines: Iterable[tuple[str, VenueLedgerLine]],
) -> dict[tuple[str, str, datetime], list[VenueLedgerLine]]:
    found: dict[tuple[str, str, datetime], list[VenueLedgerLine]] = defaultdict(list)
    for place, line in lines:
        found[place, line.instrument_id, line.booked_at].append(line)
    return found


async def _published(
    connections: Connections, lines: Sequence[tuple[str, VenueLedgerLine]]
) -> dict[tuple[str, str], list[tuple[datetime, Decimal]]]:
    """Return the rates that venues say they have charged around the lines' instants."""
    wanted: dict[str, list[VenueLedgerLine]] = defaultdict(list)
    for place, line in lines:
        if line.instrument_id:
            wanted[place.partition("/")[0]].append(line)
    found: dict[tuple[str, str], list[tuple[datetime, Decimal]]] = defaultdict(list)
    for venue, of_venue in sorted(wanted.items()):
        names = sorted({line.instrument_id for line in of_venue})
        since = min(line.booked_at for line in of_venue) - SAME_INSTANT
        until = max(line.booked_at for line in of_venue) + SAME_INSTANT
        try:
            paid = await connections.venues[venue].day.funding(names, since, until)
        except VenueError:
            # What was seen before the instant stands in for what the venue does not say.
            continue
        for one in paid:
            found[venue, one.instrument_id].append((one.paid_at, one.funding_rate))
    return found


def _missing(
    database: Database, judge: _Judge, samples: Sequence[FundingSample]
) -> Iterable[FundingCheck]:
    """Yield checks of perpetuals that others were paid for and these accounts were not."""
    now = database.clock()
    recent = [
        check
        for check in database.funding.latest(_ROWS_SHOWN * 10)
        if check.booked is not None and MISSING_AFTER < now - check.funded_at < APART_MAX
    ]
    for sample in samples:
        venue = sample.place.partition("/")[0]
        instants = sorted(
            {check.funded_at for check in recent if check.place.partition("/")[0] == venue}
        )
        mine = [
            check.funded_at
            for check in recent
            if (check.place, check.instrument_id) == (sample.place, sample.instrument_id)
        ]
        for at in instants[:1]:
            if all(abs(at - known) > SAME_INSTANT for known in mine):
                found = judge.of_silence(sample.place, sample.instrument_id, at)
                if found is not None and found.verdict == "missing":
                    yield found


def _difference(check: FundingCheck) -> Difference:
    item = (check.place, f"{check.instrument_id} {check.funded_at:%Y-%m-%dT%H:%M:%SZ}")
    with localcontext(MONEY_CONTEXT):
        due = (check.due_low + check.due_high) / 2
    booked = check.booked or Decimal(0)
    kind: Any = "missing_there" if check.verdict == "missing" else "funding"
    found = difference(
        FUNDING, kind, item, due, booked,
        detail=(
            f"due {exact(check.due_low, _SHOWN)} to {exact(check.due_high, _SHOWN)} {check.asset}: "
            f"{check.why}"
        ),
    )  # fmt: skip
    evidence = evidence_of(*item, check.asset, check.booked, check.due_low, check.due_high)
    return replace(found, evidence=evidence)


def _row(check: FundingCheck) -> dict[str, str]:
    return {
        "Place": check.place,
        "Instrument": check.instrument_id,
        "At": f"{check.funded_at:%Y-%m-%d %H:%M:%S}",
        "Contracts": exact(check.quantity),
        "Due from": exact(check.due_low, _SHOWN),
        "Due to": exact(check.due_high, _SHOWN),
        "Booked": "" if check.booked is None else exact(check.booked, _SHOWN),
        "Asset": check.asset,
        "Verdict": check.verdict.replace("_", " "),
    }
