"""A drill as it happens, in lines for people: prices that fall, calls, transfers that arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from infra.drill.story import Sample

if TYPE_CHECKING:
    from infra.db import Database

_FALL: Final = 0.05
"""A price is told again when it has moved by this much since it was told last."""
_TOLD: Final = ("proposed", "unknown", "credited", "reconciled", "rejected", "stuck")
_WORDS: Final = {
    "proposed": "proposed", "unknown": "sent", "credited": "credited", "reconciled": "credited",
    "rejected": "refused", "stuck": "stuck",
}  # fmt: skip


@dataclass(slots=True)
class Teller:
    """Tells what is new since it was asked last."""

    database: Database
    on_told: Callable[[datetime, str, str], None]
    _prices: dict[str, float] = field(default_factory=dict)
    _calls: set[str] = field(default_factory=set)
    _transfers: dict[str, str] = field(default_factory=dict)

    def tell(self, sample: Sample) -> None:
        """Tell what the last step has brought."""
        for asset, price in sample.prices.items():
            before = self._prices.setdefault(asset, price)
            if abs(price / before - 1.0) >= _FALL:
                self.on_told(
                    sample.at, "venues", f"{asset} at {price:,.0f}, {price / before - 1:+.1%}"
                )
                self._prices[asset] = price
        for call in self.database.intraday_journal.open_calls().values():
            if call.direction == "call" and call.call_id not in self._calls:
                self._calls.add(call.call_id)
                used = sample.utilisation[call.netting_set_id]
                what = f"calls {call.amount:,.0f} {call.currency} of {call.netting_set_id}, "
                self.on_told(sample.at, "loop", f"{what}which uses {used:.0%} of its cover")
        for record in self.database.transfers.list(_TOLD):
            known, word = self._transfers.get(record.transfer_key), _WORDS[record.state]
            if known != word:
                self._transfers[record.transfer_key] = word
                moved = f"{record.intent.quantity:,.4f} {record.intent.asset}"
                way = f"{record.intent.source} to {record.intent.destination}"
                self.on_told(sample.at, "desk", f"{moved} from {way}: {word}")
