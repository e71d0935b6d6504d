"""Real limits for the integration tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """Run the test without the rights of root; yield a folder whose ``locked`` is read-only."""
    top = Path(tempfile.mkdtemp(prefix="plimsoll-nobody-", dir="/tmp"))
    top.chmod(0o755)
    locked = top / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield top
    finally:
        if privileged:
            os.seteuid(0)
        locked.chmod(0o755)
        shutil.rmtree(top)
