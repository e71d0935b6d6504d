"""The rules as people and programs read them: what is in force, what changed, what it demands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MissingDataError, ParameterError
from engine.venue_rules import ParameterSet
from infra.clock import utc_now
from infra.db import KnownSet, Wanted
from infra.rule_changes import RuleChange, flattened, rule_changes
from infra.rule_layers import parameter_set_of, take_over_files
from tasks.orders import last_closed
from tasks.rule_proposals import Shadow, latest_close, proposal_as_json
from tasks.rule_sides import Side, in_force_on, sides
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from engine.margin.tiered import NotionalTiers
    from tasks.rule_effects import RuleEffect

TIERED: Final = "tiered"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which sets are asked for; an empty field takes all."""

    venue: str | None = None
    model: str | None = None
    scope: str | None = None
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RuleDiff:
    """What differs between two states of the rules, and what that does to a held book."""

    before: Side
    after: Side
    changes: tuple[RuleChange, ...]
    effect: RuleEffect | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found: dict[str, Any] = {
            "before": self.before.label,
            "after": self.after.label,
            "changes": [change.as_json() for change in self.changes],
        }
        return found if self.effect is None else {**found, "effect": effect_as_json(self.effect)}


@dataclass(frozen=True, slots=True)
class MarginRow:
    """Maintenance margin of one symbol at one notional, by date; None where it is not listed."""

    scope: str
    maintenance_margins: tuple[float | None, ...]
    """[settlement currency]"""
    leverages: tuple[float | None, ...]
    """Largest leverage at the notional."""


def rules_shown(
    asked: Asked, on: date | None = None, *, with_history: bool = False
) -> list[dict[str, Any]]:
    """Return the sets in force on a date, or every version, with their parameters by path.

    Raises
    ------
    MissingDataError
        If nothing of that name is known.
    """
    place = _prepared()
    wanted = Wanted(venue=asked.venue, model=asked.model, scope=asked.scope)
    registry = place.database.parameters
    day = on or last_closed(utc_now())
    known = (
        registry.versions(wanted, asked.known_at)
        if with_history
        else registry.in_force(day, asked.known_at, wanted)
    )
    if not known:
        named = "/".join(one or "*" for one in (asked.venue, asked.model, asked.scope))
        raise MissingDataError(
            f"no parameters {named} are in force on {day}: `plimsoll rules show --history` lists "
            "every version",
            identifier=named,
        )
    return [_shown(one) for one in known]


def rules_compared(
    first: str, second: str, asked: Asked, *, run_id: str | None = None, with_book: bool = False
) -> RuleDiff:
    """Return what differs between two states of the rules; see ``tasks.rule_sides.sides``.

    ``with_book`` also assesses a close under both, ``run_id`` or else the latest.

    Raises
    ------
    MissingDataError
        If there is no close to assess.
    """
    place = workplace()
    before, after = sides(place, first, second, asked.known_at)
    narrow = (asked.venue, asked.model, asked.scope)
    changes = rule_changes(before.of(*narrow), after.of(*narrow))
    effect = None
    if with_book:
        chosen = run_id or latest_close(place)
        if chosen is None:
            raise MissingDataError("no finished close is recorded: start with `plimsoll demo`")
        # The engine takes most of a second to load; a look at the rules does without it.
        from tasks.rule_effects import effect_on

        old, new = _book_sides(place, (before, after), asked, chosen)
        effect = effect_on(place, chosen, old, new)
    return RuleDiff(before, after, tuple(changes), effect)


def margins_by_date(
    venue: str, dates: Sequence[date], notional: float, known_at: datetime | None = None
) -> list[MarginRow]:
    """Return maintenance margin of a position of ``notional`` in every symbol on each date.

    Symbols are those with brackets by notional on one of the dates. Notional and margin are in the
    symbol's settlement currency.

    Raises
    ------
    ParameterError
        If no date is given or the notional is not above 0.
    MissingDataError
        If the venue has no brackets on any of the dates.
    """
    if not dates or not notional > 0.0:
        raise ParameterError(
            f"{len(dates)} dates and a notional of {notional}, limit: at least one date, above 0",
            identifier="notional",
            value=notional,
            limit="> 0",
        )
    place = _prepared()
    by_date = [_bracketed(in_force_on(place, day, known_at), venue) for day in dates]
    scopes = sorted({scope for found in by_date for scope in found})
    if not scopes:
        raise MissingDataError(
            f"{venue} has no brackets in force on {', '.join(str(day) for day in dates)}: import "
            f"them with `plimsoll rules import FILE --venue {venue}`",
            identifier=venue,
        )
    columns = [_margins(found, scopes, notional) for found in by_date]
    leverages = [_leverages(found, scopes, notional) for found in by_date]
    return [
        MarginRow(
            scope,
            tuple(column[row] for column in columns),
            tuple(column[row] for column in leverages),
        )
        for row, scope in enumerate(scopes)
    ]


