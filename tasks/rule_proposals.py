"""New rules: imported or proposed by one person, shadowed, put in force by another."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import MissingDataError, ParameterError
from infra.clock import utc_now
from infra.db import Approval, NewSet, Proposal, Wanted
from infra.rule_layers import new_set, take_over_files
from infra.venues.parameters.importing import (
    Imported,
    Listing,
    PayloadFacts,
    import_payload,
)
from infra.venues.parameters.models import evidence_of
from tasks.kinds import KIND
from tasks.principals import principal
from tasks.rule_sides import Side, as_if_activated, document_sets, in_force_on
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from tasks.rule_effects import RuleEffect

_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What is to be imported and what the payload does not say about itself."""

    file: Path
    venue: str
    effective_date: date | None = None
    source: str = ""
    evidence: str = "documented"
    is_complete: bool = False
    unit_notionals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal and what an import had to set aside."""

    proposal: Proposal
    quarantined: tuple[dict[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**proposal_as_json(self.proposal), "quarantined": list(self.quarantined)}


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """A proposal with its shadow run; without a close nothing is held and ``effect`` is None."""

    proposal: Proposal
    effect: RuleEffect | None


def import_rules(order: ImportOrder) -> Proposed:
    """Read a venue's payload and propose what in it differs from what is activated.

    Raises
    ------
    MissingDataError
        If there is no such file.
    ParameterError
        If the payload dates nothing and no effective date is given, or nothing differs.
    ContractViolation
        If it is no payload of the venue, or not a row of it can be used.
    """
    place = _prepared()
    if not order.file.is_file():
        raise MissingDataError(f"there is no file {order.file}", identifier=str(order.file))
    payload = order.file.read_bytes()
    if order.effective_date is None and payload[:4] != _PARQUET:
        raise ParameterError(
            f"{order.file.name} does not say since when it holds: give --effective-date",
            identifier="effective_date",
            limit="YYYY-MM-DD",
        )
    digest = hashlib.sha256(payload).hexdigest()
    facts = PayloadFacts(
        effective_date=order.effective_date or _today(),
        source=order.source or f"{order.venue} payload {order.file.name}, sha256 {digest[:12]}",
        evidence=evidence_of(order.evidence, "--evidence"),
        is_complete=order.is_complete,
        unit_notionals=order.unit_notionals,
    )
    found = import_payload(order.venue, payload, facts)
    rows = tuple(
        {"identifier": row.identifier, "value": row.value, "limit": row.limit, "reason": row.reason}
        for row in found.quarantined
    )
    sets = _new_sets(place, order.venue, found, facts)
    title = f"{order.venue}: {order.file.name}"
    origin = {"file": order.file.name, "sha256": digest, "quarantined": len(rows)}
    return Proposed(_propose(place, title, sets, origin), rows)


def propose_document(file: Path) -> Proposed:
    """Propose what in a parameter document differs from what is activated."""
    place = _prepared()
    sets = document_sets(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    origin = {"file": file.name, "sha256": digest, "quarantined": 0}
    return Proposed(_propose(place, file.name, sets, origin))


def shadow_proposal(proposal_id: str, run_id: str | None = None) -> Shadow:
    """Assess the latest close with and without the proposal, and record what it says.

    Raises
    ------
    MissingDataError
        If there is no such proposal or run.
    StateError
        If the proposal is closed.
    """
    place = _prepared()
    proposal = place.database.proposals.get(proposal_id)
    chosen = run_id or latest_close(place)
    if chosen is None:
        details: dict[str, object] = {"run_id": None, "says": "no close on record: nothing is held"}
        effect = None
    else:
        from tasks.rule_effects import effect_on

        before, after = _before_and_after(place, proposal, chosen)
        effect = effect_on(place, chosen, before, after)
        folder = f"rules/{proposal_id}/{chosen}"
        hashes = {
            name: place.store.write_frame(
                f"{folder}/{name}-{effect.after_hash[:12]}.parquet", frame
            )
            for name, frame in (
                ("netting_sets", effect.netting_sets),
                ("accounts", effect.accounts),
            )
        }
        details = {**effect.summary(), "frames": hashes}
    found = place.database.proposals.shadowed(proposal_id, principal(), details)
    return Shadow(found, effect)


def activate_proposal(proposal_id: str, content_hash: str) -> tuple[Proposal, int]:
    """Put a proposal in force and return it with the number of versions that this added.

    Raises
    ------
    ParameterError
        If it is one's own proposal, or its hash is another one.
    StateError
        If it is closed, or its shadow run is missing or out of date.
    """
    place = _prepared()
    approval = Approval(proposal_id, content_hash, principal(), latest_close(place))
    n_versions = place.database.proposals.activate(approval)
    return place.database.proposals.get(proposal_id), n_versions


def reject_proposal(proposal_id: str, reason: str) -> Proposal:
    """Close a proposal for a reason; whoever proposed it may do so too."""
    if not reason.strip():
        raise ParameterError("a rejection needs a reason", identifier=proposal_id, limit="a text")
    return _prepared().database.proposals.reject(proposal_id, principal(), reason)


def proposals() -> list[Proposal]:
    """Return all proposals, the latest first."""
    return _prepared().database.proposals.list()


def proposal(proposal_id: str) -> Proposal:
    """Return one proposal."""
    return _prepared().database.proposals.get(proposal_id)


def latest_close(place: Workplace) -> str | None:
    """Return the finished close of the latest date."""
    finished = [run for run in place.database.runs.list(limit=1000, kind=KIND) if run.is_finished]
    return finished[0].run_id if finished else None


def proposal_as_json(found: Proposal) -> dict[str, Any]:
    """Return a proposal as JSON values, its sets by name."""
    return {
        "proposal_id": found.proposal_id,
        "content_hash": found.content_hash,
        "state": found.state,
        "title": found.title,
        "proposer": found.proposer,
        "recorded_at": found.recorded_at.isoformat(),
        "origin": dict(found.origin),
        "sets": [
            {
                "venue": one.venue,
                "model": one.model,
                "scope": one.scope,
                "effective_date": one.effective_date.isoformat(),
                "state": one.state,
                "source": one.source,
                "evidence": one.evidence,
                "parameters_hash": one.parameters_hash,
            }
            for one in found.sets
        ],
        "events": [
            {
                "event": event.event,
                "actor": event.actor,
                "recorded_at": event.recorded_at.isoformat(),
                "details": dict(event.details),
            }
            for event in found.events
        ],
    }


def unit_notionals(pairs: Sequence[str]) -> dict[str, float]:
    """Return ``SCOPE=NOTIONAL`` pairs as a mapping.

    Raises
    ------
    ParameterError
        If a pair is none, or its notional is not above 0.
    """
    found: dict[str, float] = {}
    for pair in pairs:
        scope, _, text = pair.rpartition("=")
        try:
            found[scope] = float(text)
        except ValueError:
            found[scope] = 0.0
        if not scope or not 0.0 < found[scope] < float("inf"):
            raise ParameterError(
                f"--unit-notional {pair!r}, limit: SCOPE=NOTIONAL with a notional above 0",
                identifier="unit_notional",
                value=pair,
                limit="SCOPE=NOTIONAL",
            )
    return found


def _prepared() -> Workplace:
    place = workplace()
    place.database.prepare()
    take_over_files(place.database, place.settings.parameters)
    return place


def _propose(
    place: Workplace, title: str, sets: Sequence[NewSet], origin: Mapping[str, object]
) -> Proposal:
    changed = place.database.parameters.changes(sets)
    return place.database.proposals.propose(title, principal(), changed, origin)


def _new_sets(place: Workplace, venue: str, found: Imported, facts: PayloadFacts) -> list[NewSet]:
    gone = list(found.withdrawn)
    for listing in found.listings:
        gone += [
            (listing.model, scope, facts.effective_date)
            for scope in _unlisted(place, venue, listing, facts.effective_date)
        ]
    withdrawn = [
        NewSet(
            venue=venue,
            model=model,
            scope=scope,
            effective_date=day,
            state="withdrawn",
            source=facts.source,
            evidence=facts.evidence,
            parameters_hash=None,
            body=None,
        )
        for model, scope, day in gone
    ]
    return [*(new_set(one) for one in found.sets), *withdrawn]


def _unlisted(place: Workplace, venue: str, listing: Listing, day: date) -> list[str]:
    wanted = Wanted(venue=venue, model=listing.model)
    known = place.database.parameters.in_force(day, wanted=wanted)
    return [
        one.scope
        for one in known
        if one.scope not in listing.scopes
        # A scope for several contracts is nobody's row.
        and not one.scope.endswith("*")
        and re.fullmatch(listing.pattern, one.scope)
    ]


def _before_and_after(place: Workplace, found: Proposal, run_id: str) -> tuple[Side, Side]:
    """Return the rules without and with the proposal, on the day on which all of it is in force."""
    day = place.database.runs.get(run_id).business_date
    after = as_if_activated(place, found.sets, day, found.proposal_id)
    return in_force_on(place, after.on), after


def _today() -> date:
    return utc_now().date()
