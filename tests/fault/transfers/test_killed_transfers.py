"""A transfer that is killed at any edge of its life, and again while it recovers, moves once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fault.transfers.keyed_venue import tell
from tests.fault.transfers.lives import Place, in_child, intent, killed_life, live, wrongs

pytestmark = pytest.mark.timeout(1700)

SMALL_SWEEP = 1
FULL_SWEEP = 20


def points_of(place: Place) -> int:
    """Return how many crash points an undisturbed life passes."""
    return in_child(live, replace(place, intents=(intent(0),)))


def sweep(place: Place, n_seeds: int, share: float = 0.3) -> tuple[int, int, list[str]]:
    """Kill at every point, with ``n_seeds`` seeds each; return lives, kills and what is wrong."""
    live(replace(place, intents=(intent(-1),)))
    n_points = points_of(place)
    lives, kills = 1, 0
    intents = [intent(-1), intent(0)]
    for seed in range(n_seeds):
        tell(place.port, do="plan", plan={"seed": seed, "share": share})
        for point in range(1, n_points + 1):
            intents.append(intent(lives))
            kills += killed_life(replace(place, intents=(intents[-1],)), point, seed)
            lives += 1
    return lives, kills, wrongs(replace(place, intents=tuple(intents)))


def test_i06_i07_i08_killed_at_every_point_once_nothing_is_lost_doubled_or_in_transit(
    place: Place,
) -> None:
    """KP, fault 2 and 3: every crash point, a second kill during recovery, then a clean run."""
    lives, kills, wrong = sweep(place, SMALL_SWEEP)
    assert wrong == []
    assert lives > 15
    assert kills >= lives - 2


@pytest.mark.fault
def test_i06_i07_i08_killed_at_every_point_with_twenty_seeds_each(place: Place) -> None:
    lives, kills, wrong = sweep(place, FULL_SWEEP)
    assert wrong == []
    print(f"{lives} lives, {kills} kills: 0 lost, 0 doubled, 0 in transit")


def test_the_harness_catches_a_fresh_id_per_try(place: Place) -> None:
    """The planted bug: a checker that has never failed proves nothing."""
    planted = replace(place, planted=True)
    tell(place.port, do="plan", plan={"seed": 1, "share": 0.0})
    one = replace(planted, intents=(intent(1),))
    from tests.fault.transfers.lives import in_child as run

    n_points = points_of(place)
    for point in range(1, n_points + 1):
        if run(live_a_while, one, point) == 0:
            place.clock.advance(60.0)
    run(live_a_while, one)
    wrong = wrongs(one)
    assert any("nobody recorded" in sentence for sentence in wrong), wrong


def live_a_while(place: Place) -> None:
    """Live, but let a life that cannot end be left where it is."""
    try:
        live(place)
    except AssertionError as error:
        assert "did not end" in str(error)
