"""What collateral is worth for a call: after haircut, at the prices that the call rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from engine.market import known_rates
from infra.paying.valuation import HOLDING_COLUMNS, HoldingValuation
from tasks.assessments import assessment_path
from tasks.closes import load_basis
from tasks.kinds import KIND
from tasks.records import facts_of
from tasks.workplace import Workplace


@dataclass(frozen=True)
class CallValuation:
    """Values collateral for one call: a close's at that close, one within the day just now."""

    place: Workplace
    call: Mapping[str, Any]

    def value_in(self, asset: str, quantity: Decimal, place: str) -> Decimal:
        """Return what a deposit adds, rounded down. [currency of the call]

        Raises
        ------
        ParameterError
            If it adds nothing: not eligible, without a price, or beyond its concentration limit.
        """
        return self._valuation.value_in(asset, quantity, place)

    @property
    def rates(self) -> Mapping[str, float]:
        """Return the USD price of each asset."""
        return self._valuation.rates

    @cached_property
    def _valuation(self) -> HoldingValuation:
        run = self.place.database.runs.get(str(self.call["run_id"]))
        return self._at_close(str(run.run_id)) if run.kind == KIND else self._now(dict(run.inputs))

    def _at_close(self, run_id: str) -> HoldingValuation:
        close = load_basis(self.place, run_id).close
        hashes = facts_of(run_id, "require")["hashes"]
        path = assessment_path(run_id, "collateral")
        held = self.place.store.read_frame(path, content_hash=hashes["collateral"])
        mine = held[held["netting_set_id"].astype(str) == self.call["netting_set_id"]]
        return HoldingValuation(
            netting_set_id=str(self.call["netting_set_id"]),
            currency=str(self.call["currency"]),
            rules=close.rules,
            rates=known_rates(close.snapshot, close.rules),
            holdings=mine[list(HOLDING_COLUMNS)],
        )

    def _now(self, inputs: Mapping[str, Any]) -> HoldingValuation:
        """Return the valuation on the loop's book as it is on record."""
        from tasks.answering import book_now, latest_close
        from tasks.intraday import StoredBases

        run_id = str(self.call["run_id"])
        is_loops = "close" in inputs
        close_id = str(inputs["close"]) if is_loops else str(latest_close(self.place).run_id)
        base = StoredBases(self.place).load(close_id)
        book = book_now(self.place.database, base, run_id if is_loops else None)
        name = str(self.call["netting_set_id"])
        row = np.array([book.netting_set_id.index(name)], dtype=np.int64)
        held, rates = book.collateral(row)
        return HoldingValuation(
            netting_set_id=name,
            currency=str(self.call["currency"]),
            rules=base.rules,
            rates={
                asset: rate
                for asset, rate in zip(book.assets, rates.tolist(), strict=True)
                if np.isfinite(rate)
            },
            holdings=held[list(HOLDING_COLUMNS)],
        )
