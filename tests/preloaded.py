"""What the small process of ``tests/processes.py`` imports, so that its children need not."""

from __future__ import annotations

import tests.fault.calls.sweeps
import tests.fault.transfers.sweeps
import tests.integration.db.ledger_facts  # noqa: F401
