"""Payments that are killed at every edge of their lives, and again while they recover."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.fault.databases import Template, in_memory
from tests.fault.forks import in_child
from tests.fault.outcomes import Outcome
from tests.fault.payments.lives import live, wrongs
from tests.fault.transfers.keyed_venue import running_venue, tell
from tests.fault.transfers.lives import Place, SharedClock, prepare

Tell = Callable[[Outcome], None]
# What a venue refuses is paid anew under another key; three refusals ask a person, who is not here.
FAULTS = ("reset_before", "reset_after", "late", "error_after", "delayed", "missing_credit")
SHARE = 0.3


@contextmanager
def new_place(template: Template, seed: int) -> Iterator[Place]:
    """Yield a place of its own: a venue in another process, an empty book, assets at the source."""
    with in_memory() as folder, template.copies(folder) as copy:
        url = copy()
        with running_venue(folder / "venue.db") as port:
            place = Place(url=url, port=port, home=folder, clock=SharedClock(), hints=seed)
            prepare(place)
            yield place


def sweep(template: Template, seed: int, every: int = 1, tell_of: Tell | None = None) -> Outcome:
    """Kill at every ``every``-th point of a seed's life, with a second kill in recovery."""
    with new_place(template, seed) as calm:
        live(calm)
        found = wrongs(calm)
        assert not found, f"an undisturbed life is wrong: {found}"
    with new_place(template, seed) as calm:
        points = in_child(live, calm).points
    total = Outcome()
    dice = random.Random(seed)
    for point in range(1 + seed % every, len(points) + 1, every):
        with new_place(template, seed) as place:
            plan = {"seed": seed * 1_000 + point, "share": SHARE, "faults": list(FAULTS)}
            tell(place.port, do="plan", plan=plan)
            found = _killed_life(place, point, dice.randint(1, len(points)), dice)
        total += found
        if tell_of is not None:
            tell_of(found)
    return total


def _killed_life(place: Place, point: int, second: int, dice: random.Random) -> Outcome:
    died: Counter[str] = Counter()
    for kill_at in (point, second):
        ended = in_child(live, place, kill_at)
        if ended.is_killed:
            died[ended.points[-1]] += 1
        place.clock.advance(dice.choice([0.01, 1.0, 15.0, 60.0]))
    in_child(live, place)
    name = f"seed {place.hints}, killed at point {point} and at {second} of its recovery"
    wrong = tuple(replace(one, sentence=f"{name}: {one}") for one in wrongs(place))
    return Outcome(1, died.total(), dict(died), wrong)
