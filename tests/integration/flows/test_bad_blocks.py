"""A netting set that cannot be margined fails by name; the figures of the others do not move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.assess import combine
from engine.assessment import Assessment
from engine.margin.block import blocks_of
from engine.margin.filtered_historical import BlockMargins, margin_block
from engine.margin.unanswered import unanswered, with_failures
from engine.market import PreparedMarket, prepare
from engine.portfolio import Portfolio, portfolio
from tasks.closes import RunBasis, load_basis
from tasks.margin_blocks import Refusal, margin_or_refusal, margin_portfolio
from tasks.workplace import workplace
from tests.integration.flows.conftest import FIRST_DATE


@pytest.fixture
def basis(home_after_first: Path) -> RunBasis:
    """Return what the close of the first date rests on."""
    return load_basis(workplace(), f"eod-{FIRST_DATE}-1")


@pytest.fixture
def market(basis: RunBasis) -> PreparedMarket:
    return prepare(basis.close.snapshot, basis.close.rules)


@pytest.fixture
def book(basis: RunBasis, market: PreparedMarket) -> Portfolio:
    close = basis.close
    return portfolio(market, close.positions, close.collateral, close.rules)


def assessed(
    basis: RunBasis, market: PreparedMarket, book: Portfolio, blocks: list[BlockMargins]
) -> Assessment:
    close = basis.close
    return combine(
        market, book, blocks, close.snapshot, close.positions, close.rules, basis.last_fresh
    )


def spoilt(book: Portfolio, netting_set: int) -> Portfolio:
    """Return the book with an infinite position in one netting set."""
    group = int(np.searchsorted(book.group_netting_set, netting_set))
    first = int(book.rows.leg_ptr[book.rows.group_ptr[group]])
    weight = book.rows.weight.copy()
    weight[first] = np.inf
    return replace(book, rows=replace(book.rows, weight=weight))


def test_a_refused_block_fails_only_the_netting_set_that_it_was_refused_for(
    basis: RunBasis, market: PreparedMarket, book: Portfolio
) -> None:
    house = basis.close.rules.house
    row = 7
    name = str(book.netting_sets["netting_set_id"].iloc[row])
    bad = spoilt(book, row)
    (block,) = blocks_of(bad, market, house)
    assert isinstance(margin_or_refusal(market, block), Refusal)
    margined = margin_portfolio(market, bad, house, None)
    found = assessed(basis, market, margined.book, margined.blocks).requirements
    failed = found[found["status"] == "failed"]
    assert failed["netting_set_id"].tolist() == [name]
    assert "inf" in failed["reason"].iloc[0]
    healthy = margin_portfolio(market, book, house, None)
    clean = assessed(basis, market, healthy.book, healthy.blocks).requirements
    others = found["netting_set_id"] != name
    pd.testing.assert_frame_equal(found[others], clean[others], check_exact=True)


def test_a_block_without_an_answer_fails_its_netting_sets_and_no_others(
    basis: RunBasis, market: PreparedMarket, book: Portfolio
) -> None:
    house = basis.close.rules.house
    blocks = blocks_of(book, market, house, netting_sets_per_block=10)
    answers = [margin_block(market, block) for block in blocks]
    clean = assessed(basis, market, book, answers)
    lost = blocks[1]
    rows = range(lost.first_netting_set, lost.first_netting_set + lost.n_netting_sets)
    answers[1] = unanswered(lost)
    marked = with_failures(book, dict.fromkeys(rows, "block 1 was given up"))
    found = assessed(basis, market, marked, answers)
    failed = found.requirements["status"] == "failed"
    assert np.flatnonzero(failed).tolist() == list(rows)
    assert (found.requirements.loc[failed, "reason"] == "block 1 was given up").all()
    assert (found.requirements.loc[failed, "call_action"] == "none").all()
    pd.testing.assert_frame_equal(
        found.requirements[~failed], clean.requirements[~failed], check_exact=True
    )
    names = set(found.requirements.loc[failed, "netting_set_id"])
    kept = clean.contributions[~clean.contributions["netting_set_id"].isin(names)]
    pd.testing.assert_frame_equal(
        found.contributions, kept.reset_index(drop=True), check_exact=True
    )


def test_the_size_of_blocks_changes_no_figure(
    basis: RunBasis, market: PreparedMarket, book: Portfolio
) -> None:
    house = basis.close.rules.house
    frames = []
    for size in (1, 7, 4096):
        blocks = blocks_of(book, market, house, netting_sets_per_block=size)
        answers = [margin_block(market, block) for block in blocks]
        frames.append(assessed(basis, market, book, answers).requirements)
    pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)
    pd.testing.assert_frame_equal(frames[0], frames[2], check_exact=True)
