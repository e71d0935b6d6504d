"""Many transfers at once under all faults together: each is booked at most once, none is lost."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.fault.transfers.keyed_venue import FAULTS, tell
from tests.fault.transfers.lives import Place, in_child, intent, live, wrongs

pytestmark = pytest.mark.timeout(1700)


def mixed(place: Place, n: int, n_kills: int, seed: int, share: float) -> int:
    """Live ``n`` transfers under a seeded mix of faults and kills; return how often it was killed.

    The mix: reset before and after the commit, late reply, 5xx after the commit, acceptance long
    after the request, missing credit, webhooks repeated and out of order, worker killed.
    """
    tell(place.port, do="plan", plan={"seed": seed, "share": share, "faults": list(FAULTS)})
    draw = random.Random(seed)
    intents = tuple(intent(number, draw.randint(10_000, 50_000_000)) for number in range(n))
    busy = replace(place, intents=intents, hints=seed)
    kills = 0
    for _ in range(n_kills):
        kills += int(in_child(live, busy, draw.randint(1, n)) == 0)
        # Inventory = venues + in transit at every point at which it stops.
        assert wrongs(busy, at_end=False) == []
        place.clock.advance(draw.choice([0.01, 5.0, 60.0]))
    in_child(live, busy)
    assert wrongs(busy) == []
    return kills


def test_i06_i08_i15_a_hundred_transfers_under_all_faults_are_booked_once_each(
    place: Place,
) -> None:
    kills = mixed(place, 100, 4, seed=7, share=0.4)
    assert kills >= 2


@pytest.mark.fault
def test_i06_i08_i15_a_thousand_transfers_under_all_faults_are_booked_once_each(
    place: Place,
) -> None:
    kills = mixed(place, 1_000, 20, seed=11, share=0.4)
    print(f"1000 transfers, {kills} kills: 0 lost, 0 doubled, 0 in transit")
    assert kills >= 10
