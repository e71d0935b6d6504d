"""What the loop's figures must be: those of the close's engine, on positions that were told of.

Positions are folded here from the close and the fills. Prices that count must be prices that were
sent, of an instant that may still count. On those inputs `assess` must give what the loop recorded.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from engine.intraday import LiveBook
from engine.intraday.state import digest
from infra.intraday.base import Base
from infra.intraday.market import changes_of
from infra.intraday.packing import PackedMarks, unpack
from infra.intraday.reports import apply, report_of
from tasks.intraday import StoredBases
from tasks.workplace import workplace
from tests.soak.history import SECOND, History
from tests.soak.market import VENUES, Paths
from tests.soak.place import MARKET_FRAMES
from tests.soak.shadow import Shadow, TrueMarket

if TYPE_CHECKING:
    from tests.soak.checker import Findings
    from tests.soak.checks_record import RecordChecks

QUANTITY_ERROR = 1e-9
"""Relative difference of a sum of floats from the exact sum of decimals."""
PRICE_ERROR = 2e-4
"""The path between two instants that were looked at, and its own tick. [-]"""
BAND_MAX = 0.05
"""Widest band around the median of the sources: what one source may move a mark by. [-]"""
FRESH_ERROR = 0.03
"""Of a requirement on the board: prices of the last second, fills that are on their way. [-]"""
HELD_ERROR = 0.05
"""The same where prices of several instants stand side by side. [-]"""
N_CALLS, N_BOARDS, N_FIGURES = 12, 10, 40
QUIET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint, taken apart."""

    run_id: str
    taken_at: float
    inbox_position: int
    state: dict[str, np.ndarray]
    marks: PackedMarks
    state_hash: str


