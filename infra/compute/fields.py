"""Vocabulary of request fields: types, limits, and what excludes or needs what.

A request is refused in one of two ways. ``ContractViolation``: it is not shaped as declared (field
missing or unknown, wrong JSON type, fields that exclude each other). ``ModelInputError``: it is,
but a value is unusable. The first wins over the second wherever both apply, so every fault of a
request is collected before one is reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Final, TypeAlias, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from engine.errors import ContractViolation, ModelInputError

CONTRACT_FAULT: Final = "contract"
VALUE_FAULT: Final = "value"
FAULTS_SHOWN_MAX: Final = 3

# Faults of value; any other that pydantic reports is one of shape.
_VALUE_FAULTS: Final = frozenset(
    {
        VALUE_FAULT,
        "finite_number",
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "too_short",
        "literal_error",
    }
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class JsonType:
    """Name of a field's type in the description of a calculation."""

    name: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Text of a limit that a validator holds, in the description of a calculation."""

    text: str


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise contract_fault("Input should be a valid whole number")
    if not math.isfinite(value):
        raise PydanticCustomError(VALUE_FAULT, "Input should be a finite number")
    if value != int(value):
        raise PydanticCustomError(VALUE_FAULT, "Input should be a whole number")
    return int(value)


def _not_zero(value: float) -> float:
    if value == 0.0:
        raise PydanticCustomError(VALUE_FAULT, "Input should not be 0")
    return value


def _date(value: object) -> object:
    if not isinstance(value, str):
        raise contract_fault("Input should be a valid date")
    try:
        # fromisoformat() alone also takes week dates and dates without hyphens.
        found = date.fromisoformat(value) if _DATE.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None:
        raise PydanticCustomError(VALUE_FAULT, "Input should be a date like 2026-02-15")
    return found


def _instant(value: object) -> object:
    if not isinstance(value, str):
        raise contract_fault("Input should be a valid instant")
    try:
        # Without an offset an instant would be read in some machine's time zone.
        is_instant = _INSTANT.fullmatch(value)
        found = datetime.fromisoformat(value).astimezone(UTC) if is_instant else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise PydanticCustomError(
            VALUE_FAULT, "Input should be an instant with offset like 2026-02-15T08:00:00Z"
        )
    return found


def contract_fault(text: str) -> PydanticCustomError:
    """Return a fault of shape for validators to raise."""
    return PydanticCustomError(CONTRACT_FAULT, "{text}", {"text": text})


Number: TypeAlias = Annotated[float, Strict(), AllowInfNan(False), JsonType("number")]
NonZero: TypeAlias = Annotated[Number, AfterValidator(_not_zero), Limit("not 0")]
Positive: TypeAlias = Annotated[Number, Gt(0.0)]
NonNegative: TypeAlias = Annotated[Number, Ge(0.0)]
Fraction: TypeAlias = Annotated[Number, Ge(0.0), Le(1.0)]
PositiveFraction: TypeAlias = Annotated[Number, Gt(0.0), Le(1.0)]
FeeFraction: TypeAlias = Annotated[Number, Ge(0.0), Lt(1.0)]
OpenFraction: TypeAlias = Annotated[Number, Gt(0.0), Lt(1.0)]
Whole: TypeAlias = Annotated[int, BeforeValidator(_whole), JsonType("whole number")]
Count: TypeAlias = Annotated[Whole, Ge(0)]
PositiveCount: TypeAlias = Annotated[Whole, Ge(1)]
Flag: TypeAlias = Annotated[bool, Strict(), JsonType("flag")]
Text: TypeAlias = Annotated[str, Strict(), JsonType("text")]
Date: TypeAlias = Annotated[date, BeforeValidator(_date), JsonType("date")]
Instant: TypeAlias = Annotated[datetime, BeforeValidator(_instant), JsonType("instant")]
"""Instant in UTC."""

_Item = TypeVar("_Item")
NotEmpty: TypeAlias = Annotated[tuple[_Item, ...], MinLen(1)]


Body: TypeAlias = dict[str, object]
"""Fields that are given and not null, before they are checked."""


class Inputs(BaseModel):
    """Base of all request bodies: unknown fields are refused, ``null`` counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Raise for fields that exclude or need each other; drop those that do not matter.

        It sees unchecked values and must not rely on their types.
        """

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        given = {name: value for name, value in body.items() if value is not None}
        # An unknown field is refused whatever its value.
        unknown = {name: None for name in body if name not in cls.model_fields}
        cls.prepare(given)
        return {**unknown, **given}


def require(given: Body, *names: str, by: str) -> None:
    """Raise a fault of shape if one of ``names`` is absent that ``by`` needs."""
    for name in names:
        if name not in given:
            raise contract_fault(f"Field missing: {name}, needed by {by}")


def require_one_of(given: Body, *groups: tuple[str, ...]) -> None:
    """Raise a fault of shape unless exactly one group of fields is given, and given whole."""
    found = [group for group in groups if any(name in given for name in group)]
    names = " or ".join(" and ".join(group) for group in groups)
    if not found:
        raise contract_fault(f"Field missing: {names}")
    if len(found) > 1:
        raise contract_fault(f"Fields exclude each other: {names}")
    require(given, *found[0], by="the other")


def drop(given: Body, *names: str) -> None:
    """Forget fields that the request does not use: they are ignored, whatever they hold."""
    for name in names:
        given.pop(name, None)


@dataclass(frozen=True, slots=True)
class Uses:
    """Fields that one word of a word field needs, and those that it may have besides."""

    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


def keep_fields_of(given: Body, word_field: str, uses: Mapping[str, Uses]) -> None:
    """Require what the word of ``word_field`` needs and drop what only other words use."""
    word = given.get(word_field)
    if not isinstance(word, str) or word not in uses:
        return
    own = uses[word]
    for other in uses.values():
        for name in (*other.needed, *other.optional):
            if name not in own.needed and name not in own.optional:
                drop(given, name)
    require(given, *own.needed, by=f"{word_field} {word!r}")


_Model = TypeVar("_Model", bound=Inputs)


def parse_inputs(model: type[_Model], body: object) -> _Model:
    """Return ``body`` as checked inputs of a calculation.

    Raises
    ------
    ContractViolation
        If it is not shaped as ``model`` declares.
    ModelInputError
        If it is, but a value is unusable.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    of_shape = [fault for fault in faults if not _is_of_value(fault)]
    text = "; ".join(_texts(of_shape or faults))
    if of_shape:
        raise ContractViolation(text)
    raise ModelInputError(text)


def _is_of_value(fault: ErrorDetails) -> bool:
    if fault["type"] == "literal_error":
        return isinstance(fault["input"], str)
    return fault["type"] in _VALUE_FAULTS


def _texts(faults: list[ErrorDetails]) -> Iterator[str]:
    for fault in faults[:FAULTS_SHOWN_MAX]:
        where = _path(fault["loc"])
        found = f", found {_short(fault['input'])}" if fault["type"] != "missing" else ""
        yield f"{where}: {fault['msg']}{found}" if where else f"{fault['msg']}{found}"
    if len(faults) > FAULTS_SHOWN_MAX:
        yield f"and {len(faults) - FAULTS_SHOWN_MAX} more"


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part:.60}"
    return path.removeprefix(".")


def _short(value: object) -> str:
    # Never the repr of a nested value: a deep one exhausts the stack, a long one the reader.
    if isinstance(value, str | int | float | None):
        return f"{value!r:.60}"
    return "an object" if isinstance(value, dict) else "a list"
