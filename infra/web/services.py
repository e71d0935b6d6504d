"""What the pages need beyond the record, handed in by whoever hosts the application.

The database is read directly. What needs the frames of a run, the engine, a desk with a policy, or
an orchestrator comes from here, so that this package knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from engine.transfers.policy import TransferPolicy
    from infra.messages.webhook_inbound import Sender
    from infra.oms import OmsEndpoint
    from infra.reduction import ReductionDesk
    from infra.transfers import KillSwitch, TransferDesk
    from infra.web.views.signs import DiskRoom, LoopWord


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A what-if: orders and transfers as they are typed, together or each alone."""

    netting_set_id: str
    orders: Sequence[str] = ()
    transfers: Sequence[str] = ()
    each_alone: bool = False
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StressQuestion:
    """A day to live through: one of the library by name, one of the history, or own shocks.

    ``index`` holds relative price moves by asset, ``default`` for the others; ``peg`` those of
    stablecoins; ``volatility`` is a relative move of implied volatility, ``basis`` a change of the
    annual basis.
    """

    library: str = ""
    day: date | None = None
    index: Mapping[str, float] = field(default_factory=dict)
    peg: Mapping[str, float] = field(default_factory=dict)
    volatility: float = 0.0
    basis: float = 0.0


class Services(Protocol):
    """What the host does for the pages. All may raise the errors of ``engine/errors.py``."""

    def explanation(self, netting_set_id: str, run_id: str) -> dict[str, Any]:
        """Return why a netting set owes what it owes, as ``plimsoll explain --json`` does."""

    def what_if(self, question: Question) -> dict[str, Any]:
        """Return what orders and transfers would do, as ``plimsoll whatif --json`` does."""

    def stress_library(self) -> list[dict[str, Any]]:
        """Return the days that can be chosen: name, source, moves."""

    def stress(self, question: StressQuestion) -> dict[str, Any]:
        """Return losses and the calls they would make, by netting set."""

    def usd_rates(self, run_id: str) -> Mapping[str, float]:
        """Return USD per unit of each currency at a run's close, for totals that people read."""

    def value_of(
        self, call: Mapping[str, Any], asset: str, quantity: Decimal, place: str
    ) -> Decimal:
        """Return what collateral is worth for a call, after haircut."""

    def policy(self) -> TransferPolicy:
        """Return the transfer policy in force."""

    def desk(self) -> TransferDesk:
        """Return the transfer desk under the policy in force."""

    def reduction_desk(self) -> ReductionDesk:
        """Return the desk of reductions under the policy in force."""

    def kill_switch(self) -> KillSwitch:
        """Return the switch that stops all that leaves."""

    def transfer_decided(self, key: str, approver: str, state: str) -> str:
        """Let a run go on that waits for the decision; return a sentence about it, or nothing."""

    def run_pages(self) -> str:
        """Return the address of the orchestrator's pages, or nothing."""

    def report(self, run_id: str) -> str | None:
        """Return the report of a run as HTML, None if it has none."""

    def oms_endpoint(self) -> OmsEndpoint | None:
        """Return who sends executions by webhook, None where nobody does."""

    def loop_metrics(self) -> str:
        """Return what the intraday loop measures of itself; nothing while none runs."""

    def loop_word(self) -> LoopWord | None:
        """Return what the loop of this home said of itself last, None where none has ever run."""

    def disk(self) -> DiskRoom | None:
        """Return the room on the disk of this home."""

    def minimum_transfers(self, run_id: str) -> Mapping[str, Decimal]:
        """Return the minimum transfer amount of each netting set's agreement at a run's close."""

    def client_sender(self, client_id: str) -> Sender | None:
        """Return by which secrets a client signs its messages, None if it has none."""
