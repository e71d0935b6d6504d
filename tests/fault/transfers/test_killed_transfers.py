"""A transfer that is killed at any edge of its life, and again while it recovers, moves once.

Here with one seed; `make fault` takes twenty.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.databases import Template
from tests.fault.transfers.sweeps import mixed, planted, sweep
from tests.processes import apart

pytestmark = pytest.mark.timeout(600)


def test_i06_i07_i08_killed_at_every_point_once_nothing_is_lost_doubled_or_in_transit(
    template: Template,
) -> None:
    """KP, fault 2 and 3: every crash point, a second kill during recovery, then a clean run."""
    found = apart(sweep, template, 0)
    assert found.wrong == ()
    assert found.lives >= 15
    assert found.kills >= found.lives


def test_i06_i08_i15_many_transfers_under_all_faults_are_booked_once_each(
    template: Template,
) -> None:
    n = 100 if template.engine_name == "sqlite" else 30
    found = apart(mixed, template, 7, n, 4)
    assert found.wrong == ()
    assert found.lives == n
    assert found.kills >= 2


def test_the_harness_catches_a_fresh_id_per_try(sqlite_template: Path) -> None:
    """The planted bug: a checker that has never failed proves nothing."""
    found = apart(planted, Template("sqlite", str(sqlite_template)))
    assert any("nobody recorded" in sentence for sentence in found), found
