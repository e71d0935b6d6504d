"""A state of the rules that a person names: a date, a rule book, a proposal or a file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from engine.errors import MissingDataError, ParameterError
from engine.venue_rules import ParameterSet
from infra.clock import utc_now
from infra.db import NewSet
from infra.rule_layers import (
    house_set,
    new_set,
    parameter_sets,
    take_over_files,
    venue_rules_of,
)
from infra.rules import HOUSE, HOUSE_PARAMETERS, HouseDocument
from infra.venues.parameters.documents import venue_sets
from infra.venues.parameters.models import parameter_set
from tasks.rule_books import content_parts
from tasks.workplace import Workplace

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_HASH: Final = re.compile(r"[0-9a-f]{8,64}")
_PROPOSAL: Final = re.compile(r"rules-\d{4,}")


@dataclass(frozen=True, slots=True)
class Side:
    """One state of the rules: all sets in force in it, the house's among them."""

    label: str
    sets: tuple[ParameterSet, ...]
    on: date

    def of(self, venue: str | None, model: str | None, scope: str | None) -> list[ParameterSet]:
        """Return the sets that match what is given."""
        return [
            one
            for one in self.sets
            if (venue is None or one.venue == venue)
            and (model is None or one.model == model)
            and (scope is None or one.scope == scope)
        ]


def sides(
    place: Workplace, first: str, second: str, known_at: datetime | None
) -> tuple[Side, Side]:
    """Return two states of the rules.

    A date means the rules in force on it; the beginning of a rule book's hash the rules of a run;
    a proposal or a parameter file the rules as if it were activated, on its latest effective date
    or the date that it is compared with, whichever is later.
    """
    place.database.prepare()
    take_over_files(place.database, place.settings.parameters)
    dates = [date.fromisoformat(one) for one in (first, second) if _DATE.fullmatch(one)]
    other = dates[0] if dates else utc_now().date() - timedelta(days=1)
    return _side(place, first, other, known_at), _side(place, second, other, known_at)


def document_sets(path: Path) -> list[NewSet]:
    """Return the sets of a parameter document, the house's or a venue's, as the registry has them.

    Raises
    ------
    MissingDataError
        If there is no such file.
    ParameterError
        If it is no parameter document.
    """
    if not path.is_file():
        raise MissingDataError(f"there is no file {path}", identifier=str(path))
    try:
        text = path.read_text(encoding="utf-8")
        is_venue = "venue" in tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError(f"{path}: no TOML: {error}", identifier=str(path)) from error
    found = venue_sets(text, path.name) if is_venue else [house_set(text, path.name)]
    return [new_set(one) for one in found]


def as_if_activated(place: Workplace, sets: Sequence[NewSet], on: date, label: str) -> Side:
    """Return the rules in force on ``on``, or on the latest effective date, with ``sets``."""
    day = max([on, *(one.effective_date for one in sets)])
    known = place.database.parameters.in_force_if(sets, day)
    return Side(label, tuple(parameter_sets(known)), day)


def in_force_on(place: Workplace, day: date, known_at: datetime | None = None) -> Side:
    """Return the rules in force on ``day`` as the registry knew them."""
    known = place.database.parameters.in_force(day, known_at)
    return Side(day.isoformat(), tuple(parameter_sets(known)), day)


def _side(place: Workplace, name: str, other: date, known_at: datetime | None) -> Side:
    if _DATE.fullmatch(name):
        return in_force_on(place, date.fromisoformat(name), known_at)
    if _PROPOSAL.fullmatch(name):
        proposal = place.database.proposals.get(name)
        return as_if_activated(place, proposal.sets, other, name)
    if _HASH.fullmatch(name):
        return _of_rule_book(place, name)
    path = Path(name)
    if path.suffix == ".toml":
        return as_if_activated(place, document_sets(path), other, path.name)
    raise ParameterError(
        f"{name!r} names no rules, limit: a date YYYY-MM-DD, a rule book's hash (at least 8 "
        "characters), a proposal rules-NNNN or a parameter file .toml",
        identifier=name,
        value=name,
    )


def _of_rule_book(place: Workplace, beginning: str) -> Side:
    known = place.database.records.rule_book_named(beginning)
    document, names = content_parts(known.content)
    bodies = place.database.parameters.bodies([name[-1] for name in names])
    sets = [_house(document), *venue_rules_of(names, bodies)]
    return Side(f"rule book {known.rule_book_hash[:12]}", tuple(sets), known.effective_date)


def _house(document: HouseDocument) -> ParameterSet:
    house = document.parameters()
    return parameter_set(
        HOUSE,
        HOUSE_PARAMETERS,
        "*",
        effective_date=house.effective_date,
        source=house.source,
        evidence="documented",
        parameters=document,
    )
