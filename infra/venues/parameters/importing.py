"""Read what a venue has published: bytes in, parameter sets out, bad rows set aside.

Nothing is repaired. A row that contradicts the venue's own rule is quarantined with identifier,
value and limit; the set in force before stays in force for it, and the other rows go on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from importlib import import_module
from typing import Any, Final, TypeAlias

from engine.errors import ContractViolation, ParameterError
from engine.venue_rules import Evidence, ParameterSet
from infra.venues.parameters.models import parameter_set, parse_parameters


@dataclass(frozen=True, slots=True)
class PayloadFacts:
    """What the payload does not say about itself.

    Attributes
    ----------
    effective_date : datetime.date
        From when its parameters are in force, where it does not date them itself.
    source : str
        Where it comes from, as people find it again.
    evidence : Evidence
        How well that supports the parameters.
    is_complete : bool
        It lists all that the venue has of its kind: what it leaves out is withdrawn.
    unit_notionals : Mapping
        Notional of one contract or coin by scope, for payloads whose tiers count those.
        [settlement currency]
    """

    effective_date: date
    source: str
    evidence: Evidence = "documented"
    is_complete: bool = False
    unit_notionals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that cannot be taken over."""

    identifier: str
    value: str
    limit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All scopes of one kind that a venue has: a set in force of another one is withdrawn.

    Attributes
    ----------
    model : str
    scopes : frozenset of str
        Those that are listed, quarantined ones too: their sets stay as they were.
    pattern : str
        Regular expression of the scopes that the listing is complete for.
    """

    model: str
    scopes: frozenset[str]
    pattern: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a payload holds.

    Attributes
    ----------
    sets : tuple of ParameterSet
        By effective date, model and scope.
    quarantined : tuple of Quarantined
        Rows that were set aside; their sets are in ``kept``.
    withdrawn : tuple of (model, scope, datetime.date)
        Sets that the venue lists no more from that date on.
    listings : tuple of Listing
        Of a payload that is complete.
    """

    sets: tuple[ParameterSet, ...]
    quarantined: tuple[Quarantined, ...] = ()
    withdrawn: tuple[tuple[str, str, date], ...] = ()
    listings: tuple[Listing, ...] = ()


class BadRow(ValueError):
    """A row of a payload contradicts the venue's rule; never leaves an importer."""

    def __init__(self, identifier: str, value: object, limit: str, reason: str) -> None:
        super().__init__(reason)
        self.row = Quarantined(identifier, str(value)[:120], limit, reason)


Importer: TypeAlias = Callable[[bytes, PayloadFacts], Imported]

# By venue, what its module can read. A payload is recognised by its own form.
_VENUES: Final = ("binance", "bybit", "deribit", "dydx", "hyperliquid", "okx")


def import_payload(venue: str, payload: bytes, facts: PayloadFacts) -> Imported:
    """Return the parameter sets of a venue's payload.

    Raises
    ------
    ParameterError
        If there is no importer of the venue.
    ContractViolation
        If the payload is none of the venue's known forms, or not a single row can be used.
    """
    if venue not in _VENUES:
        raise ParameterError(
            f"no payload of {venue!r} can be imported, limit: one of {', '.join(_VENUES)}; write "
            "its parameters as a document and use `plimsoll rules propose`",
            identifier="venue",
            value=venue,
            limit=", ".join(_VENUES),
        )
    module = import_module(f"infra.venues.parameters.{venue}")
    importer: Importer = module.import_payload
    found = importer(payload, facts)
    if not found.sets and not found.withdrawn:
        n_bad = len(found.quarantined)
        first = found.quarantined[0].reason if n_bad else "it lists nothing"
        raise ContractViolation(
            f"{facts.source}: no row can be used, {n_bad} are quarantined: {first}",
            identifier=venue,
        )
    return found


def read_json(payload: bytes, venue: str) -> Any:
    """Return the JSON of a payload, or raise ContractViolation."""
    try:
        return json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, UnicodeDecodeError) as error:
        raise ContractViolation(
            f"payload of {venue} is no JSON: {error}", identifier=venue
        ) from error


