"""A call that is killed at any edge of its life, and again while it recovers, is lived once.

Here every so many points; `make fault` kills at each, with twenty seeds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.calls.sweeps import planted, sweep
from tests.fault.databases import Template
from tests.processes import apart

pytestmark = pytest.mark.timeout(600)


def test_killed_on_its_way_and_in_recovery_a_call_is_lived_once(template: Template) -> None:
    every = 13 if template.engine_name == "sqlite" else 29
    found = apart(sweep, template, 0, every)
    assert found.wrong == ()
    assert found.lives >= 5
    assert found.kills == 2 * found.lives


def test_the_harness_catches_a_key_that_is_made_anew_at_every_try(sqlite_template: Path) -> None:
    """The planted bug: after a lost answer the act is done twice, or refused as impossible."""
    assert apart(planted, Template("sqlite", str(sqlite_template)), 0, 40) >= 1
