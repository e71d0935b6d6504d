"""A triggered run sees the book that the loop decided on, from the loop's record alone."""

from __future__ import annotations

import numpy as np
import pytest

from infra.db import Database
from tasks.answering import book_now
from tests.integration.intraday.life import CLOSE
from tests.integration.intraday.test_restart import lived


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_the_book_of_a_triggered_run_is_the_loop_s(
    sqlite_database: Database, has_checkpoint: bool
) -> None:
    life = lived(sqlite_database)
    if has_checkpoint:
        life.checkpoint()
        life.tick(53_000.0, 40.0)
    # No instant later than the loop's: what would change is age alone.
    sqlite_database.clock = lambda: life.core.book.as_of
    book = book_now(sqlite_database, CLOSE, life.run_id)
    every = np.arange(len(book.netting_set_id))
    ours, loops = book.figures(every), life.core.book.figures(every)
    assert np.array_equal(ours.requirement, loops.requirement)
    assert np.array_equal(ours.owed, loops.owed)
    assert np.array_equal(ours.cover, loops.cover)
    without = book_now(sqlite_database, CLOSE, None).figures(every)
    assert not np.array_equal(without.cover, loops.cover)
