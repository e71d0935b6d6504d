"""What can be computed, for people: names, summaries and fields of all calculations."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.compute.fields import Inputs, JsonType, Limit
from infra.compute.registry import CALCULATION_NAMES, find_calculation

_PLURALS: Final = {
    "number": "numbers",
    "whole number": "whole numbers",
    "word": "words",
    "object": "objects",
}


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One field of a request body.

    Attributes
    ----------
    name : str
        Path in the body, ``items[].haircut``, ``market.<key>.spot_price``.
    type_name : str
        ``number``, ``whole number``, ``flag``, ``text``, ``word``, ``date``, ``instant``,
        ``object`` or a list.
    default : str
        ``required``, ``optional``, ``empty`` or the value that an absent field has.
    limits : str
        Conditions on the value, or the words that are listed.
    meaning : str
        What the field is.
    """

    name: str
    type_name: str
    default: str
    limits: str
    meaning: str


@dataclass(frozen=True, slots=True)
class CalculationDescription:
    """Name, summary and fields of one calculation."""

    name: str
    summary: str
    fields: tuple[FieldDescription, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an annotation says: type, limits, and the model of an object or of its items."""

    type_name: str
    limits: tuple[str, ...] = ()
    model: type[Inputs] | None = None
    separator: str = "."


def describe() -> tuple[CalculationDescription, ...]:
    """Return the description of every calculation, in the order in which people read them."""
    found = []
    for name in CALCULATION_NAMES:
        calculation = find_calculation(name)
        fields = tuple(_fields(calculation.model, ""))
        found.append(CalculationDescription(name, calculation.summary, fields))
    return tuple(found)


def _fields(model: type[Inputs], prefix: str) -> Iterator[FieldDescription]:
    for name, declared in model.model_fields.items():
        shape = _shape(declared.annotation, tuple(declared.metadata))
        yield FieldDescription(
            name=prefix + name,
            type_name=shape.type_name,
            default=_default(declared),
            limits=", ".join(shape.limits),
            meaning=declared.description or "",
        )
        if shape.model is not None:
            yield from _fields(shape.model, f"{prefix}{name}{shape.separator}")


def _default(declared: FieldInfo) -> str:
    default = declared.default
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "optional"
    if default == () or isinstance(default, Inputs):
        return "empty"
    if isinstance(default, tuple):
        return json.dumps(default)
    if isinstance(default, bool):
        return "true" if default else "false"
    return f"{default:g}" if isinstance(default, float | int) else str(default)


def _shape(annotation: Any, metadata: tuple[object, ...]) -> _Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], (*arguments[1:], *metadata))
    if origin in (Union, types.UnionType):
        inner = next(each for each in arguments if each is not type(None))
        return _shape(inner, metadata)
    if origin is Literal:
        return _Shape("word", tuple(str(word) for word in arguments))
    own = tuple(text for text in map(_limit, metadata) if text)
    if origin is tuple:
        item = _shape(arguments[0], ())
        listed = item.limits if item.type_name != "word" else (", ".join(item.limits),)
        each = tuple(f"each {limit}" for limit in listed)
        return _Shape(f"list of {_PLURALS[item.type_name]}", (*own, *each), item.model, "[].")
    if origin is Mapping:
        return _Shape("object", own, _shape(arguments[1], ()).model, ".<key>.")
    if isinstance(annotation, type) and issubclass(annotation, Inputs):
        return _Shape("object", own, annotation)
    named = next(each.name for each in metadata if isinstance(each, JsonType))
    return _Shape(named, own)


def _limit(constraint: object) -> str:
    match constraint:
        case Gt(gt=bound):
            return f"> {bound:g}"
        case Ge(ge=bound):
            return f">= {bound:g}"
        case Lt(lt=bound):
            return f"< {bound:g}"
        case Le(le=bound):
            return f"<= {bound:g}"
        case MinLen(min_length=1):
            return "not empty"
        case MinLen(min_length=length):
            return f"at least {length}"
        case Limit(text=text):
            return text
        case _:
            return ""
