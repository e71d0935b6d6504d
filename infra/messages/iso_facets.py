"""Checks a message against the facets of its schema, from the metadata of its dataclasses.

The schemas themselves come with no package. What they demand is in the generated classes: required
elements, exactly one of a choice, lengths, patterns, digits, bounds and numbers of occurrences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from engine.errors import ContractViolation


def require_facets(message: object) -> None:
    """Raise ContractViolation unless the message is what its schema demands; names every fault."""
    found = list(faults(message))
    if found:
        raise ContractViolation(
            f"{type(message).__name__}: {'; '.join(found[:10])}",
            identifier=type(message).__name__,
            value=len(found),
            limit="the schema's facets",
        )


def faults(message: object, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a message, each with the path of its element."""
    present = 0
    for field in fields(message):  # type: ignore[arg-type]
        value = getattr(message, field.name)
        name = f"{path}/{field.metadata.get('name', field.name)}"
        is_empty = value is None or value == []
        present += not is_empty
        if is_empty and field.metadata.get("required"):
            yield f"{name} is missing"
        yield from _list_faults(value, field.metadata, name)
        for one in value if isinstance(value, list) else () if is_empty else (value,):
            yield from _value_faults(one, field.metadata, name)
    # The generator names every choice of the schema so.
    if type(message).__name__.endswith("Choice") and present != 1:
        yield f"{path or type(message).__name__} has {present} of its choices, limit exactly 1"


def _list_faults(value: object, metadata: Mapping[str, Any], name: str) -> Iterator[str]:
    if not isinstance(value, list):
        return
    if len(value) < metadata.get("min_occurs", 0):
        yield f"{name} occurs {len(value)} times, limit >= {metadata['min_occurs']}"
    if len(value) > metadata.get("max_occurs", len(value)):
        yield f"{name} occurs {len(value)} times, limit <= {metadata['max_occurs']}"


def _value_faults(value: object, metadata: Mapping[str, Any], name: str) -> Iterator[str]:
    if is_dataclass(value):
        yield from faults(value, name)
    elif isinstance(value, str):
        yield from _text_faults(value, metadata, name)
    elif isinstance(value, Decimal):
        yield from _number_faults(value, metadata, name)


def _text_faults(text: str, metadata: Mapping[str, Any], name: str) -> Iterator[str]:
    if len(text) < metadata.get("min_length", 0):
        yield f"{name} has {len(text)} characters, limit >= {metadata['min_length']}"
    if len(text) > metadata.get("max_length", len(text)):
        yield f"{name} has {len(text)} characters, limit <= {metadata['max_length']}"
    pattern = metadata.get("pattern")
    if pattern is not None and re.fullmatch(pattern, text) is None:
        yield f"{name} is {text!r}, limit {pattern}"


def _number_faults(number: Decimal, metadata: Mapping[str, Any], name: str) -> Iterator[str]:
    if not number.is_finite():
        yield f"{name} is {number}, limit a finite number"
        return
    digits = format(abs(number), "f").strip("0") if "." in format(number, "f") else None
    whole, _, fraction = (digits or format(abs(number), "f").lstrip("0")).partition(".")
    if len(fraction) > metadata.get("fraction_digits", len(fraction)):
        yield f"{name} has {len(fraction)} decimals, limit <= {metadata['fraction_digits']}"
    n_digits = len(whole) + len(fraction)
    if n_digits > metadata.get("total_digits", n_digits):
        yield f"{name} has {n_digits} digits, limit <= {metadata['total_digits']}"
    least, most = metadata.get("min_inclusive"), metadata.get("max_inclusive")
    if least is not None and number < least:
        yield f"{name} is {number}, limit >= {least}"
    if most is not None and number > most:
        yield f"{name} is {number}, limit <= {most}"
