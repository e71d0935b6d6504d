from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.kernels.black76 import scenario_option_values
from engine.kernels.black76_plain import scenario_option_values as plain_values

# What the project promises; the kernel itself stays two orders below.
ERROR_MAX = 1e-12


def book(n_options: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    forward = 10.0 ** rng.uniform(-6.0, 6.0, n_options)
    return {
        "forward": forward,
        "strike": forward * np.exp(rng.uniform(-4.0, 4.0, n_options)),
        "is_call": rng.random(n_options) < 0.5,
        "volatility": rng.uniform(0.05, 5.0, n_options),
        "years": rng.uniform(1e-6, 3.0, n_options),
        "forward_factor": np.exp(rng.standard_t(3, 301) * 0.1),
        "volatility_factor": np.exp(rng.normal(size=301) * 0.3),
    }


def largest_error(inputs: dict[str, np.ndarray]) -> float:
    found, expected = scenario_option_values(**inputs), plain_values(**inputs)
    moved = inputs["forward"][:, None] * inputs["forward_factor"]
    return float(np.max(np.abs(found - expected) / np.maximum(moved, inputs["strike"][:, None])))


def test_kernel_agrees_with_the_normal_distribution_of_scipy() -> None:
    assert largest_error(book(500)) < ERROR_MAX / 100.0


def test_options_without_time_or_volatility_are_worth_their_intrinsic_value() -> None:
    inputs = book(200)
    moved = inputs["forward"][:, None] * inputs["forward_factor"]
    sign = np.where(inputs["is_call"], 1.0, -1.0)[:, None]
    intrinsic = np.maximum(sign * (moved - inputs["strike"][:, None]), 0.0)
    for name, length in (("years", 200), ("volatility", 200), ("volatility_factor", 301)):
        found = scenario_option_values(**(inputs | {name: np.zeros(length)}))
        assert np.array_equal(found, intrinsic), name


def test_at_the_money_without_time_is_worth_nothing() -> None:
    one = np.ones(1)
    found = scenario_option_values(one, one, np.array([True]), one, np.zeros(1), one, one)
    assert found.tolist() == [[0.0]]


def test_deep_options_are_worth_their_intrinsic_value_exactly() -> None:
    one = np.ones(1)
    strikes = np.array([1e-3, 1e3])
    for is_call, expected in ((True, [1.0 - 1e-3, 0.0]), (False, [0.0, 1e3 - 1.0])):
        found = scenario_option_values(
            np.ones(2), strikes, np.array([is_call] * 2), np.full(2, 0.1), np.full(2, 0.1), one, one
        )
        assert found[:, 0].tolist() == expected


@pytest.mark.parametrize("forward_factor", [1e-12, 1e-3, 1.0, 1e3, 1e12])
@pytest.mark.parametrize("volatility_factor", [0.0, 1e-9, 1.0, 1e3, 1e9])
def test_extreme_factors_stay_accurate(forward_factor: float, volatility_factor: float) -> None:
    inputs = book(100, seed=5) | {
        "forward_factor": np.array([forward_factor]),
        "volatility_factor": np.array([volatility_factor]),
    }
    assert largest_error(inputs) < ERROR_MAX


def test_value_never_falls_below_the_intrinsic_value() -> None:
    inputs = book(300, seed=9)
    moved = inputs["forward"][:, None] * inputs["forward_factor"]
    sign = np.where(inputs["is_call"], 1.0, -1.0)[:, None]
    found = scenario_option_values(**inputs)
    assert (found >= np.maximum(sign * (moved - inputs["strike"][:, None]), 0.0)).all()


def test_value_of_an_option_does_not_depend_on_its_neighbours_or_on_other_scenarios() -> None:
    inputs = book(40)
    whole = scenario_option_values(**inputs)
    some = {
        name: (values[7:20] if name.endswith("factor") else values[3:11])
        for name, values in inputs.items()
    }
    assert scenario_option_values(**some).tobytes() == whole[3:11, 7:20].tobytes()


def test_result_is_written_to_out() -> None:
    inputs = book(4)
    out = np.empty((4, 301))
    assert scenario_option_values(**inputs, out=out) is out
    assert np.array_equal(out, scenario_option_values(**inputs))
    with pytest.raises(ModelInputError, match="out needs contiguous float64"):
        scenario_option_values(**inputs, out=np.empty((301, 4)).T)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("forward", 0.0),
        ("forward", np.nan),
        ("strike", -1.0),
        ("volatility", -0.1),
        ("years", np.inf),
        ("forward_factor", 0.0),
        ("volatility_factor", -1.0),
        ("volatility_factor", np.nan),
    ],
)
def test_unusable_input_is_refused_by_name(name: str, wrong: float) -> None:
    inputs = book(4)
    inputs[name] = inputs[name].copy()
    inputs[name][2] = wrong
    with pytest.raises(ModelInputError, match=rf"{name}\[2\] is"):
        scenario_option_values(**inputs)


def test_lengths_must_agree() -> None:
    inputs = book(4)
    with pytest.raises(ModelInputError, match="strike needs 4 values, found 3"):
        scenario_option_values(**(inputs | {"strike": inputs["strike"][:3]}))
    with pytest.raises(ModelInputError, match="is_call needs 4 flags"):
        scenario_option_values(**(inputs | {"is_call": np.ones(4)}))


def test_no_options_or_no_scenarios_give_empty_values() -> None:
    inputs = book(3)
    none = inputs | {"forward_factor": np.zeros(0), "volatility_factor": np.zeros(0)}
    assert scenario_option_values(**none).shape == (3, 0)


def test_public_kernel_modules_do_not_load_the_compiler() -> None:
    code = (
        "import sys, engine.kernels.tail, engine.kernels.black76, engine.pricing.black76;"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
