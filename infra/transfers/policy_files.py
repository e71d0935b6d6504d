"""Read the transfer policy in force, refuse what is out of range, and name it by its hash."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from engine.errors import ParameterError
from engine.transfers.policy import TransferPolicy
from infra.refusals import refusal
from infra.rules import DEFAULT_PARAMETERS

FOLDER: Final = "transfers"
_AMOUNTS: Final = frozenset(
    {"transfer_max", "fee_max", "above", "day_max", "rolling_max", "use_cost", "kept_share"}
)


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy and the hash of the text that it was read from."""

    policy: TransferPolicy
    policy_hash: str
    origin: str


def policy_in_force(on: date, own_parameters: Path | None = None) -> PolicyInForce:
    """Return the policy in force on a date: one's own where there is one, else the shipped one.

    Raises
    ------
    ParameterError
        If no file is in force on the date, or a key is unknown, absent or out of range.
    """
    for folder in (own_parameters, DEFAULT_PARAMETERS):
        if folder is None:
            continue
        paths = sorted((folder / FOLDER).glob("????-??-??.toml"))
        in_force = [path for path in paths if path.stem <= on.isoformat()]
        if in_force:
            return read_policy(in_force[-1])
    raise ParameterError(
        f"no transfer policy is in force on {on}: it is {FOLDER}/<effective date>.toml in the "
        "folder of PLIMSOLL_PARAMETERS",
        identifier="transfers",
        value=on,
    )


def read_policy(path: Path) -> PolicyInForce:
    """Return the policy of one TOML file."""
    text = path.read_text(encoding="utf-8")
    try:
        content = tomllib.loads(text)
        _require_texts(content, path.name)
        # Strict JSON mode: dates and amounts are text, yet no text passes for a number.
        policy = TypeAdapter(TransferPolicy).validate_json(json.dumps(content, default=str))
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{path.name}: no TOML: {error}") from error
    except ValidationError as error:
        raise ParameterError(refusal(error, path.name), identifier=path.name) from error
    except ParameterError as error:
        raise ParameterError(f"{path.name}: {error}", identifier=path.name) from error
    if policy.effective_date.isoformat() != path.stem:
        raise ParameterError(
            f"{path.name}: effective_date {policy.effective_date}, limit: {path.stem}, the name "
            "of the file",
            identifier=path.name,
        )
    return PolicyInForce(policy, hashlib.sha256(text.encode()).hexdigest(), str(path))


def _require_texts(content: Any, label: str) -> None:
    """Raise ParameterError if an amount is a number of TOML, which has been a float already."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in _AMOUNTS and not isinstance(value, str):
                raise ParameterError(
                    f'{key} is {value!r}, limit: a text such as "2.5", which stays exact',
                    identifier=f"{label}: {key}",
                    value=value,
                )
            _require_texts(value, label)
    elif isinstance(content, list):
        for value in content:
            _require_texts(value, label)
