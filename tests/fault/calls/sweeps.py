"""Calls that are killed at every edge of their lives, and again while they recover."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.fault.calls.lives import Life, live, record_of
from tests.fault.databases import MakeDatabase, Template, in_memory
from tests.fault.forks import in_child
from tests.fault.outcomes import Outcome, Wrong

Tell = Callable[[Outcome], None]


def sweep(template: Template, seed: int, every: int = 1, tell: Tell | None = None) -> Outcome:
    """Kill at every ``every``-th point of a seed's life, with a second kill in recovery."""
    total = Outcome()
    with in_memory() as folder, template.copies(folder) as copy:
        new_life = partial(_life, folder, copy, seed)
        calm = new_life()
        # Lived here too, so that the children need not compile their statements.
        live(calm)
        wanted = record_of(calm)
        points = in_child(live, new_life()).points
        dice = random.Random(seed)
        for point in range(1 + seed % every, len(points) + 1, every):
            # A recovery finds what is done right at the start of each act, and does the rest.
            n_again = sum(name.endswith(":start") for name in points[:point])
            second = dice.randint(1, n_again + len(points) - point)
            found = _killed_life(new_life(), point, second, wanted)
            total += found
            if tell is not None:
                tell(found)
    return total


def planted(template: Template, seed: int, every: int = 12) -> int:
    """Return at how many points it is seen that each try makes a new key."""
    n_caught = 0
    with in_memory() as folder, template.copies(folder) as copy:
        calm = _life(folder, copy, seed)
        n_points = in_child(live, calm).n_points
        wanted = record_of(calm)
        for point in range(8, n_points, every):
            life = _life(folder, copy, seed, has_fresh_keys=True)
            in_child(live, life, point)
            try:
                live(life)
                n_caught += record_of(life) != wanted
            except Exception:
                n_caught += 1
    return n_caught


def _life(folder: Path, copy: MakeDatabase, seed: int, **more: bool) -> Life:
    heard = folder / "heard"
    heard.write_text("", "utf-8")
    return Life(copy(), seed, heard, **more)


def _killed_life(life: Life, point: int, second: int, wanted: dict[str, Any]) -> Outcome:
    name = f"seed {life.seed}, killed at point {point} and at {second} of its recovery"
    died: Counter[str] = Counter()
    for kill_at in (point, second):
        ended = in_child(live, life, kill_at)
        if ended.is_killed:
            died[ended.points[-1]] += 1
        elif kill_at == point:
            sentence = f"{name}: the life ended before its first kill"
            return Outcome(1, 0, {}, (Wrong("books", sentence),))
    try:
        live(life)
        wrong = tuple(_differences(name, record_of(life), wanted))
    except Exception as error:
        wrong = (Wrong("lost", f"{name}: it does not end, {type(error).__name__}: {error}"),)
    return Outcome(1, died.total(), dict(died), wrong)


def _differences(name: str, found: dict[str, Any], wanted: dict[str, Any]) -> list[Wrong]:
    """Return what a life has left out, done twice or left on its way."""
    differences = []
    for what in ("facts", "events", "heard"):
        here, there = Counter(map(repr, found[what])), Counter(map(repr, wanted[what]))
        for kind, extra in (("lost", there - here), ("duplicated", here - there)):
            if extra:
                sentence = f"{name}: {what} {kind}: {'; '.join(sorted(extra))}"
                differences.append(Wrong(kind, sentence, extra.total()))  # type: ignore[arg-type]
    on_their_way = Counter(found["deliveries"]) - Counter(wanted["deliveries"])
    if on_their_way:
        sentence = f"{name}: deliveries {dict(on_their_way)} beyond {wanted['deliveries']}"
        differences.append(Wrong("in transit", sentence, on_their_way.total()))
    for what in ("states", "outstanding", "settled"):
        if found[what] != wanted[what]:
            sentence = f"{name}: {what} {found[what]}, wanted {wanted[what]}"
            differences.append(Wrong("books", sentence))
    return differences
