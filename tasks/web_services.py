"""What the pages need beyond the record: runs, engine, desk, secrets, from this workplace."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import MissingDataError
from tasks.closes import load_basis, usd_rates_of
from tasks.records import run_folder
from tasks.session import served_at
from tasks.stress_days import scenario_of
from tasks.workplace import Workplace

if TYPE_CHECKING:
    from engine.assessment import Assessment
    from engine.attribution import Close
    from engine.market import PreparedMarket
    from engine.portfolio import Portfolio
    from engine.transfers.policy import TransferPolicy
    from infra.clock import Clock
    from infra.messages.webhook_inbound import Sender
    from infra.oms import OmsEndpoint
    from infra.reduction import ReductionDesk
    from infra.transfers import KillSwitch, TransferDesk
    from infra.web.services import Question, StressQuestion
    from infra.web.views.signs import DiskRoom, LoopWord


@dataclass(frozen=True, slots=True, eq=False)
class _Closed:
    """A close as it was computed."""

    close: Close
    assessment: Assessment


@dataclass(frozen=True, slots=True, eq=False)
class _Market:
    """A close made ready for questions."""

    market: PreparedMarket
    book: Portfolio


def loop_word_of(home: Path, clock: Clock) -> LoopWord | None:
    """Return what the loop of a home said of itself last, None where none has ever run."""
    from infra.intraday.status import read_status
    from infra.web.views.signs import LoopWord

    now = clock()
    status = read_status(home, now)
    if status is None:
        return None
    return LoopWord(said_at=now - timedelta(seconds=status.age_seconds), content=status.content)


class HouseServices:
    """What the pages need beyond the record, from this workplace."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._lock = threading.Lock()
        # One close at a time is asked about by nearly everybody: the last one.
        self._closed = lru_cache(maxsize=2)(self._read_closed)
        self._market = lru_cache(maxsize=1)(self._prepare)
        self._rates = lru_cache(maxsize=4)(self._read_rates)

    def explanation(self, netting_set_id: str, run_id: str) -> dict[str, Any]:
        """Return why a netting set owes what it owes."""
        from infra.report import explain_json

        found = self._close(run_id)
        snapshot, rules = found.close.snapshot, found.close.rules
        return {
            "run_id": run_id,
            **explain_json(found.assessment, snapshot, rules, netting_set_id),
        }

    def what_if(self, question: Question) -> dict[str, Any]:
        """Return what orders and transfers would do, and whether they may be taken just now."""
        from engine.whatif import prepare_book
        from tasks.pre_trade import with_leave
        from tasks.whatif import answer_of, answered_as_json, candidates_from

        candidates = candidates_from(
            question.orders, question.transfers, None, each_alone=question.each_alone
        )
        run_id = question.run_id or self._last_run()
        close, ready = self._close(run_id).close, self._ready(run_id)
        held = prepare_book(
            close.snapshot, ready.market, ready.book, close.positions, close.rules,
            question.netting_set_id,
        )  # fmt: skip
        found = answered_as_json(answer_of(run_id, close, held, candidates))
        return with_leave(self._place.database, self.kill_switch(), found, close.rules)

    def stress_library(self) -> list[dict[str, Any]]:
        """Return the house's stress days."""
        try:
            run_id = self._last_run()
        except MissingDataError:
            return []
        days = self._close(run_id).close.rules.house.stress
        return [
            {
                "name": day.name,
                "source": day.source,
                "btc": math.expm1(day.index.get("BTC", day.index.get("default", 0.0))),
                "volatility": math.expm1(day.volatility),
                "basis": day.basis,
                "index": {name: math.expm1(move) for name, move in day.index.items()},
                "peg": {name: math.expm1(move) for name, move in day.peg.items()},
            }
            for day in days
        ]

    def stress(self, question: StressQuestion) -> dict[str, Any]:
        """Return losses and the calls they would make, the largest call first."""
        from engine.whatif import stress_day
        from infra.report.stress_day import stress_day_json

        run_id = self._last_run()
        found, ready = self._close(run_id), self._ready(run_id)
        scenario = scenario_of(question, found.close)
        before = found.assessment.requirements
        after = stress_day(
            found.close, ready.market, ready.book, before, found.assessment.collateral, scenario
        )
        return stress_day_json(run_id, found.close, scenario, after, before, self.usd_rates(run_id))

    def usd_rates(self, run_id: str) -> Mapping[str, float]:
        """Return USD per unit of each currency at a run's close."""
        return self._rates(run_id)

    def value_of(
        self, call: Mapping[str, Any], asset: str, quantity: Decimal, place: str
    ) -> Decimal:
        """Return what collateral is worth for a call."""
        from tasks.call_values import CallValuation

        return CallValuation(self._place, call).value_in(asset, quantity, place)

    def policy(self) -> TransferPolicy:
        """Return the transfer policy in force."""
        return self.desk().policy

    def desk(self) -> TransferDesk:
        """Return the transfer desk."""
        from tasks.transfers import desk_of

        return desk_of(self._place)

    def reduction_desk(self) -> ReductionDesk:
        """Return the desk of reductions."""
        from infra.clock import utc_now
        from infra.reduction import ReductionDesk, reduction_policy_in_force

        settings = self._place.settings
        found = reduction_policy_in_force(utc_now().date(), settings.parameters)
        return ReductionDesk(self._place.database, found.policy, self.kill_switch())

    def kill_switch(self) -> KillSwitch:
        """Return the kill switch of this home."""
        from infra.outbound import KillSwitch

        return KillSwitch(self._place.settings.home_path)

    def transfer_decided(self, key: str, approver: str, state: str) -> str:
        """Resume the paused runs that wait for a transfer; say what became of it."""
        from tasks.approval_runs import resume_waiting

        return resume_waiting(self._place.settings, key, approver, state)

    def run_pages(self) -> str:
        """Return the address of the Prefect pages where `plimsoll serve` answers."""
        found = served_at(self._place.settings)
        return "" if found is None else found.ui_url

    def report(self, run_id: str) -> str | None:
        """Return the report of a run."""
        path = f"{run_folder(run_id)}/report.html"
        return self._place.store.read_text(path) if self._place.store.exists(path) else None

    def oms_endpoint(self) -> OmsEndpoint | None:
        """Return the order management of the connections file."""
        from infra.oms import oms_endpoint

        return oms_endpoint(self._place.settings)

    def loop_metrics(self) -> str:
        """Return what the loop of this home has written of itself, while it lives."""
        from infra.clock import utc_now
        from infra.intraday.status import FOLDER, METRICS, read_status

        home = self._place.settings.home_path
        status = read_status(home, utc_now())
        if status is None or not status.is_alive:
            return ""
        try:
            return (home / FOLDER / METRICS).read_text(encoding="utf-8")
        except OSError:
            return ""

    def loop_word(self) -> LoopWord | None:
        """Return what the loop of this home said of itself last."""
        return loop_word_of(self._place.settings.home_path, self._place.database.clock)

    def disk(self) -> DiskRoom | None:
        """Return the room on the disk of this home."""
        from infra.web.views.signs import disk_room

        return disk_room(self._place.settings.home_path)

    def minimum_transfers(self, run_id: str) -> Mapping[str, Decimal]:
        """Return the minimum transfer amounts of a run's agreements, in their currencies."""
        rules = self._close(run_id).close.rules
        return {
            name: Decimal(str(terms.minimum_transfer_amount))
            for name, terms in rules.agreements.items()
        }

    def client_sender(self, client_id: str) -> Sender | None:
        """Return the secrets that a client signs with, ``WEBHOOK_CLIENT_<NAME>``."""
        from tasks.webhook_secrets import client_sender

        return client_sender(client_id)

    def _last_run(self) -> str:
        from tasks.lookup import chosen_run

        return str(chosen_run(None).run_id)

    def _close(self, run_id: str) -> _Closed:
        # The first who asks reads; the others wait for it instead of reading as well.
        with self._lock:
            return self._closed(run_id)

    def _ready(self, run_id: str) -> _Market:
        close = self._close(run_id).close
        with self._lock:
            return self._market(run_id, close)

    def _read_closed(self, run_id: str) -> _Closed:
        from tasks.assessments import read_assessment

        found = self._place.database.runs.step_result(run_id, "require")
        if found is None:
            run = self._place.database.runs.get(run_id)
            raise MissingDataError(
                f"{run_id} is {run.status} and has no requirements yet", identifier=run_id
            )
        hashes = dict(found.result["hashes"])
        close = load_basis(self._place, run_id).close
        return _Closed(close, read_assessment(self._place.store, run_id, hashes))

    def _prepare(self, run_id: str, close: Close) -> _Market:
        from engine.market import prepare
        from engine.portfolio import portfolio

        market = prepare(close.snapshot, close.rules)
        book = portfolio(market, close.positions, close.collateral, close.rules)
        return _Market(market, book)

    def _read_rates(self, run_id: str) -> dict[str, float]:
        return usd_rates_of(self._close(run_id).close.snapshot)
