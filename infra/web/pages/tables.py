"""Columns of the tables of the pages: what is shown, in which unit, and what it is sorted by."""

from __future__ import annotations

from typing import Any, Final

from infra.web.listing import Column
from infra.web.views.book import SetRow
from infra.web.views.health_rows import RANK, HealthRow

SETS: Final[tuple[Column[SetRow], ...]] = (
    Column(key="set", label="Netting set", value=lambda row: row.netting_set_id),
    Column(key="used", label="Used", unit="% of collateral", kind="number",
           value=lambda row: row.margin_ratio),
    Column(key="trail", label="Trail", kind="mark"),
    Column(key="status", label="Status", value=lambda row: row.level or row.status),
    Column(key="excess", label="Excess", unit="currency", kind="number",
           value=lambda row: row.excess),
    Column(key="currency", label="Cur.", value=lambda row: row.currency, help="currency"),
    Column(key="owed", label="Owed", unit="currency", kind="number", value=lambda row: row.owed,
           help="the larger of house and venue margin, as the agreement has it"),
    Column(key="binds", label="Binds", value=lambda row: row.binding or None),
    Column(key="house", label="House margin", unit="currency", kind="number",
           value=lambda row: row.requirement),
    Column(key="venue", label="Venue margin", unit="currency", kind="number",
           value=lambda row: row.venue_margin),
    Column(key="collateral", label="Collateral", unit="currency", kind="number",
           value=lambda row: row.collateral_value, help="after haircuts"),
    Column(key="client", label="Client", value=lambda row: row.client_id),
)  # fmt: skip


def _of(key: str) -> Any:
    return lambda row: row.get(key)


def _exact(key: str) -> Any:
    from decimal import Decimal

    return lambda row: Decimal(row[key])


CALLS: Final[tuple[Column[dict[str, Any]], ...]] = (
    Column(key="due", label="Due", unit="UTC", value=_of("first_due_at")),
    Column(key="state", label="State", value=_of("state")),
    Column(key="set", label="Netting set", value=_of("netting_set_id")),
    Column(key="client", label="Client", value=_of("client_id")),
    Column(key="direction", label="Kind", value=_of("direction")),
    Column(key="currency", label="Currency", value=_of("currency")),
    Column(key="amount", label="Asked", unit="currency", kind="number", value=_exact("amount")),
    Column(key="open", label="Open", unit="currency", kind="number", value=_exact("outstanding")),
    Column(key="moving", label="On its way", unit="currency", kind="number",
           value=_exact("in_flight")),
    Column(key="settled", label="Settled", unit="currency", kind="number", value=_exact("settled")),
)  # fmt: skip

TRANSFERS: Final[tuple[Column[Any], ...]] = (
    Column(key="since", label="Proposed", unit="UTC", value=lambda one: one.recorded_at),
    Column(key="state", label="State", value=lambda one: one.state),
    Column(key="asset", label="Asset", value=lambda one: one.intent.asset),
    Column(key="quantity", label="Quantity", unit="asset", kind="number",
           value=lambda one: one.intent.quantity),
    Column(key="from", label="From", value=lambda one: one.intent.source),
    Column(key="to", label="To", value=lambda one: one.intent.destination),
    Column(key="purpose", label="For", value=lambda one: one.intent.purpose),
    Column(key="proposer", label="Proposed by", value=lambda one: one.proposer),
    Column(key="hash", label="Payload hash", value=lambda one: one.payload_hash),
)  # fmt: skip

REDUCTIONS: Final[tuple[Column[Any], ...]] = (
    Column(key="since", label="Proposed", unit="UTC", value=lambda one: one.recorded_at),
    Column(key="state", label="State", value=lambda one: one.state),
    Column(key="mode", label="Mode", value=lambda one: one.mode),
    Column(key="set", label="Netting set", value=lambda one: one.intent.netting_set_id),
    Column(key="cause", label="Cause", value=lambda one: one.intent.cause),
    Column(key="legs", label="Legs", kind="number", value=lambda one: len(one.intent.legs)),
    Column(key="notional", label="Notional", unit="USD", kind="number",
           value=lambda one: one.notional),
    Column(key="cost", label="Cost", unit="USD", kind="number", value=lambda one: one.cost),
    Column(key="proposer", label="Proposed by", value=lambda one: one.proposer),
    Column(key="note", label="Note"),
)  # fmt: skip

BREAKS: Final[tuple[Column[dict[str, Any]], ...]] = (
    Column(key="age", label="Age", unit="days", kind="number", value=_of("age_days")),
    Column(key="kind", label="Kind", value=_of("kind")),
    Column(key="set", label="Netting set", value=_of("netting_set_id")),
    Column(key="account", label="Account", value=_of("account_id")),
    Column(key="item", label="Item", value=_of("item")),
    Column(key="oms", label="OMS", unit="units", kind="number", value=_of("oms_quantity")),
    Column(key="venue", label="Venue", unit="units", kind="number", value=_of("venue_quantity")),
    Column(key="clearing", label="Clearing", unit="units", kind="number",
           value=_of("clearing_quantity")),
    Column(key="difference", label="Difference", unit="units", kind="number",
           value=_of("difference")),
    Column(key="owner", label="Owner", value=_of("owner")),
)  # fmt: skip

HEALTH: Final[tuple[Column[HealthRow], ...]] = (
    Column(key="state", label="State", value=lambda row: RANK[row.state]),
    Column(key="scope", label="Scope", value=lambda row: row.scope),
    Column(key="name", label="Name", value=lambda row: row.name),
    Column(
        key="since",
        label="Age",
        unit="of the state, or last sign",
        kind="number",
        value=lambda row: row.since,
    ),
    Column(key="reason", label="What is known", value=lambda row: row.reason),
    Column(key="next", label="What to do", value=lambda row: row.next_action or None),
)
