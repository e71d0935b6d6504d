"""What people read about the calculations."""

from __future__ import annotations

from infra.compute import CALCULATION_NAMES
from infra.compute.description import describe


def test_every_calculation_has_a_summary_and_fields_with_a_meaning() -> None:
    described = describe()
    assert tuple(each.name for each in described) == CALCULATION_NAMES
    for each in described:
        assert each.summary.endswith(".")
        assert each.fields
        assert all(field.meaning and field.type_name for field in each.fields)


def test_description_names_limits_defaults_and_nested_fields() -> None:
    fields = {
        field.name: field
        for each in describe()
        if each.name == "collateral_value"
        for field in each.fields
    }
    assert fields["items"].type_name == "list of objects"
    assert fields["items[].haircut_tiers[].haircut"].limits == ">= 0, <= 1"
    assert fields["items[].tier_basis"].limits == "value, quantity"
    assert (fields["items[].fx_haircut"].default, fields["items[].asset"].default) == (
        "0",
        "required",
    )
    assert fields["items[].haircut_tiers"].limits == "not empty"
