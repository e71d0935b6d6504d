"""A call that is killed at any edge of its life, and again while it recovers, is lived once."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.db import Database
from tests.fault.calls.lives import Life, killed, live, record_of, undisturbed_points

pytestmark = pytest.mark.timeout(1700)

MakeLife = Callable[..., Life]


@pytest.fixture
def new_life(new_database: Callable[[], Database], quick_folder: Path) -> MakeLife:
    """Return a function that makes a place for a life of a seed."""
    made = 0

    def make(seed: int, **more: bool) -> Life:
        nonlocal made
        made += 1
        database = new_database()
        url = database.url.render_as_string(hide_password=False)
        database.close()
        heard = quick_folder / f"heard-{made}"
        heard.touch()
        return Life(url, seed, heard, **more)

    return make


def sweep(new_life: MakeLife, seeds: range, every: int = 1) -> tuple[int, int]:
    """Kill at every ``every``-th point with a second kill in recovery; return lives and kills."""
    lives = kills = 0
    for seed in seeds:
        calm = new_life(seed)
        n_points = undisturbed_points(calm)
        wanted = record_of(calm)
        dice = random.Random(seed)
        for point in range(1 + seed % every, n_points + 1, every):
            life = new_life(seed)
            assert killed(life, point), f"seed {seed}: point {point} of {n_points} was not reached"
            kills += 1 + killed(life, dice.randint(1, n_points))
            live(life)
            assert record_of(life) == wanted, f"seed {seed}, killed at point {point}"
            lives += 1
    return lives, kills


def test_killed_on_its_way_and_in_recovery_a_call_is_lived_once(
    new_life: MakeLife, engine_name: str
) -> None:
    lives, kills = sweep(new_life, range(1), every=9 if engine_name == "sqlite" else 20)
    assert lives >= 3
    assert kills > lives


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_every_point_with_each_of_twenty_seeds(new_life: MakeLife, seed: int) -> None:
    lives, kills = sweep(new_life, range(seed, seed + 1))
    assert lives >= 50
    assert kills > lives


def test_the_harness_catches_a_key_that_is_made_anew_at_every_try(new_life: MakeLife) -> None:
    """The planted bug: after a lost answer the act is done twice, or refused as impossible."""
    calm = new_life(0)
    n_points = undisturbed_points(calm)
    wanted = record_of(calm)
    n_caught = 0
    for point in range(8, n_points, 12):
        life = new_life(0, has_fresh_keys=True)
        killed(life, point)
        try:
            live(life)
            n_caught += record_of(life) != wanted
        except Exception:
            n_caught += 1
    assert n_caught >= 1
