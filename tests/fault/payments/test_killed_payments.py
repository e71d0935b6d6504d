"""A call that is paid by itself is paid once, wherever loop and desk are killed.

Here every so many points; `make fault` kills at each, with several seeds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.databases import Template
from tests.fault.payments.sweeps import sweep
from tests.processes import apart

pytestmark = pytest.mark.timeout(600)


def test_i06_i15_killed_between_call_plan_pledge_and_send_a_call_is_paid_once(
    sqlite_template: Path,
) -> None:
    found = apart(sweep, Template("sqlite", str(sqlite_template)), 1, 23)
    assert found.wrong == ()
    assert found.kills >= found.lives >= 2


@pytest.mark.fault
def test_i06_i15_killed_at_each_fifth_point_a_call_is_paid_once(template: Template) -> None:
    found = apart(sweep, template, 2, 5)
    assert found.wrong == ()
    assert {"paying:collect:before-commit", "loop:commit:after-commit"} & set(found.points)
