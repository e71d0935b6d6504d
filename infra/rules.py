"""Read a rule book from its files and refuse what is out of range.

Parameters are TOML files named by effective date; agreements come as validated rows. The limits
stand on the types in ``engine/rules.py``; pydantic checks them and this module words the refusal
so that it names file, key, value and limit.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import date
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from engine.errors import ParameterError
from engine.rules import Agreement, HouseParameters, RuleBook

DEFAULT_PARAMETERS = Path(__file__).parent.parent / "data_contracts" / "parameters"

_T = TypeVar("_T")


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
    return found


def rule_book(
    house: HouseParameters, parameters_text: str, agreements: dict[str, Agreement]
) -> RuleBook:
    """Return the rule book, named by the hash of parameters and agreements."""
    to_json = TypeAdapter(Agreement)
    # Without defaults, so that a term which came later does not rename what was agreed before.
    agreement_rows = [
        to_json.dump_python(agreements[key], mode="json", exclude_defaults=True)
        for key in sorted(agreements)
    ]
    canonical = json.dumps(agreement_rows, sort_keys=True)
    digest = hashlib.sha256(f"{parameters_text}\0{canonical}".encode()).hexdigest()
    return RuleBook(rule_book_hash=digest, house=house, agreements=agreements)


def _checked(kind: type[_T], content: dict[str, object], origin: str) -> _T:
    try:
        # Strict JSON mode: dates are text and tuples are lists, yet no text passes for a number.
        return TypeAdapter(kind).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise ParameterError(_refusal(error, origin), identifier=origin) from error
    except ParameterError as error:
        raise ParameterError(f"{origin}: {error}", identifier=origin) from error


def _refusal(error: ValidationError, origin: str) -> str:
    lines = []
    for fault in error.errors()[:5]:
        key = ".".join(str(part) for part in fault["loc"])
        value = "" if fault["type"] == "missing" else f", found {fault['input']!r:.60}"
        lines.append(f"{origin}: {key}: {fault['msg']}{value}")
    more = error.error_count() - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
