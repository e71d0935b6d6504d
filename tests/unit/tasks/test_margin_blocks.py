"""Blocks have a size of their own, and a bad netting set is kept from the good ones."""

from __future__ import annotations

from tasks.margin_blocks import netting_sets_per_block


def test_block_size_follows_the_portfolio_within_its_bounds() -> None:
    assert netting_sets_per_block(1) == 64
    assert netting_sets_per_block(1_000) == 64
    assert netting_sets_per_block(10_000) == 625
    assert netting_sets_per_block(1_000_000) == 4096
