"""A venue that adds, drops or retypes a field: additions are ignored, all else is a bad payload."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest

import infra.custody.fireblocks.wire as fireblocks
import infra.venues.binance.wire as binance
import infra.venues.deribit.wire as deribit
import infra.venues.okx.wire as okx
from engine.errors import BadPayload
from infra.venues.payloads import decode

MODULES = {"binance": binance, "deribit": deribit, "fireblocks": fireblocks, "okx": okx}
ANOTHER = {"another": ["kind"]}


def structs(module: ModuleType) -> Iterator[type[msgspec.Struct]]:
    for _, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, msgspec.Struct) and found.__module__ == module.__name__:
            yield found


CONTRACTS = [
    pytest.param(one, id=f"{venue}-{one.__name__}")
    for venue, module in MODULES.items()
    for one in structs(module)
]


def sample(kind: msgspec.inspect.Type) -> Any:
    """Return the smallest JSON value of a kind."""
    found = msgspec.inspect
    plain: dict[type, Any] = {
        found.StrType: "x", found.IntType: 1, found.FloatType: 1.5, found.BoolType: True,
        found.DecimalType: "1.5", found.AnyType: 1, found.RawType: 1, found.NoneType: None,
        found.ListType: [], found.VarTupleType: [], found.DictType: {},
    }  # fmt: skip
    if isinstance(kind, found.StructType):
        return whole(kind.cls)
    if isinstance(kind, found.UnionType):
        return sample(kind.types[0])
    if isinstance(kind, found.TupleType):
        return [sample(one) for one in kind.item_types]
    if isinstance(kind, found.LiteralType):
        return kind.values[0]
    return plain[type(kind)]


def whole(contract: type[msgspec.Struct]) -> Any:
    """Return an answer of every field of a contract."""
    info = msgspec.inspect.type_info(contract)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = [(field.encode_name, sample(field.type)) for field in info.fields]
    return [value for _, value in fields] if info.array_like else dict(fields)


def read(contract: type[msgspec.Struct], content: Any) -> Any:
    return decode(msgspec.json.Decoder(contract), json.dumps(content), "venue")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_field_more_is_ignored_and_one_less_or_of_another_kind_is_a_bad_payload(
    contract: type[msgspec.Struct],
) -> None:
    content = whole(contract)
    plain = read(contract, content)
    if isinstance(content, list):
        assert read(contract, [*content, ANOTHER]) == plain
        return
    assert read(contract, {**content, "added_by_the_venue": ANOTHER}) == plain
    info = msgspec.inspect.type_info(contract)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        name = field.encode_name
        less = {key: value for key, value in content.items() if key != name}
        if field.required:
            with pytest.raises(BadPayload, match=name):
                read(contract, less)
        elif not isinstance(field.type, msgspec.inspect.AnyType):
            read(contract, less)
        if not accepts_anything(field.type):
            with pytest.raises(BadPayload):
                read(contract, {**content, name: ANOTHER})


def accepts_anything(kind: msgspec.inspect.Type) -> bool:
    found = msgspec.inspect
    if isinstance(kind, found.UnionType):
        return any(accepts_anything(one) for one in kind.types)
    if isinstance(kind, found.DictType):
        return True
    if isinstance(kind, found.StructType):
        # An object of which nothing is required takes any object.
        return not any(field.required for field in kind.fields)
    return isinstance(kind, found.AnyType | found.RawType)


def test_every_venue_has_its_contracts() -> None:
    assert {venue: len(list(structs(module))) > 5 for venue, module in MODULES.items()} == (
        dict.fromkeys(MODULES, True)
    )
