"""Recompute a run from its snapshot and the rules as known then, and compare bit for bit."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pandas as pd

from engine.assess import combine
from engine.assessment import Assessment
from engine.market import prepare
from engine.portfolio import portfolio
from infra.telemetry import Step, code_version, progress
from tasks.assessments import FRAMES, assessment_path
from tasks.closes import RunBasis, load_basis
from tasks.failures import ReplayDiffers
from tasks.lookup import chosen_run
from tasks.margin_blocks import margin_portfolio
from tasks.records import facts_of
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class FrameVerdict:
    """One frame: recorded and recomputed hash of its file, and the first cell that differs."""

    frame: str
    n_rows: int
    recorded: str
    recomputed: str
    difference: str

    @property
    def is_equal(self) -> bool:
        """Return whether both are the same bytes."""
        return self.recorded == self.recomputed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the replay of a run found."""

    run_id: str
    snapshot_id: str
    rule_book_hash: str
    code_then: str
    code_now: str
    frames: tuple[FrameVerdict, ...]

    @property
    def is_equal(self) -> bool:
        """Return whether every frame is the same bytes."""
        return all(frame.is_equal for frame in self.frames)

    def as_json(self) -> dict[str, object]:
        """Return the verdict as JSON values."""
        return {**asdict(self), "is_equal": self.is_equal}

    def require_equal(self) -> None:
        """Raise ReplayDiffers if a frame differs."""
        differing = [frame for frame in self.frames if not frame.is_equal]
        if not differing:
            return
        code = (
            ""
            if self.code_then == self.code_now
            else (f"; the code was {self.code_then} then and is {self.code_now} now")
        )
        raise ReplayDiffers(
            f"replay of {self.run_id} differs in {', '.join(f.frame for f in differing)}: "
            f"{differing[0].difference}{code}",
            identifier=self.run_id,
            value=differing[0].recomputed,
            limit=differing[0].recorded,
        )


def replay_run(run_id: str) -> Verdict:
    """Return how a recomputation of ``run_id`` compares with what it has kept.

    Snapshot, rule book and last fresh requirements are verified against their hashes first. The
    blocks are computed in this process, in the order of the blocks.

    Raises
    ------
    MissingDataError
        If there is no such run, or it has no results.
    StateError
        If snapshot, rule book or a stored frame were altered.
    """
    run = chosen_run(run_id)
    place = workplace()
    hashes = facts_of(run.run_id, "require")["hashes"]
    found = _recomputed(load_basis(place, run.run_id))
    frames = tuple(
        _frame_verdict(place, run.run_id, name, hashes[name], getattr(found, name))
        for name in FRAMES
        if name in hashes
    )
    return Verdict(
        run_id=run.run_id,
        snapshot_id=run.snapshot_id or "",
        rule_book_hash=run.rule_book_hash or "",
        code_then=run.code_version,
        code_now=code_version(),
        frames=frames,
    )


def replay_table(verdict: Verdict) -> Table:
    """Return the verdict as a table."""
    from rich import box
    from rich.table import Table

    word = "[green]the same bytes[/]" if verdict.is_equal else "[bold red]different[/]"
    table = Table(title=f"Replay of {verdict.run_id}: {word}", box=box.SIMPLE_HEAD)
    for head in ("Frame", "Rows", "Recorded", "Recomputed", "Verdict"):
        table.add_column(head, justify="right" if head == "Rows" else "left", no_wrap=True)
    for frame in verdict.frames:
        table.add_row(
            frame.frame,
            f"{frame.n_rows:,}",
            frame.recorded[:16],
            frame.recomputed[:16],
            "[green]equal[/]" if frame.is_equal else f"[red]{frame.difference}[/]",
        )
    return table


def _recomputed(basis: RunBasis) -> Assessment:
    close = basis.close
    progress().report(Step("revalue", 0, 1))
    market = prepare(close.snapshot, close.rules)
    progress().report(Step("revalue", 1, 1))
    book = portfolio(market, close.positions, close.collateral, close.rules)
    progress().report(Step("require", 0, 1))
    margined = margin_portfolio(market, book, close.rules.house, None)
    progress().report(Step("require", 1, 1))
    return combine(
        market,
        margined.book,
        margined.blocks,
        close.snapshot,
        close.positions,
        close.rules,
        basis.last_fresh,
    )


def _frame_verdict(
    place: Workplace, run_id: str, name: str, recorded: str, frame: pd.DataFrame
) -> FrameVerdict:
    from infra.store.arrow import to_frame, to_parquet, to_table

    table = to_table(frame)
    recomputed = hashlib.sha256(to_parquet(table)).hexdigest()
    difference = ""
    if recomputed != recorded:
        stored = place.store.read_frame(assessment_path(run_id, name), content_hash=recorded)
        difference = _first_difference(stored, to_frame(table))
    return FrameVerdict(name, len(frame), recorded, recomputed, difference)


def _first_difference(stored: pd.DataFrame, found: pd.DataFrame) -> str:
    if len(stored) != len(found):
        return f"{len(stored)} rows then, {len(found)} now"
    if list(stored.columns) != list(found.columns):
        return f"columns {sorted(set(stored.columns) ^ set(found.columns))} differ"
    for column in stored.columns:
        pairs = zip(stored[column].tolist(), found[column].tolist(), strict=True)
        for row, (then, now) in enumerate(pairs):
            # A missing value is not equal to itself.
            if then != now and not (pd.isna(then) and pd.isna(now)):
                name = str(stored.iloc[row, 0])
                return f"{name}: {column} was {then!r}, now {now!r}"
    return "types differ"
