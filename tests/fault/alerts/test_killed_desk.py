"""A desk that is killed anywhere tells everything, and groups nothing twice (I-44)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.alerts.lives import sweep
from tests.processes import apart


@pytest.mark.fault
def test_a_desk_killed_at_every_point_loses_nothing_and_groups_nothing_twice(
    sqlite_template: Path,
) -> None:
    found = apart(sweep, str(sqlite_template))
    assert found.wrong == ()
    assert found.lives >= 10
