"""A reduction that is killed at any edge of its life, and again while it recovers, sells once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.databases import Template
from tests.fault.reductions.lives import sweep
from tests.processes import apart

pytestmark = pytest.mark.timeout(600)


def test_i06_i47_killed_at_points_of_its_life_nothing_is_lost_doubled_or_turned(
    sqlite_template: Path,
) -> None:
    found = apart(sweep, Template("sqlite", str(sqlite_template)), 3, 17)
    assert found.wrong == ()
    assert found.kills >= found.lives >= 2


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(6))
def test_i06_i47_killed_at_every_point_nothing_is_lost_doubled_or_turned(
    template: Template, seed: int
) -> None:
    """KP: every crash point, a second kill during recovery, then a clean run; seed 0 is calm."""
    found = apart(sweep, template, seed, 1)
    print(found.lives, "lives", found.kills, "kills", found.points)
    assert found.wrong == ()
    assert found.lives >= 20


@pytest.mark.fault
def test_the_harness_catches_a_fresh_id_per_try(sqlite_template: Path) -> None:
    """The planted bug: a checker that has never failed proves nothing."""
    found = apart(_planted, Template("sqlite", str(sqlite_template)))
    assert any("nobody recorded" in one.sentence for one in found.wrong)


def _planted(template: Template):
    return sweep(template, 0, 12, planted=True)