class BookChecks:
    """Checks of the book that the record holds."""

    def __init__(self, plan: dict[str, Any], history: History, record: RecordChecks) -> None:
        self._history, self._record = history, record
        self._close_id, self._epoch_ns = plan["close"], int(plan["epoch_ns"])
        market = {
            name: pd.read_parquet(f"{plan['market']}/{name}.parquet") for name in MARKET_FRAMES
        }
        self._paths = Paths(market["instruments"], market["marks"], int(plan["seed"]))
        self._chance = random.Random(f"checks {plan['seed']}")
        self._base: Base | None = None
        self._close: dict[tuple[str, str], float] = {}
        self._last_point = 0.0
        self._last_decision: tuple[str, int] = ("", 0)
        self._n_leaders = 1

    def check(self, found: Findings, *, is_final: bool) -> None:
        """Check the newest checkpoint, the newest calls, and what readers have seen."""
        base = self._load()
        self._paths.crashes = tuple(self._history.crashes)
        # Reports up to the checkpoint are on record before it is.
        point = self._point()
        if point is not None and (point.taken_at > self._last_point or is_final):
            self._last_point = point.taken_at
            self._record.check(found, is_final=False)
            self._positions(point, found)
            self._marks(point, found)
            self._hash(point, found)
            if is_final or self._history.n_leaders != self._n_leaders:
                self._n_leaders = self._history.n_leaders
                self._folded(point, base, found)
        self._calls(base, found)
        self._boards(base, found)

    def _load(self) -> Base:
        if self._base is None:
            self._base = StoredBases(workplace()).load(self._close_id)
            close = self._base.positions.positions
            keys = zip(
                close["account_id"].astype(str), close["instrument_id"].astype(str), strict=True
            )
            self._close = dict(zip(keys, close["quantity"].tolist(), strict=True))
        return self._base

    def _point(self) -> Point | None:
        rows = self._record.rows(
            "SELECT run_id, taken_at, inbox_position, marks, state_hash FROM intraday_checkpoints "
            "ORDER BY taken_at DESC LIMIT 1"
        )
        if not rows:
            return None
        row = rows[0]
        content = msgspec.msgpack.decode(bytes(row.marks))
        state = {
            name: np.frombuffer(values, dtype=kind).reshape(shape)
            for name, (kind, shape, values) in content["book"].items()
        }
        return Point(
            row.run_id, _seconds(row.taken_at), row.inbox_position, state,
            unpack(content["marks"]), row.state_hash,
        )  # fmt: skip

    def _held(self, until: int) -> dict[tuple[str, str], float]:
        """Return what is held after the reports up to a position of the inbox."""
        moved: dict[tuple[str, str], Any] = defaultdict(int)
        for fill in self._record.fills.values():
            if fill.position <= until:
                moved[fill.account_id, fill.instrument_id] += fill.quantity
        changed = {key: self._close.get(key, 0.0) + float(total) for key, total in moved.items()}
        return {**self._close, **changed}

    def _positions(self, point: Point, found: Findings) -> None:
        state = point.state
        accounts, instruments = state["names.account"], state["names.instrument"]
        held = {
            (str(accounts[account]), str(instruments[instrument])): float(quantity)
            for account, instrument, quantity in zip(
                state["position.account"].tolist(), state["position.instrument"].tolist(),
                state["position.quantity"].tolist(), strict=True,
            )
        }  # fmt: skip
        wanted = self._held(point.inbox_position)
        found.checked("positions are what was told", len(wanted))
        for key in held.keys() | wanted.keys():
            has, due = held.get(key, 0.0), wanted.get(key, 0.0)
            if abs(has - due) > QUANTITY_ERROR * max(abs(due), 1.0):
                found.violated(
                    "positions are what was told",
                    f"{key[0]} holds {has!r} of {key[1]}, not {due!r}",
                    inbox_position=point.inbox_position, taken_at=point.taken_at,
                )  # fmt: skip
                return

    def _marks(self, point: Point, found: Findings) -> None:
        names = [str(name) for name in self._instrument_ids()]
        marks = point.marks
        rows = np.array([self._paths.row_of.get(names[k], -1) for k in marks.instrument.tolist()],
                        dtype=np.int64)  # fmt: skip
        known = rows >= 0
        rows, price = rows[known], marks.mark_price[known]
        band = BAND_MAX if self._history.may_stand_at_band(point.taken_at) else 0.0
        for venue in VENUES:
            here = self._paths.venue[rows] == venue
            if not here.any():
                continue
            since = self._history.oldest_price(venue, point.taken_at)
            low, high = self._paths.range(
                max(self._elapsed(since), 0.0), self._elapsed(point.taken_at) + 1.0
            )
            at = rows[here]
            slack = PRICE_ERROR + band
            bad = (price[here] < low[at] * (1 - slack)) | (price[here] > high[at] * (1 + slack))
            found.checked("prices that count were sent", int(here.sum()))
            for place in np.flatnonzero(bad | ~np.isfinite(price[here]))[:3].tolist():
                name = self._paths.instrument_id[int(at[place])]
                found.violated(
                    "prices that count were sent",
                    f"{name} counts at {float(price[here][place])!r}, true between "
                    f"{float(low[at[place]])!r} and {float(high[at[place]])!r}",
                    taken_at=point.taken_at, since=since, at_band=band,
                )  # fmt: skip

    def _hash(self, point: Point, found: Findings) -> None:
        found.checked("state is what its hash says")
        if digest(point.state) != point.state_hash:
            found.violated("state is what its hash says", f"checkpoint of {point.run_id} differs")

    def _folded(self, point: Point, base: Base, found: Findings) -> None:
        """Fold close and journal anew, and compare with what the checkpoint gives (I-37, I-38)."""
        kept = LiveBook.load(
            point.state, base.snapshot, base.positions, base.rules, base.last_fresh
        )
        anew = LiveBook.open(
            base.snapshot, base.positions, base.collateral, base.rules, base.last_fresh
        )
        rows = self._record.rows(
            "SELECT kind, body FROM intraday_inbox WHERE run_id = :run AND position <= :until "
            "ORDER BY position", run=point.run_id, until=point.inbox_position,
        )  # fmt: skip
        for row in rows:
            body = msgspec.json.decode(row.body) if isinstance(row.body, str) else row.body
            apply(anew, report_of(row.kind, body))
        if kept.as_of > anew.as_of:
            anew.advance(kept.as_of)
        anew.apply_marks(changes_of(point.marks))
        ours, theirs = anew.figures(), kept.figures()
        is_held = theirs.status != ours.status
        same = (ours.requirement == theirs.requirement) | is_held
        found.checked("the journal folds to the state", len(same))
        for row in np.flatnonzero(~same)[:1].tolist():
            found.violated(
                "the journal folds to the state",
                f"{anew.netting_set_id[row]} owes {float(ours.requirement[row])!r} by the journal, "
                f"{float(theirs.requirement[row])!r} by the checkpoint",
                n=int((~same).sum()), apart=_apart(anew.save(), point.state),
            )  # fmt: skip
        fell = is_held & (theirs.requirement < ours.requirement * (1 - 1e-12))
        for row in np.flatnonzero(fell)[:1].tolist():
            found.violated(
                "what is owed does not fall by a fault",
                f"{anew.netting_set_id[row]} owes {float(theirs.requirement[row])!r} while "
                f"{theirs.reason[row]}, {float(ours.requirement[row])!r} without",
            )  # fmt: skip

    def _calls(self, base: Base, found: Findings) -> None:
        """Compute recorded calls of the newest decision anew, by `assess` (batch = loop)."""
        rows = self._record.rows(
            "SELECT run_id, number, inbox_position, facts, decided_at FROM intraday_decisions "
            "WHERE n_calls > 0 ORDER BY position DESC LIMIT 1"
        )
        if not rows or (rows[0].run_id, rows[0].number) == self._last_decision:
            return
        decision = rows[0]
        self._last_decision = (decision.run_id, decision.number)
        calls = self._record.rows(
            "SELECT netting_set_id, figures FROM intraday_calls WHERE run_id = :run AND number = "
            ":number ORDER BY call_id", run=decision.run_id, number=decision.number,
        )  # fmt: skip
        chosen = {
            str(row.netting_set_id): _json(row.figures)
            for row in self._chance.sample(calls, min(N_CALLS, len(calls)))
        }
        shadow = Shadow(base, list(chosen), self._held(decision.inbox_position))
        as_of = datetime.fromisoformat(str(_json(decision.facts)["as_of"]))
        packed = self._record.rows(
            "SELECT marks FROM intraday_decisions WHERE run_id = :run AND number <= :number "
            "ORDER BY number", run=decision.run_id, number=decision.number,
        )  # fmt: skip
        if as_of > shadow.book.as_of:
            shadow.book.advance(as_of)
        for one in packed:
            shadow.book.apply_marks(changes_of(unpack(bytes(one.marks))))
        assessed = shadow.assessed()
        for name, figures in chosen.items():
            found.checked("batch is loop")
            recorded, computed = float(figures["requirement"]), assessed[name]
            is_held = figures["status"] == "held"
            if recorded == computed or (is_held and recorded > computed):
                continue
            found.violated(
                "batch is loop",
                f"decision {decision.number} called {name} for {recorded!r}, assess gives "
                f"{computed!r}", status=figures["status"], reason=figures["reason"],
            )  # fmt: skip

    def _boards(self, base: Base, found: Findings) -> None:
        """Compare what readers saw with what is owed at true prices and told positions."""
        waiting, self._history.boards = self._history.boards, []
        seen = [row for row in waiting if row["requirement"] is not None and row["as_of"]]
        seen = [row for row in seen if self._history.began < _seconds(row["as_of"])]
        if not seen:
            return
        chosen = self._chance.sample(seen, min(N_BOARDS, len(seen)))
        # A fill of the last seconds may be in the figure or not; it is small.
        shadow = Shadow(
            base, sorted({row["netting_set_id"] for row in chosen}),
            self._held(self._record.inbox_last),
        )  # fmt: skip
        market = TrueMarket(base, self._paths, shadow.book)
        for number, row in enumerate(sorted(chosen, key=lambda one: _seconds(one["as_of"]))):
            self._board(row, shadow, market, found, is_first=number == 0)

    def _board(
        self, row: dict[str, Any], shadow: Shadow, market: TrueMarket, found: Findings, *,
        is_first: bool,
    ) -> None:  # fmt: skip
        name, at = row["netting_set_id"], _seconds(row["as_of"])
        shown = float(row["requirement"])
        venues = self._venues(name)
        since = min(self._history.oldest_price(venue, at) for venue in venues)
        instants = np.unique(np.linspace(since, at, 2 + min(int((at - since) / 4.0), 10)))
        owed = []
        for instant in instants.tolist():
            elapsed = max(self._elapsed(instant), 0.0)
            when = datetime.fromtimestamp(max(instant, at - 1.0), UTC)
            shadow.give(market.at(elapsed, round(instant * SECOND)), when)
            owed.append(shadow.requirement()[name])
        if is_first:
            found.checked("batch is loop", len(shadow.sets))
            found.notes["shadow"] = len(shadow.sets)
            assessed, live = shadow.assessed(), shadow.requirement()
            if assessed != live:
                found.violated("batch is loop", "assess and the live book differ",
                               assessed=assessed, live=live)  # fmt: skip
        least, most = min(owed), max(owed)
        found.checked("what is owed does not fall by a fault")
        is_quiet = self._history.is_quiet(at, QUIET_SECONDS)
        slack = FRESH_ERROR if is_quiet else HELD_ERROR
        slack += BAND_MAX if self._history.may_stand_at_band(at) else 0.0
        values = {"shown": row, "true_least": least, "true_most": most, "since": since}
        if shown < least * (1 - slack) - 1.0:
            found.violated(
                "what is owed does not fall by a fault",
                f"{name} is shown to owe {shown:,.2f}, at true prices it owes {least:,.2f} or more",
                **values,
            )  # fmt: skip
        elif is_quiet and row["status"] == "assessed" and shown > most * (1 + slack) + 1.0:
            found.violated(
                "the board is right in quiet times",
                f"{name} is shown to owe {shown:,.2f}, at true prices it owes {most:,.2f} or less",
                **values,
            )  # fmt: skip
        found.checked("the board is right in quiet times", int(is_quiet))

    def _venues(self, name: str) -> set[str]:
        assert self._base is not None
        close = self._base.positions.positions
        return set(close.loc[close["netting_set_id"] == name, "venue"].astype(str))

    def _instrument_ids(self) -> list[str]:
        assert self._base is not None
        return sorted(self._base.snapshot.instruments["instrument_id"].astype(str))

    def _elapsed(self, at: float) -> float:
        return at - self._epoch_ns / SECOND


def _json(value: Any) -> dict[str, Any]:
    return msgspec.json.decode(value) if isinstance(value, str) else dict(value)


def _seconds(value: Any) -> float:
    """Return an instant of the record or of the API as seconds since 1970."""
    if isinstance(value, datetime):
        return value.timestamp() if value.tzinfo else value.replace(tzinfo=UTC).timestamp()
    return pd.Timestamp(str(value)).tz_localize(None).timestamp() if value else time.time()


def _apart(
    ours: dict[str, np.ndarray[Any, Any]], theirs: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, str]:
    """Return how two states differ, by array, so that a violation says where to look."""
    found = {}
    for name, values in ours.items():
        other = theirs.get(name)
        if other is None or values.shape != other.shape:
            found[name] = f"{values.shape} {None if other is None else other.shape}"
        elif not np.array_equal(values, other, equal_nan=values.dtype.kind == "f"):
            at = np.flatnonzero((values != other).reshape(-1))[:3].tolist()
            pairs = [(values.reshape(-1)[n], other.reshape(-1)[n]) for n in at]
            found[name] = f"at {at}: {pairs}"
    return found
