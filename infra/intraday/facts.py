"""What a decision rests on beside prices and reports: what was not trusted, and since which figure.

Everything as the book was told it, floats to the bit, so that its amounts can be computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.arrays import Int64Array1D
from engine.intraday.floors import floors_of

if TYPE_CHECKING:
    from infra.intraday.core import LoopCore


def facts_of(core: LoopCore, called: Sequence[str]) -> dict[str, object]:
    """Return the facts of a decision that calls these netting sets.

    ``distrusted`` has the ages that the book counts with, ``floors`` what each called netting set
    that is not trusted required and owed when it last was.
    """
    facts: dict[str, object] = {
        "as_of": core.book.as_of.isoformat(),
        "distrusted": [
            {
                "scope": one.scope,
                "name": one.name,
                "state": one.state,
                "age_seconds": repr(core.trust.told_age_seconds(one)),
            }
            for one in core.trust.current()
        ],
    }
    rows: Int64Array1D = np.array([core.row_of[name] for name in called], dtype=np.int64)
    if facts["distrusted"] and rows.size:
        required, owed = floors_of(core.book, rows)
        facts["floors"] = {
            name: [repr(float(required[at])), repr(float(owed[at]))]
            for at, name in enumerate(called)
            if not np.isnan(owed[at])
        }
    return facts
