"""What a database keeps, part by part; each is loaded when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from infra.db.alerts import Alerts
    from infra.db.audit import Audit
    from infra.db.board import Board
    from infra.db.break_acceptances import BreakAcceptances
    from infra.db.breaks import Breaks
    from infra.db.call_actions import CallActions
    from infra.db.call_ageing import CallAgeing
    from infra.db.calls import Calls
    from infra.db.database import Database
    from infra.db.executions import Executions
    from infra.db.funding import FundingRecords
    from infra.db.intraday_commits import IntradayCommits
    from infra.db.intraday_events import IntradayEvents
    from infra.db.intraday_grants import IntradayGrants
    from infra.db.intraday_journal import IntradayJournal
    from infra.db.ledger import Ledger
    from infra.db.life_signs import LifeSigns
    from infra.db.loop_lease import LoopLeases
    from infra.db.oms_channels import OmsChannels
    from infra.db.parameters import Parameters
    from infra.db.proposals import Proposals
    from infra.db.records import Records
    from infra.db.reductions import Reductions
    from infra.db.requirements import Requirements
    from infra.db.runs import Runs
    from infra.db.transfers import Transfers
    from infra.db.users import Users
    from infra.db.venue_cursors import VenueCursors
    from infra.db.venue_margins import VenueMarginRecords
    from infra.db.web_sessions import WebSessions
    from infra.db.webhooks import Webhooks
    from infra.db.whitelist import Whitelist


class DatabaseParts:
    """The parts of ``Database``."""

    @property
    def _whole(self) -> Database:
        return cast("Database", self)

    @cached_property
    def runs(self) -> Runs:
        """Return runs and their steps."""
        from infra.db.runs import Runs

        return Runs(self._whole)

    @cached_property
    def venue_margins(self) -> VenueMarginRecords:
        """Return margins of venue accounts."""
        from infra.db.venue_margins import VenueMarginRecords

        return VenueMarginRecords(self._whole)

    @cached_property
    def records(self) -> Records:
        """Return snapshots and rule books."""
        from infra.db.records import Records

        return Records(self._whole)

    @cached_property
    def requirements(self) -> Requirements:
        """Return requirements by run."""
        from infra.db.requirements import Requirements

        return Requirements(self._whole)

    @cached_property
    def calls(self) -> Calls:
        """Return margin calls and their events."""
        from infra.db.calls import Calls

        return Calls(self._whole)

    @cached_property
    def call_actions(self) -> CallActions:
        """Return what people and clients do to calls."""
        from infra.db.call_actions import CallActions

        return CallActions(self._whole)

    @cached_property
    def call_ageing(self) -> CallAgeing:
        """Return what time does to calls."""
        from infra.db.call_ageing import CallAgeing

        return CallAgeing(self._whole)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Return messages to subscribers, and those that came in."""
        from infra.db.webhooks import Webhooks

        return Webhooks(self._whole)

    @cached_property
    def intraday_grants(self) -> IntradayGrants:
        """Return what people have said about rungs that wait for one."""
        from infra.db.intraday_grants import IntradayGrants

        return IntradayGrants(self._whole)

    @cached_property
    def ledger(self) -> Ledger:
        """Return the double-entry ledger."""
        from infra.db.ledger import Ledger

        return Ledger(self._whole)

    @cached_property
    def reductions(self) -> Reductions:
        """Return reductions, their orders and events."""
        from infra.db.reductions import Reductions

        return Reductions(self._whole)

    @cached_property
    def transfers(self) -> Transfers:
        """Return transfers and their events."""
        from infra.db.transfers import Transfers

        return Transfers(self._whole)

    @cached_property
    def whitelist(self) -> Whitelist:
        """Return destinations that transfers may go to."""
        from infra.db.whitelist import Whitelist

        return Whitelist(self._whole)

    @cached_property
    def venue_cursors(self) -> VenueCursors:
        """Return how far each venue's own history has been read."""
        from infra.db.venue_cursors import VenueCursors

        return VenueCursors(self._whole)

    @cached_property
    def alerts(self) -> Alerts:
        """Return what people are told, and who has taken it up."""
        from infra.db.alerts import Alerts

        return Alerts(self._whole)

    @cached_property
    def board(self) -> Board:
        """Return how netting sets and the system stand now."""
        from infra.db.board import Board

        return Board(self._whole)

    @cached_property
    def intraday_events(self) -> IntradayEvents:
        """Return the events that the intraday loop emits."""
        from infra.db.intraday_events import IntradayEvents

        return IntradayEvents(self._whole)

    @cached_property
    def intraday_commits(self) -> IntradayCommits:
        """Return the one writer of the intraday loop."""
        from infra.db.intraday_commits import IntradayCommits

        return IntradayCommits(self._whole)

    @cached_property
    def intraday_journal(self) -> IntradayJournal:
        """Return what the intraday loop has recorded, and where a restart takes up."""
        from infra.db.intraday_journal import IntradayJournal

        return IntradayJournal(self._whole)

    @cached_property
    def life_signs(self) -> LifeSigns:
        """Return what has to happen again and again, and when it last did."""
        from infra.db.life_signs import LifeSigns

        return LifeSigns(self._whole)

    @cached_property
    def loop_leases(self) -> LoopLeases:
        """Return who leads the loop."""
        from infra.db.loop_lease import LoopLeases

        return LoopLeases(self._whole)

    @cached_property
    def breaks(self) -> Breaks:
        """Return reconciliation breaks."""
        from infra.db.breaks import Breaks

        return Breaks(self._whole)

    @cached_property
    def break_acceptances(self) -> BreakAcceptances:
        """Return differences that a person has accepted."""
        from infra.db.break_acceptances import BreakAcceptances

        return BreakAcceptances(self._whole)

    @cached_property
    def executions(self) -> Executions:
        """Return what order management has reported."""
        from infra.db.executions import Executions

        return Executions(self._whole)

    @cached_property
    def oms_channels(self) -> OmsChannels:
        """Return how order management is heard."""
        from infra.db.oms_channels import OmsChannels

        return OmsChannels(self._whole)

    @cached_property
    def funding(self) -> FundingRecords:
        """Return funding as seen and as booked."""
        from infra.db.funding import FundingRecords

        return FundingRecords(self._whole)

    @cached_property
    def parameters(self) -> Parameters:
        """Return the registry of parameters."""
        from infra.db.parameters import Parameters

        return Parameters(self._whole)

    @cached_property
    def proposals(self) -> Proposals:
        """Return proposals of new parameters."""
        from infra.db.proposals import Proposals

        return Proposals(self._whole)

    @cached_property
    def users(self) -> Users:
        """Return users of the dashboard and their tokens."""
        from infra.db.users import Users

        return Users(self._whole)

    @cached_property
    def web_sessions(self) -> WebSessions:
        """Return logins and failed logins."""
        from infra.db.web_sessions import WebSessions

        return WebSessions(self._whole)

    @cached_property
    def audit(self) -> Audit:
        """Return the audit chain."""
        from infra.db.audit import Audit

        return Audit(self._whole)
