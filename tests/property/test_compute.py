"""Requests at random: every line is answered, and refusals depend on the request alone."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.compute import CALCULATION_NAMES, answer_line
from infra.compute.description import FieldDescription, describe
from tests.examples import examples

quick = settings(max_examples=examples(100, of=300), deadline=None)
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
DATES = st.dates().map(lambda day: day.isoformat())
INSTANTS = st.integers(0, 10**6).map(
    lambda seconds: (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()
)
# Objects by name have these keys, so that other fields often name one of them.
KEYS = ("A", "B")
EDGES = st.sampled_from(
    [0, -0.0, 1, -1, 0.5, 1e-320, 1e-12, 1e15, 2**53, 1e308, -1e308, 10**400, math.nan, math.inf]
)
PUBLISHED = tuple(
    json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[1] / "vectors").glob("*/*.json"))
)


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


def numbers(limits: str, *, whole: bool) -> st.SearchStrategy[object]:
    """Return usable numbers of a field, at its limits too."""
    low = 0.0 if ">" in limits else -1e6
    high = 1.0 if "< 1" in limits or "<= 1" in limits else 1e6
    if whole:
        return st.integers(int(low), 2_000)
    return st.floats(low, high) | st.sampled_from([low, high])


def value_of(field: FieldDescription) -> st.SearchStrategy[object]:
    kind, limits = field.type_name, field.limits
    strategies: dict[str, st.SearchStrategy[object]] = {
        "number": numbers(limits, whole=False),
        "whole number": numbers(limits, whole=True),
        "flag": st.booleans(),
        "text": st.sampled_from(KEYS) | st.text(max_size=3),
        "word": st.sampled_from(limits.split(", ")),
        "date": DATES,
        "instant": INSTANTS,
        "list of words": st.lists(st.sampled_from(limits.removeprefix("each ").split(", "))),
        "list of numbers": st.lists(numbers(limits, whole=False), min_size=1, max_size=90),
        "list of whole numbers": st.lists(st.integers(1, 20), max_size=5, unique=True),
    }
    return strategies[kind]


@st.composite
def bodies(draw: st.DrawFn, fields: tuple[FieldDescription, ...], prefix: str = "") -> object:
    """Draw a body with the declared fields; nearly all are there and have the declared type."""
    body: dict[str, object] = {}
    for field in fields:
        name = field.name.removeprefix(prefix)
        if not field.name.startswith(prefix) or "." in name:
            continue
        is_absent = field.default != "required" and draw(st.booleans())
        if is_absent or draw(st.integers(0, 99)) == 0:
            continue
        if any(each.name.startswith(f"{field.name}.<key>.") for each in fields):
            inner = bodies(fields, f"{field.name}.<key>.")
            body[name] = draw(st.dictionaries(st.sampled_from(KEYS), inner))
        elif field.type_name in ("object", "list of objects"):
            inner = bodies(fields, f"{field.name}{'[].' if 'list' in field.type_name else '.'}")
            several = st.lists(inner, min_size=1, max_size=3)
            body[name] = draw(several if "list" in field.type_name else inner)
        else:
            body[name] = draw(EDGES | JSON if draw(st.integers(0, 49)) == 0 else value_of(field))
    return body


@settings(max_examples=examples(250, of=1_000), deadline=None)
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


def leaves(body: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a body."""
    items: Iterable[tuple[Any, object]] = ()
    if isinstance(body, dict):
        items = body.items()
    elif isinstance(body, list):
        items = enumerate(body)
    for key, value in items:
        yield (*path, key)
        yield from leaves(value, (*path, key))


@settings(max_examples=examples(250, of=1_000), deadline=None)
@given(st.data())
def test_published_request_with_one_value_changed_gets_one_answer(data: st.DataObject) -> None:
    case = copy.deepcopy(data.draw(st.sampled_from(PUBLISHED), label="case"))
    path = data.draw(st.sampled_from(sorted(leaves(case["inputs"]), key=repr)), label="path")
    target = case["inputs"]
    for key in path[:-1]:
        target = target[key]
    if data.draw(st.integers(0, 4)) == 0:
        del target[path[-1]]
    else:
        target[path[-1]] = data.draw(EDGES | NUMBERS | JSON, label="value")
    request = {"id": "r", "calculation": case["calculation"], "inputs": case["inputs"]}
    check(json.dumps(request))
