"""A calculation of ``plimsoll compute``: its name, request body and function."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from typing import Final, Generic, Literal, TypeVar

import numpy as np

from engine.errors import InvariantBroken, ModelInputError
from infra.compute.fields import Inputs, parse_inputs

_Model = TypeVar("_Model", bound=Inputs)


class _NoFigure(Enum):
    NO_FIGURE = "null"


NO_FIGURE: Final[Literal[_NoFigure.NO_FIGURE]] = _NoFigure.NO_FIGURE
"""An output that applies and has no figure: null in the answer, where ``None`` is left out."""


@dataclass(frozen=True, slots=True)
class Calculation(Generic[_Model]):
    """One calculation, from request body to outputs.

    Attributes
    ----------
    name : str
        Word in the request's ``calculation``.
    summary : str
        One sentence for people.
    model : type
        Declares the fields of the request's ``inputs``.
    function : callable
        Takes the checked inputs; returns a dataclass or a mapping. Outputs that are ``None`` do
        not apply to the request and are left out.
    """

    name: str
    summary: str
    model: type[_Model]
    function: Callable[[_Model], object]

    def run(self, body: object) -> dict[str, object]:
        """Return the outputs for a request body, as plain JSON values.

        Raises
        ------
        ContractViolation
            If the body is not shaped as declared.
        ModelInputError
            If a value is unusable, or a result does not fit into a float.
        """
        inputs = parse_inputs(self.model, body)
        try:
            # What overflows inside a formula either vanishes again or shows in the outputs.
            with np.errstate(all="ignore"):
                result = self.function(inputs)
        except ArithmeticError as error:
            raise ModelInputError(f"{self.name}: inputs too large or too small: {error}") from error
        return {name: _plain(value, name) for name, value in _named(result) if value is not None}


def _named(result: object) -> Iterable[tuple[str, object]]:
    if is_dataclass(result) and not isinstance(result, type):
        return asdict(result).items()
    if isinstance(result, Mapping):
        return ((str(name), value) for name, value in result.items())
    raise InvariantBroken(f"outputs are a {type(result).__name__}, not named")


def _plain(value: object, name: str) -> object:
    """Return ``value`` in the types of JSON; a number that is not finite is a ModelInputError."""
    if isinstance(value, bool | str | int | None):
        return value
    if value is NO_FIGURE:
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ModelInputError(f"{name} is {value}: inputs too large or too small", value=value)
        # Adding zero turns a negative zero into zero.
        return float(value) + 0.0
    if isinstance(value, Mapping):
        return {str(key): _plain(each, f"{name}.{key}") for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each, f"{name}[{row}]") for row, each in enumerate(value)]
    raise InvariantBroken(f"{name} is a {type(value).__name__}, which has no JSON form")
