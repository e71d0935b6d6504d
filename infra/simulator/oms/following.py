"""The desk behind a town: what it tells of the fills of its accounts, right or wrong by plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal

from infra.simulator.oms.reports import Opened, Planted, Report
from infra.simulator.venues.core.accounts import LedgerLine
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.town import VenueTown

_FILLS: Final = frozenset({"trade"})
_UNASKED: Final = frozenset({"liquidation", "adl"})
ENDPOINT: Final = "execution"


class SimulatedOms:
    """Hears of the fills at some places of a town, in the order in which they happened.

    Parameters
    ----------
    town : VenueTown
        Whose books are followed; its plan holds the faults.
    accounts : mapping of str to str
        The desk's name of each place ``<venue>/<account>`` that it trades at.
    knows_liquidations : bool
        Whether it is told of liquidations and deleveraging, which nobody ordered.
    """

    def __init__(
        self, town: VenueTown, accounts: Mapping[str, str], *, knows_liquidations: bool = False
    ) -> None:
        self.town, self.accounts = town, dict(accounts)
        self.planted: list[Planted] = []
        self.told: list[Report] = []
        self._kinds = _FILLS | _UNASKED if knows_liquidations else _FILLS
        self._seen: dict[str, int] = defaultdict(int)
        self._late: list[tuple[float, Report]] = []

    def open_day(self) -> list[Opened]:
        """Return what every account holds now; fills until now are never told."""
        opened = []
        for place, name in sorted(self.accounts.items()):
            venue, account_id = place.split("/")
            book = self.town.venues[venue].book
            account = book.accounts[account_id]
            self._seen[place] = max((line.line_id for line in account.lines), default=0)
            held = account.open_positions()
            opened.append(
                Opened(
                    account=name,
                    as_of=self.town.clock.wall(),
                    quantities=tuple((venue, one.symbol, one.quantity) for one in held),
                )
            )
        return opened

    def hear(self) -> list[Report]:
        """Return what is to be told of the fills since the last time, with faults by the plan."""
        reports = []
        for place, name in sorted(self.accounts.items()):
            for line in self._new_lines(place):
                reports += self._reports_of(place, name, line)
        now = self.town.clock.elapsed()
        reports += [report for due, report in self._late if due <= now]
        self._late = [(due, report) for due, report in self._late if due > now]
        self.told += reports
        return reports

    def correct(self, wrong: Planted) -> Report | None:
        """Return the fact by which the desk puts a planted fault right, None if none can.

        What was missing is told now, what was told wrongly is busted or corrected.
        """
        first = next((one for one in self.told if one.execution_id == wrong.execution_id), None)
        now = self.town.clock.wall()
        if wrong.fault in (FaultKind.EXECUTION_MISSING, FaultKind.EXECUTION_BUSTED_ASTRAY):
            return None
        if first is None:
            return None
        later = replace(
            first, execution_id=f"{first.execution_id}-fix", refers_to=first.execution_id,
            executed_at=now, reported_at=now,
        )  # fmt: skip
        if wrong.fault == FaultKind.EXECUTION_DUPLICATED:
            return replace(later, kind="bust")
        right = abs(wrong.change)
        side: Literal["buy", "sell"] = "buy" if wrong.change > 0 else "sell"
        return replace(later, kind="correction", quantity=right, side=side, symbol=wrong.symbol)

    def _new_lines(self, place: str) -> list[LedgerLine]:
        venue, account_id = place.split("/")
        book = self.town.venues[venue].book
        lines = [
            line
            for line in book.accounts[account_id].lines
            if line.line_id > self._seen[place]
            and line.kind in self._kinds
            and line.asset == book.listing(str(line.details["symbol"])).settlement_asset
        ]
        if lines:
            self._seen[place] = lines[-1].line_id
        return lines

    def _reports_of(self, place: str, name: str, line: LedgerLine) -> list[Report]:
        venue, account_id = place.split("/")
        change = Decimal(str(line.details["quantity"]))
        symbol = str(line.details["symbol"])
        right = Report(
            execution_id=f"{venue}-{line.line_id}", kind="trade", refers_to="", account=name,
            exchange=venue, symbol=symbol, side="buy" if change > 0 else "sell",
            quantity=abs(change), price=Decimal(str(line.details["price"])),
            executed_at=line.at, reported_at=self.town.clock.wall(),
        )  # fmt: skip
        scope = Scope(venue=venue, account=account_id, endpoint=ENDPOINT, channel=symbol)
        for kind in _STRIKES:
            fault = self.town.plan.draw(kind, scope)
            if fault is None:
                continue
            planted = Planted(
                fault=kind, execution_id=right.execution_id, place=place, symbol=symbol,
                change=change,
            )  # fmt: skip
            if kind is FaultKind.EXECUTION_LATE:
                due = self.town.clock.elapsed() + fault.seconds("seconds", 60.0)
                self._late.append((due, right))
                return []
            self.planted.append(planted)
            return self._wrong(kind, right, fault.number("factor", "2"))
        return [right]

    def _wrong(self, kind: FaultKind, right: Report, factor: Decimal) -> list[Report]:
        if kind is FaultKind.EXECUTION_MISSING:
            return []
        if kind is FaultKind.EXECUTION_DUPLICATED:
            twin = f"{right.execution_id}-b"
            self.planted[-1] = replace(self.planted[-1], execution_id=twin)
            return [right, replace(right, execution_id=twin)]
        if kind is FaultKind.EXECUTION_REPEATED:
            return [right, right]
        if kind is FaultKind.EXECUTION_REWRITTEN:
            return [right, replace(right, quantity=right.quantity * factor)]
        if kind is FaultKind.EXECUTION_BUSTED_ASTRAY:
            stray = f"{right.execution_id}-x"
            later = right.executed_at + timedelta(milliseconds=1)
            self.planted[-1] = replace(self.planted[-1], execution_id=stray)
            bust = replace(
                right, execution_id=stray, kind="bust", refers_to=f"{right.execution_id}-gone",
                executed_at=later,
            )  # fmt: skip
            return [right, bust]
        if kind is FaultKind.EXECUTION_WRONG_QUANTITY:
            return [replace(right, quantity=right.quantity * factor)]
        if kind is FaultKind.EXECUTION_WRONG_SIDE:
            return [replace(right, side="sell" if right.side == "buy" else "buy")]
        return [replace(right, symbol=f"{right.symbol}-UNLISTED")]


_STRIKES: Final[Sequence[FaultKind]] = (
    FaultKind.EXECUTION_MISSING,
    FaultKind.EXECUTION_LATE,
    FaultKind.EXECUTION_DUPLICATED,
    FaultKind.EXECUTION_REPEATED,
    FaultKind.EXECUTION_REWRITTEN,
    FaultKind.EXECUTION_BUSTED_ASTRAY,
    FaultKind.EXECUTION_WRONG_QUANTITY,
    FaultKind.EXECUTION_WRONG_SIDE,
    FaultKind.EXECUTION_UNKNOWN_INSTRUMENT,
)
