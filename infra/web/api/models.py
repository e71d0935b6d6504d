"""Bodies of requests and shapes of answers of ``/v1``: strict, bounded, exact amounts as text."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Reason = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=500, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Amount = Annotated[
    str, StringConstraints(max_length=80, pattern=r"^-?[0-9]{1,60}(\.[0-9]{1,18})?$")
]
Exact = Annotated[str, Field(description="exact decimal", examples=["970000.00"])]
Share = Annotated[float, Field(ge=-0.999, le=100.0, allow_inf_nan=False)]


class Body(BaseModel):
    """A request body: nothing unknown is accepted, no type is guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answer(BaseModel):
    """An answer; further fields may come with later versions."""

    model_config = ConfigDict(extra="allow")


class Fault(BaseModel):
    """Why something was refused."""

    status: int
    title: str = ""
    message: str


class Refusal(BaseModel):
    """The answer to whatever was not done."""

    error: Fault


class NettingSet(Answer):
    """A netting set as it stands. Amounts in ``currency``; null is unknown, never zero."""

    netting_set_id: str
    client_id: str
    currency: str
    requirement: Exact | None
    venue_margin: Exact | None
    owed: Exact | None
    collateral_value: Exact | None
    excess: Exact | None
    margin_ratio: float | None = Field(description="owed over collateral value; null if unbounded")
    binding: str
    level: str
    status: str
    reason: str
    call_action: str
    as_of: datetime
    run_id: str
    snapshot_id: str


class Board(Answer):
    """All netting sets that the caller may see. ``source``: live, stale or close."""

    source: Literal["live", "stale", "close"]
    version: str
    as_of: datetime | None
    run_id: str
    snapshot_id: str
    business_date: str
    rows: list[NettingSet]


class Health(Answer):
    """One thing that figures rest on."""

    scope: str
    name: str
    state: Literal["live", "degraded", "down", "unknown"]
    since: datetime | None
    age_seconds: float | None
    reason: str
    next_action: str


class Call(Answer):
    """A call or return with its amounts, in ``currency``."""

    call_id: str
    netting_set_id: str
    direction: Literal["call", "return"]
    state: str
    amount: Exact
    currency: str
    outstanding: Exact
    agreed: Exact
    disputed: Exact
    in_flight: Exact
    settled: Exact
    due_at: str
    first_due_at: str
    is_late: bool
    n_events: int


class Done(Answer):
    """What an act on a call came to."""

    call_id: str
    event: int
    is_repetition: bool
    state: str
    outstanding: Exact


class Transfer(Answer):
    """A transfer; ``payload_hash`` is what an approver approves."""

    transfer_key: str
    state: str
    purpose: str
    source: str
    destination: str
    asset: str
    quantity: Exact
    payload_hash: str
    proposer: str
    reason: str


class Decided(Transfer):
    """A transfer after a decision, and what became of the run that waited for it."""

    run: str = ""


class Reduction(Answer):
    """A plan that makes a book smaller; ``payload_hash`` is what an approver approves."""

    plan_id: str
    state: str
    mode: str
    netting_set_id: str
    cause: str
    notional: Exact
    cost: Exact
    payload_hash: str
    proposer: str
    reason: str


class WaitingRung(Answer):
    """A rung of the ladder that waits for a person, as it stood when it was entered."""

    netting_set_id: str
    client_id: str
    rung: str
    since: str
    level: str
    utilisation: str
    shortfall: str
    currency: str
    reason: str
    event_id: str


class RungDecision(Answer):
    """What somebody has said about a rung that waited."""

    netting_set_id: str
    rung: str
    decision: Literal["granted", "refused"]
    principal: str
    reason: str
    recorded_at: str
    event_id: str


class WhitelistEntry(Answer):
    """A destination that transfers may go to, from ``active_from`` on."""

    entry_id: str
    destination: str
    asset: str
    network: str
    address: str
    memo: str
    active_from: str | None
    revoked_at: str | None


class KillSwitch(Answer):
    """The switch that stops everything that leaves."""

    is_armed: bool
    actor: str
    reason: str
    since: datetime | None
    disarm_requested_by: str


class Run(Answer):
    """A run of the record."""

    run_id: str
    kind: str
    business_date: date
    sequence: int
    status: str
    started_at: datetime
    finished_at: datetime | None
    snapshot_id: str | None
    summary: dict[str, Any]


class Alert(Answer):
    """Something that people have to hear of."""

    position: int
    name: str
    resource: str
    occurred_at: datetime
    payload: dict[str, str]


class Answered(Body):
    """Why, and the number of the last event that whoever decides has seen."""

    reason: Reason
    seen: int | None = Field(default=None, ge=1)
    key: Name | None = None


class Disputed(Answered):
    """What is contested, and the amount that is agreed to."""

    contested: Name
    agreed: Amount


class Settled(Answered):
    """What has arrived: value in the call's currency, of which pledge, by which transfer."""

    value: Amount
    pledge: int | None = Field(default=None, ge=1)
    is_last: bool = False
    reference: Text = ""


class NewTransfer(Body):
    """A transfer that is proposed; ``quantity`` in units of the asset."""

    purpose: Name
    source: Name
    destination: Name
    asset: Name
    quantity: Amount
    reason: Reason
    leg: int = Field(default=1, ge=1, le=10_000)
    network: Text = ""
    address: Text = ""
    memo: Text = ""
    attempt_group: int = Field(default=1, ge=1, le=10_000)


class Approved(Body):
    """An approval of the payload that was seen."""

    payload_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    reason: Reason


class Because(Body):
    """Why."""

    reason: Reason


class NewEntry(Body):
    """A destination that is proposed."""

    destination: Name
    asset: Name
    network: Text = ""
    address: Text = ""
    memo: Text = ""
    reason: Reason


class Calculation(Body):
    """A calculation and its inputs, as for ``plimsoll compute``."""

    calculation: Name
    inputs: dict[str, Any]


class WhatIf(Body):
    """Orders and transfers as they are typed, together or each alone."""

    netting_set_id: Name
    orders: list[Text] = Field(default=[], max_length=100)
    transfers: list[Text] = Field(default=[], max_length=100)
    each_alone: bool = False
    run_id: Name | None = None


class Stress(Body):
    """A day of the library, a day of the history, or own moves; of these exactly one."""

    library: Text = ""
    day: Annotated[date | None, Field(strict=False)] = None
    index: dict[str, Share] = Field(default={}, max_length=100)
    peg: dict[str, Share] = Field(default={}, max_length=20)
    volatility: Share = 0.0
    basis: Annotated[float, Field(ge=-10.0, le=10.0, allow_inf_nan=False)] = 0.0


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": words}
    for status, words in (
        (401, "no valid token"),
        (403, "role or scope is not enough"),
        (404, "not there, or another client's"),
        (409, "not now: the state has moved on, or does not allow it"),
        (422, "it cannot be answered: the sentence names what and why"),
        (429, "too many requests; see Retry-After"),
        (503, "not available now; see Retry-After"),
    )
}
