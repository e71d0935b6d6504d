"""Which process runs which tests: what shares an expensive fixture stays together.

A server, a world or a closed home is made once for all tests of its folder, and what a module makes
once is not made in two processes. Nothing else depends on it: tests run in any order.
"""

from __future__ import annotations

from typing import Any

import pytest

# Folders whose session fixtures cost more than an even spread would save, and the longest files:
# first, so that no process is left with one of them at the end.
FIRST = (
    "tests/integration/flows/",
    "tests/integration/world/",
    "tests/integration/report/",
    "tests/integration/market/",
    "tests/property/test_contract_verdicts.py",
    "tests/property/test_derive_accounts.py",
    "tests/property/test_whatif.py",
    "tests/property/test_compute.py",
    "tests/browser/",
)
TOGETHER = tuple(name for name in FIRST if name.endswith("/"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what hands the tests to the processes."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFixtures(LoadScopeScheduling):  # type: ignore[misc]
        """Hands out whole files and some whole folders, the longest first."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

        def _assign_work_unit(self, node: Any) -> None:
            for scope in reversed(FIRST):
                if scope in self.workqueue:
                    self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

    return ByFixtures(config, log)
