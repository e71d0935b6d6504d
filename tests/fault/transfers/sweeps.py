"""Transfers that are killed at every edge of their lives, one by one and many at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.fault.databases import Template, in_memory
from tests.fault.forks import in_child
from tests.fault.outcomes import Outcome, Wrong
from tests.fault.transfers.books import wrongs
from tests.fault.transfers.keyed_venue import FAULTS, FAULTS_ALONE, running_venue, tell
from tests.fault.transfers.lives import Place, SharedClock, intent, killed_life, live, prepare

Tell = Callable[[Outcome], None]
SHARE = 0.3
CLOSED = 0.1


@contextmanager
def new_place(template: Template) -> Iterator[Place]:
    """Yield a place of its own: a venue in another process, an empty book, assets at the source."""
    with in_memory() as folder, template.copies(folder) as copy:
        url = copy()
        with running_venue(folder / "venue.db") as port:
            place = Place(url=url, port=port, home=Path(folder), clock=SharedClock())
            prepare(place)
            yield place


def sweep(template: Template, seed: int, rounds: int = 1, tell_of: Tell | None = None) -> Outcome:
    """Kill a life at every point, again in recovery, and let it end, under a seed's faults.

    A life under faults passes more points than a calm one: ``rounds`` of 2 kills that far.
    """
    total = Outcome()
    with new_place(template) as place:
        n_points = calm_points(place)
        intents = [intent(-1), intent(0)]
        for point in range(1, rounds * n_points + 1):
            intents.append(intent(point))
            # Every fifth life is refused, so that each seed is killed beside a refusal too.
            is_refused = (point + seed) % 5 == 0
            refusal = {"seed": seed, "share": 1.0, "faults": ["refused_at_once"]}
            tell(place.port, do="plan", plan=refusal if is_refused else _alone(seed))
            # Every other life hears webhooks, repeated and out of order.
            hints = point if point % 2 else 0
            one = replace(place, intents=(intents[-1],), closed=CLOSED, hints=hints)
            total += _told(killed_life(one, point, seed), tell_of)
        found = wrongs(replace(place, intents=tuple(intents)))
        return total + Outcome(0, 0, {}, tuple(_of_seed(seed, found)))


def batch(template: Template, seed: int, n_lives: int, tell_of: Tell | None = None) -> Outcome:
    """Live ``n_lives``, each killed at the next of all points and again in recovery."""
    total = Outcome()
    with new_place(template) as place:
        n_points = calm_points(place)
        tell(place.port, do="plan", plan=_alone(seed))
        intents = [intent(-1), intent(0)]
        for number in range(1, n_lives + 1):
            intents.append(intent(number))
            point = 1 + (seed * n_lives + number) % (2 * n_points)
            one = replace(place, intents=(intents[-1],), closed=CLOSED)
            total += _told(killed_life(one, point, seed * 1_000_003 + number), tell_of)
        found = wrongs(replace(place, intents=tuple(intents)))
        return total + Outcome(0, 0, {}, tuple(_of_seed(seed, found)))


def mixed(
    template: Template, seed: int, n: int, n_kills: int, tell_of: Tell | None = None
) -> Outcome:
    """Live ``n`` transfers at once under a seeded mix of faults and kills.

    The mix: reset before and after the commit, late reply, 5xx after the commit, refusal,
    acceptance long after the request, missing credit, port closed, webhooks repeated and out of
    order, worker killed. Inventory = venues + in transit at every point at which it stops.
    """
    draw = random.Random(seed)
    with new_place(template) as place:
        plan = {"seed": seed, "share": 0.4, "faults": list(FAULTS)}
        tell(place.port, do="plan", plan=plan)
        intents = tuple(intent(number, draw.randint(10_000, 50_000_000)) for number in range(n))
        busy = replace(place, intents=intents, hints=seed, closed=CLOSED)
        total = Outcome()
        for _ in range(n_kills):
            # A life passes some twenty points; so the kills fall on all of its stages.
            ended = in_child(live, busy, draw.randint(1, 2 * 20 * n // (n_kills + 1)))
            died = Counter(ended.points[-1:] if ended.is_killed else ())
            found = tuple(_of_seed(seed, wrongs(busy, at_end=False)))
            total += _told(died, tell_of, lives=0) + Outcome(0, 0, {}, found)
            busy.clock.advance(draw.choice([0.01, 5.0, 60.0]))
        in_child(live, busy)
        total += _told(Counter(), tell_of, lives=n)
        return total + Outcome(0, 0, {}, tuple(_of_seed(seed, wrongs(busy))))


def planted(template: Template) -> list[str]:
    """Return what is found wrong when each sending makes a key of its own."""
    with new_place(template) as place:
        n_points = calm_points(place)
        one = replace(place, planted=True, intents=(intent(1),))
        for point in range(1, n_points + 1):
            if in_child(_live_a_while, one, point).is_killed:
                place.clock.advance(60.0)
        in_child(_live_a_while, one)
        return [str(wrong) for wrong in wrongs(one)]


def calm_points(place: Place) -> int:
    """Return how many crash points an undisturbed life passes."""
    # Lived here too, so that the children need not compile their statements.
    live(replace(place, intents=(intent(-1),)))
    return in_child(live, replace(place, intents=(intent(0),))).n_points


def _alone(seed: int) -> dict[str, object]:
    return {"seed": seed, "share": SHARE, "faults": list(FAULTS_ALONE)}


def _live_a_while(place: Place) -> None:
    """Live, but let a life that cannot end be left where it is."""
    try:
        live(place)
    except AssertionError as error:
        assert "did not end" in str(error)


def _told(died: Counter[str], tell_of: Tell | None, lives: int = 1) -> Outcome:
    found = Outcome(lives, died.total(), dict(died))
    if tell_of is not None:
        tell_of(found)
    return found


def _of_seed(seed: int, found: list[Wrong]) -> list[Wrong]:
    return [replace(one, sentence=f"seed {seed}: {one}") for one in found]
