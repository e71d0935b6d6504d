"""Requests at random: every line is answered, and refusals depend on the request alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.compute import CALCULATION_NAMES, answer_line
from infra.compute.description import FieldDescription, describe

quick = settings(max_examples=300, deadline=None)
NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(10**400), 10**400),
    st.sampled_from([0, -0.0, 1, 1e-320, 1e308, -1e308, 0.5, 2**53, 1e15]),
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
WORDS = st.sampled_from(
    sorted(
        {
            word
            for each in describe()
            for field in each.fields
            if field.type_name == "word"
            for word in field.limits.split(", ")
        }
    )
)
DATES = st.dates().map(lambda day: day.isoformat())


def check(line: str) -> dict[str, Any]:
    text = answer_line(line)
    assert "\n" not in text
    answer: dict[str, Any] = json.loads(text, parse_constant=lambda name: 1 / 0)
    assert set(answer) in ({"id", "outputs"}, {"id", "error"})
    if "error" in answer:
        assert answer["error"]["type"] in ("ContractViolation", "ModelInputError")
        assert answer["error"]["message"]
    return answer


@quick
@given(st.text() | JSON.map(json.dumps))
def test_any_line_gets_one_answer(line: str) -> None:
    check(line)


@quick
@given(st.sampled_from(CALCULATION_NAMES), st.dictionaries(st.text(max_size=8), JSON))
def test_any_body_gets_one_answer(calculation: str, body: dict[str, object]) -> None:
    check(json.dumps({"id": "r", "calculation": calculation, "inputs": body}))


def value_of(kind: str) -> st.SearchStrategy[object]:
    plain: dict[str, st.SearchStrategy[object]] = {
        "number": st.floats(0.0, 2.0) | NUMBERS,
        "whole number": st.integers(0, 300) | NUMBERS,
        "flag": st.booleans(),
        "text": st.text(max_size=3),
        "word": WORDS,
        "date": DATES,
        "list of numbers": st.lists(st.floats(-1.0, 1.0) | NUMBERS, max_size=5),
        "list of whole numbers": st.lists(st.integers(1, 20) | NUMBERS, max_size=5),
    }
    return plain[kind]


@st.composite
def bodies(draw: st.DrawFn, fields: tuple[FieldDescription, ...], prefix: str = "") -> object:
    """Draw a body with the declared fields, mostly, and types that mostly fit."""
    body: dict[str, object] = {}
    for field in fields:
        name = field.name.removeprefix(prefix)
        if not field.name.startswith(prefix) or "." in name:
            continue
        if not draw(st.integers(0, 9)) or (field.default != "required" and draw(st.booleans())):
            continue
        if field.type_name in ("object", "list of objects"):
            inner = bodies(fields, f"{field.name}{'[].' if 'list' in field.type_name else '.'}")
            several = st.lists(inner, max_size=3)
            body[name] = draw(several if "list" in field.type_name else inner)
        else:
            body[name] = draw(value_of(field.type_name) if draw(st.integers(0, 19)) else JSON)
    return body


@settings(max_examples=1_500, deadline=None)
@given(st.data())
def test_body_that_is_nearly_right_gets_one_answer(data: st.DataObject) -> None:
    described = data.draw(st.sampled_from(describe()), label="calculation")
    body = data.draw(bodies(described.fields), label="body")
    line = json.dumps({"id": "r", "calculation": described.name, "inputs": body})
    first = check(line)
    # Answers depend on the request alone.
    assert check(line) == first
    if isinstance(body, dict):
        # One unknown field breaks the contract, whatever else is wrong.
        more = {"id": "r", "calculation": described.name, "inputs": {**body, "zz": 1}}
        assert check(json.dumps(more))["error"]["type"] == "ContractViolation"
