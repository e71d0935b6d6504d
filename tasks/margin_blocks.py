"""Margin the blocks of a portfolio on Dask workers, and keep a bad block from the good ones.

Workers import this module, so it imports no orchestrator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import MarginPlatformError
from engine.margin.block import NETTING_SETS_PER_BLOCK, Block, blocks_of
from engine.margin.filtered_historical import BlockMargins, margin_block
from engine.margin.unanswered import unanswered, with_failures
from engine.market import PreparedMarket
from engine.portfolio import Portfolio
from engine.rules import HouseParameters
from tasks.cluster import ClusterOptions
from tasks.fan_out import FanOut, LostBlock, fan_out

_BLOCKS_MIN = 16
_NETTING_SETS_PER_BLOCK_MIN = 64


@dataclass(frozen=True, slots=True)
class Refusal:
    """A block that the engine refuses, and why."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class MarginedPortfolio:
    """A portfolio, its failures marked, with the margins of all its blocks in order."""

    book: Portfolio
    blocks: list[BlockMargins]
    n_blocks: int


def margin_or_refusal(market: PreparedMarket, block: Block) -> BlockMargins | Refusal:
    """Return the margins of ``block``, or the reason for which the engine refuses it."""
    try:
        return margin_block(market, block)
    except MarginPlatformError as error:
        return Refusal(str(error))


def netting_sets_per_block(n_netting_sets: int) -> int:
    """Return the size of blocks: a function of the portfolio, never of the number of workers."""
    share = -(-n_netting_sets // _BLOCKS_MIN)
    return min(max(share, _NETTING_SETS_PER_BLOCK_MIN), NETTING_SETS_PER_BLOCK)


def margin_portfolio(
    market: PreparedMarket,
    book: Portfolio,
    house: HouseParameters,
    options: ClusterOptions | None,
    on_progress: Callable[[int, int], None] = lambda _n_done, _n_total: None,
) -> MarginedPortfolio:
    """Return the margins of every netting set of ``book``, computed by the cluster's workers.

    A block that the engine refuses is margined again one netting set at a time, so that only the
    one it cannot margin fails. A block that is lost with its workers fails as a whole, because
    computing it here could kill this process too.

    Parameters
    ----------
    options : ClusterOptions or None
        Where to compute; None computes in this process.
    on_progress : callable
        Told the number of blocks done and of all blocks.
    """
    blocks = blocks_of(book, market, house, netting_sets_per_block(book.n_netting_sets))
    answers: list[BlockMargins | Refusal | LostBlock]
    if options is None:
        answers = [margin_or_refusal(market, block) for block in blocks]
    else:
        work = FanOut("margin", margin_or_refusal, market, blocks)
        answers = fan_out(work, options, lambda n_done: on_progress(n_done, len(blocks)))
    singles = _singles(market, book, house, answers)
    found: list[BlockMargins] = []
    reasons: dict[int, str] = {}
    for block, answer in zip(blocks, answers, strict=True):
        rows = range(block.first_netting_set, block.first_netting_set + block.n_netting_sets)
        if isinstance(answer, BlockMargins):
            found.append(answer)
        elif isinstance(answer, LostBlock):
            found.append(unanswered(block))
            reasons.update(dict.fromkeys(rows, answer.reason))
        else:
            for row in rows:
                alone = margin_or_refusal(market, singles[row])
                if isinstance(alone, Refusal):
                    reasons[row] = alone.reason
                    alone = unanswered(singles[row])
                found.append(alone)
    return MarginedPortfolio(with_failures(book, reasons), found, len(blocks))


def _singles(
    market: PreparedMarket,
    book: Portfolio,
    house: HouseParameters,
    answers: list[BlockMargins | Refusal | LostBlock],
) -> list[Block]:
    if not any(isinstance(answer, Refusal) for answer in answers):
        return []
    return blocks_of(book, market, house, netting_sets_per_block=1)
