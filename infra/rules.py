"""Read house parameters and agreements, refuse what is out of range, and name the rule book.

House parameters are TOML documents named by effective date; agreements come as validated rows. The
limits stand on the types in ``engine/rules.py``; pydantic checks them and the refusal names file,
key, value and limit. Where documents come from is a matter of ``infra/rule_layers.py``.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar, cast

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from engine.calls.terms import cure_terms, escalation_levels
from engine.errors import ParameterError
from engine.policies.ladder_terms import ladder_of
from engine.rules import Agreement, HouseParameters, RuleBook
from engine.times import close_of
from engine.venue_rules import ParameterSet, VenueRules
from infra.calendars import holidays_of
from infra.refusals import refusal

HOUSE: Final = "house"
HOUSE_PARAMETERS: Final = "house_parameters"
DEFAULT_PARAMETERS = Path(__file__).parent.parent / "data_contracts" / "parameters"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseDocument:
    """House parameters as they were written: the text says what each section rests on."""

    file_name: str
    text: str

    def parameters(self) -> HouseParameters:
        """Return the checked parameters; ParameterError if the text is out of range."""
        return parse_house_parameters(self.text, self.file_name)


def read_house_parameters(folder: Path, business_date: date) -> tuple[HouseParameters, str]:
    """Return the parameters in force on ``business_date`` and the text they were read from.

    Raises
    ------
    ParameterError
        If no file is in force on the date, or a key is unknown, absent or out of range.
    """
    candidates = sorted(folder.glob("????-??-??.toml"))
    in_force = [path for path in candidates if date.fromisoformat(path.stem) <= business_date]
    if not in_force:
        raise ParameterError(
            f"no parameters in force on {business_date} in {folder}: "
            f"{len(candidates)} files, named <effective date>.toml"
        )
    path = in_force[-1]
    text = path.read_text(encoding="utf-8")
    return parse_house_parameters(text, path.name), text


def parse_house_parameters(text: str, file_name: str) -> HouseParameters:
    """Return the checked parameters of one TOML text."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{file_name}: no TOML: {error}") from error
    return _checked(HouseParameters, content, file_name)


def agreements_from(rows: pd.DataFrame) -> dict[str, Agreement]:
    """Return the agreement of each netting set from rows of the contract ``agreements``."""
    found: dict[str, Agreement] = {}
    ordered = rows.sort_values(["netting_set_id", "effective_date"])
    for record in ordered.to_dict(orient="records"):
        # An empty cell of an optional term takes the term's default.
        row: dict[str, object] = {
            str(key): value for key, value in record.items() if not pd.isna(value)
        }
        row["effective_date"] = pd.Timestamp(str(row["effective_date"])).date().isoformat()
        netting_set_id = str(row["netting_set_id"])
        found[netting_set_id] = _checked(Agreement, row, f"agreements[{netting_set_id}]")
    for agreement in found.values():
        _require_terms(agreement)
    return found


def _require_terms(agreement: Agreement) -> None:
    """Raise ParameterError for terms that no call could be issued under."""
    escalation_levels(agreement)
    cure_terms(agreement, holidays_of, close_of(agreement.effective_date))


def rule_book(
    house: HouseParameters,
    parameters_text: str,
    agreements: dict[str, Agreement],
    venues: VenueRules | None = None,
) -> RuleBook:
    """Return the rule book, named by the hash of house parameters, agreements and venue sets.

    Raises
    ------
    ParameterError
        If an agreement's ladder does not fit the house's.
    """
    to_json = TypeAdapter(Agreement)
    # Without defaults, so that a term which came later does not rename what was agreed before.
    agreement_rows = [
        to_json.dump_python(agreements[key], mode="json", exclude_defaults=True)
        for key in sorted(agreements)
    ]
    parts = [parameters_text, json.dumps(agreement_rows, sort_keys=True)]
    venues = venues or VenueRules()
    if len(venues):
        parts.append(json.dumps(set_names(venues)))
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    rules = RuleBook(rule_book_hash=digest, house=house, agreements=agreements, venues=venues)
    _require_ladders(rules)
    return rules


def set_names(venues: VenueRules) -> list[list[str]]:
    """Return what names each set: key, effective date, source, evidence and parameters' hash."""
    return [_set_name(one) for one in venues]


def _require_ladders(rules: RuleBook) -> None:
    """Raise ParameterError for an agreement whose ladder does not fit the house's."""
    if rules.house.ladder is not None:
        for agreement in rules.agreements.values():
            ladder_of(rules, agreement)


def _set_name(one: ParameterSet) -> list[str]:
    effective = one.effective_date.isoformat()
    return [*one.key, effective, one.source, one.evidence, one.parameters_hash]


def _checked(kind: type[_T], content: dict[str, object], origin: str) -> _T:
    try:
        # Strict JSON mode: dates are text and tuples are lists, yet no text passes for a number.
        adapter: TypeAdapter[_T] = _adapter(cast(Hashable, kind))
        return adapter.validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise ParameterError(refusal(error, origin), identifier=origin) from error
    except ParameterError as error:
        raise ParameterError(f"{origin}: {error}", identifier=origin) from error


@lru_cache
def _adapter(kind: type[_T]) -> TypeAdapter[_T]:
    # Made anew for each agreement, it takes most of the time in which a loop takes up a close.
    return TypeAdapter(kind)