def unknown_form(venue: str, known: Iterable[str]) -> ContractViolation:
    """Return the error of a payload that is none of the venue's known forms."""
    return ContractViolation(
        f"this is no payload of {venue} that is known, limit: {'; '.join(known)}",
        identifier=venue,
        limit="; ".join(known),
    )


def number(row: Mapping[str, Any], key: str, identifier: str) -> float:
    """Return a number that the venue writes as number or text; BadRow if it is none."""
    value = row.get(key)
    reason = f"{identifier}: {key} is {value!r}, limit: a finite number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadRow(identifier, value, "a finite number", reason)
    try:
        found = float(value)
    except ValueError:
        raise BadRow(identifier, value, "a finite number", reason) from None
    if not math.isfinite(found):
        raise BadRow(identifier, value, "a finite number", reason)
    return found


def text(row: Mapping[str, Any], key: str, label: str) -> str:
    """Return a text that is not empty; BadRow if there is none."""
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise BadRow(label, value, "a text", f"{label}: {key} is {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Row:
    """One row that becomes a set: its scope, and what makes its parameters from it."""

    scope: str
    make: Callable[[], Mapping[str, object]]
    effective_date: date | None = None


def imported_rows(
    venue: str, model: str, rows: Iterable[Row], facts: PayloadFacts, pattern: str = ".*"
) -> Imported:
    """Return the sets that ``rows`` make; rows that cannot make one are quarantined.

    ``pattern`` says which scopes of the venue's model a complete payload lists.
    """
    sets: list[ParameterSet] = []
    quarantined: list[Quarantined] = []
    listed: set[str] = set()
    for row in rows:
        listed.add(row.scope)
        label = f"{venue}/{model}/{row.scope}"
        try:
            parameters = parse_parameters(model, row.make(), label)
        except BadRow as error:
            quarantined.append(error.row)
            continue
        except ParameterError as error:
            limit = error.limit or "see reason"
            quarantined.append(Quarantined(label, str(error.value)[:120], limit, str(error)))
            continue
        one = parameter_set(
            venue,
            model,
            row.scope,
            effective_date=row.effective_date or facts.effective_date,
            source=facts.source,
            evidence=facts.evidence,
            parameters=parameters,
        )
        sets.append(one)
    contradictory = _contradictory(sets)
    quarantined += [_contradiction(one) for one in sets if _identity(one) in contradictory]
    sets = [one for one in sets if _identity(one) not in contradictory]
    listing = Listing(model, frozenset(listed), pattern)
    return Imported(
        sets=tuple(_once(sets)),
        quarantined=tuple(quarantined),
        listings=(listing,) if facts.is_complete else (),
    )


def at_best_inferred(facts: PayloadFacts) -> PayloadFacts:
    """Return ``facts`` with the evidence of a reading that goes beyond what the venue states."""
    beyond: Evidence = "inferred" if facts.evidence != "unverified" else "unverified"
    return replace(facts, evidence=beyond)


def _identity(one: ParameterSet) -> tuple[str, date]:
    return one.scope, one.effective_date


def _once(sets: Iterable[ParameterSet]) -> list[ParameterSet]:
    # Rows that say the same twice are one.
    by_identity = {_identity(one): one for one in sets}
    return sorted(by_identity.values(), key=lambda one: (one.effective_date, one.key))


def _contradictory(sets: Iterable[ParameterSet]) -> set[tuple[str, date]]:
    """Return what is listed more than once with different parameters: none of them is believed."""
    hashes: dict[tuple[str, date], set[str]] = {}
    for one in sets:
        hashes.setdefault(_identity(one), set()).add(one.parameters_hash)
    return {identity for identity, found in hashes.items() if len(found) > 1}


def _contradiction(one: ParameterSet) -> Quarantined:
    reason = f"{one.label} is listed more than once with different parameters, limit: once"
    return Quarantined(one.label, one.parameters_hash[:16], "listed once", reason)


def exact_complement(rate: str | float) -> float:
    """Return ``1 - rate`` without the noise of binary fractions: a rate of 0.85 cuts 0.15."""
    return float(Decimal(1) - Decimal(str(rate)))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
