"""Blocks that no one could margin: their netting sets fail by name, the others are not touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from engine.margin.block import WORST_SCENARIOS, Block
from engine.margin.book_margins import BookMargins
from engine.margin.filtered_historical import BlockMargins
from engine.portfolio import Portfolio


def unanswered(block: Block) -> BlockMargins:
    """Return margins of zero in the shape of ``block``, to hold its place when blocks are joined.

    Its netting sets owe nothing by these figures, so they must be marked with ``with_failures``.
    """
    zeros = np.zeros(block.rows.n_groups)
    nobody = np.zeros(0, dtype=np.int64)
    shape = (block.n_netting_sets, WORST_SCENARIOS)
    return BlockMargins(
        margins=BookMargins(**{field.name: zeros for field in fields(BookMargins)}),
        governing=np.searchsorted(block.group_netting_set, np.arange(block.n_netting_sets)),
        position_group=nobody,
        position_row=nobody,
        position_weight=np.zeros(0),
        position_core=np.zeros(0),
        position_share=np.zeros(0),
        worst_scenario=np.full(shape, -1, dtype=np.int64),
        worst_loss=np.zeros(shape),
        cell_group=nobody,
        cell_asset=nobody,
        cell=nobody,
        cell_loss=np.zeros(0),
    )


def with_failures(book: Portfolio, reasons: Mapping[int, str]) -> Portfolio:
    """Return ``book`` with the netting sets in the rows of ``reasons`` marked as failed."""
    netting_sets = book.netting_sets.copy()
    failure = netting_sets["failure"].tolist()
    for row, reason in reasons.items():
        failure[row] = "; ".join(part for part in (failure[row], reason) if part)
    netting_sets["failure"] = np.array(failure, dtype=object)
    return replace(book, netting_sets=netting_sets.astype({"failure": "str"}))