def margins_as_json(
    rows: Sequence[MarginRow], dates: Sequence[date], notional: float
) -> dict[str, Any]:
    """Return the margins by symbol and date."""
    return {
        "notional": notional,
        "dates": [day.isoformat() for day in dates],
        "symbols": [
            {
                "scope": row.scope,
                "maintenance_margins": list(row.maintenance_margins),
                "leverages": list(row.leverages),
            }
            for row in rows
        ],
    }


def shadow_as_json(found: Shadow) -> dict[str, Any]:
    """Return a proposal with the effect of its shadow run."""
    effect = None if found.effect is None else effect_as_json(found.effect)
    return {**proposal_as_json(found.proposal), "effect": effect}


def effect_as_json(effect: RuleEffect) -> dict[str, Any]:
    """Return totals, clients and everything that changed."""
    sets, accounts = effect.netting_sets, effect.accounts
    return {
        **effect.summary(),
        "clients": _records(effect.clients),
        "netting_sets_changed_rows": _records(sets[sets["is_changed"]]),
        "accounts_changed_rows": _records(accounts[accounts["is_changed"]]),
    }


def _shown(one: KnownSet) -> dict[str, Any]:
    has_body = one.parameters_hash is not None and one.body is not None
    parameters = flattened(parameter_set_of(one, one.body or "").parameters) if has_body else {}
    return {
        "venue": one.venue,
        "model": one.model,
        "scope": one.scope,
        "state": one.state,
        "effective_date": one.effective_date.isoformat(),
        "recorded_at": one.recorded_at.isoformat(),
        "layer": one.origin,
        "reference": one.reference,
        "source": one.source,
        "evidence": one.evidence,
        "parameters_hash": one.parameters_hash,
        "parameters": parameters,
    }


def _book_sides(place: Workplace, diff: tuple[Side, Side], asked: Asked, run_id: str) -> list[Side]:
    """Return the rules to assess a close by: what is asked about from either side, else all.

    What is not asked about is as it is in force on the date of the close.
    """
    narrow = (asked.venue, asked.model, asked.scope)
    if narrow == (None, None, None):
        return list(diff)
    on = place.database.runs.get(run_id).business_date
    standing = in_force_on(place, on)
    matching = {one.key for side in (*diff, standing) for one in side.of(*narrow)}
    rest = [one for one in standing.sets if one.key not in matching]
    return [Side(side.label, (*rest, *side.of(*narrow)), on) for side in diff]


def _bracketed(side: Side, venue: str) -> dict[str, ParameterSet]:
    from engine.margin.tiered import NotionalTiers

    found = side.of(venue, TIERED, None)
    return {one.scope: one for one in found if isinstance(one.parameters, NotionalTiers)}


def _margins(
    found: dict[str, ParameterSet], scopes: Sequence[str], notional: float
) -> list[float | None]:
    import numpy as np

    from engine.margin.tier_table import TieredPositions, tier_table, tiered_margins

    listed = [scope for scope in scopes if scope in found]
    table = tier_table([_tiers(found[scope]) for scope in listed])
    n = len(listed)
    positions = TieredPositions(
        symbol=np.arange(n),
        quantity=np.full(n, notional),
        mark_price=np.ones(n),
        contract_multiplier=np.ones(n),
        is_inverse=np.zeros(n, dtype=np.bool_),
        leverage=np.full(n, np.nan),
        open_interest=np.full(n, np.nan),
    )
    amounts = tiered_margins(positions, table).maintenance_margin if n else np.empty(0)
    by_scope = dict(zip(listed, amounts.tolist(), strict=True))
    return [by_scope.get(scope) for scope in scopes]


def _leverages(
    found: dict[str, ParameterSet], scopes: Sequence[str], notional: float
) -> list[float | None]:
    return [
        None
        if scope not in found
        else [
            tier.leverage_max
            for tier in _tiers(found[scope]).tiers
            if tier.notional_floor < notional
        ][-1]
        for scope in scopes
    ]


def _tiers(one: ParameterSet) -> NotionalTiers:
    from engine.margin.tiered import NotionalTiers

    if not isinstance(one.parameters, NotionalTiers):
        raise ParameterError(f"{one.label} holds no tiers by notional", identifier=one.label)
    return one.parameters


def _prepared() -> Workplace:
    place = workplace()
    place.database.prepare()
    take_over_files(place.database, place.settings.parameters)
    return place


def _records(frame: Any) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]
