"""Which type holds the parameters of which model, and their one canonical text.

The text is what the registry keeps and what the hash names: every field is written out, defaults
too, so that a set means the same after a default has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from engine.errors import ParameterError, StateError
from engine.venue_rules import (
    ACCOUNT_MODE,
    COLLATERAL_RATES,
    AccountMode,
    CollateralRates,
    Evidence,
    ParameterSet,
)
from infra.db.canonical import canonical_json
from infra.refusals import refusal

EVIDENCE: Final[tuple[Evidence, ...]] = (
    "published_example",
    "documented",
    "inferred",
    "unverified",
)


def _tiered() -> Any:
    from engine.margin.tiered import NotionalTiers, OpenInterestScaled, SizeSlope

    rules = NotionalTiers | SizeSlope | OpenInterestScaled
    return Annotated[rules, Field(discriminator="rule")]


def _scenario_grid() -> Any:
    from engine.margin.scenario_grid import ScenarioGridParameters

    return ScenarioGridParameters


def _standard_option() -> Any:
    from engine.margin.standard_option import StandardOptionParameters

    return StandardOptionParameters


def _derive_portfolio() -> Any:
    from engine.margin.derive_parameters import DerivePortfolioRules

    return DerivePortfolioRules


def _derive_standard() -> Any:
    from engine.margin.derive_parameters import DeriveStandardParameters

    return DeriveStandardParameters


def _liquidation() -> Any:
    from engine.reduction.waterfall import LiquidationRules

    return LiquidationRules


def _span() -> Any:
    from engine.margin.span import SpanParameters

    return SpanParameters


def _span_spreads() -> Any:
    from engine.margin.span_spreads import InterCommoditySpreads

    return InterCommoditySpreads


def _contract_symbols() -> Any:
    from engine.contract_symbols import ContractSymbols

    return ContractSymbols


def _house() -> Any:
    from infra.rules import HouseDocument

    return HouseDocument


_TYPES: Final[Mapping[str, Callable[[], Any]]] = {
    ACCOUNT_MODE: lambda: AccountMode,
    COLLATERAL_RATES: lambda: CollateralRates,
    "contract_symbols": _contract_symbols,
    "derive_portfolio": _derive_portfolio,
    "derive_standard": _derive_standard,
    "house_parameters": _house,
    "liquidation": _liquidation,
    "scenario_grid": _scenario_grid,
    "span": _span,
    "span_spreads": _span_spreads,
    "standard_option": _standard_option,
    "tiered": _tiered,
}
MODELS: Final = tuple(sorted(_TYPES))


def parameter_set(
    venue: str,
    model: str,
    scope: str,
    *,
    effective_date: date,
    source: str,
    evidence: Evidence,
    parameters: object,
) -> ParameterSet:
    """Return the set of checked parameters, named by the hash of their canonical text."""
    return ParameterSet(
        venue=venue,
        model=model,
        scope=scope,
        effective_date=effective_date,
        source=source,
        evidence=evidence,
        parameters=parameters,
        parameters_hash=body_hash(model, body_of(model, parameters)),
    )


def parse_parameters(model: str, content: Mapping[str, object], label: str) -> object:
    """Return the parameters that ``content`` states for ``model``.

    Raises
    ------
    ParameterError
        If there is no such model, or a key is unknown, absent or out of range; names ``label``,
        key, value and limit.
    """
    try:
        # Strict JSON mode: tuples are lists, yet no text passes for a number.
        return _adapter(model).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        value = None if first["type"] == "missing" else first["input"]
        raise ParameterError(
            refusal(error, label), identifier=label, value=value, limit=first["msg"]
        ) from error
    except ParameterError as error:
        raise ParameterError(
            f"{label}: {error}", identifier=label, value=error.value, limit=error.limit
        ) from error


def parse_body(model: str, body: str, parameters_hash: str) -> object:
    """Return the parameters of a canonical text, verified against its hash.

    Raises
    ------
    StateError
        If the text is not the one that the hash names.
    """
    found = body_hash(model, body)
    if found != parameters_hash:
        raise StateError(
            f"parameters {parameters_hash[:16]} of model {model} were altered: their text has the "
            f"hash {found[:16]}; restore the database from a copy",
            identifier=parameters_hash,
            value=found,
            limit=parameters_hash,
        )
    return _adapter(model).validate_json(body)


def body_of(model: str, parameters: object) -> str:
    """Return the canonical text of parameters."""
    content: dict[str, object] = _adapter(model).dump_python(parameters, mode="json")
    return canonical_json(content)


def body_hash(model: str, body: str) -> str:
    """Return the hash that names parameters: of the model and the canonical text."""
    return hashlib.sha256(f"{model}\0{body}".encode()).hexdigest()


def evidence_of(word: str, label: str) -> Evidence:
    """Return the evidence grade that ``word`` names, or raise ParameterError."""
    for grade in EVIDENCE:
        if grade == word:
            return grade
    raise ParameterError(
        f"{label}: evidence is {word!r}, limit: one of {', '.join(EVIDENCE)}",
        identifier=label,
        value=word,
        limit=", ".join(EVIDENCE),
    )


@lru_cache(maxsize=64)
def _adapter(model: str) -> TypeAdapter[Any]:
    if model not in _TYPES:
        raise ParameterError(
            f"there is no model {model!r}, limit: one of {', '.join(MODELS)}",
            identifier="model",
            value=model,
            limit=", ".join(MODELS),
        )
    return TypeAdapter(_TYPES[model]())
