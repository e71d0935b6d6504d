"""Who is in a drill: clients with leverage at three venues, where they pay from, one who gains.

Sizes are in dollars at the prices of the close. What the house's requirement is above the
collateral is an unsecured allowance, set so that each client begins with the same utilisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra.simulator.venues.connecting import TownAccount

UTILISATION: Final = 0.95
"""What a client owes over its collateral and allowance, at the close. [-]"""
RESERVE_SHARE: Final = 0.75
"""What a client can pay from elsewhere, over the sum of its positions. [-]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillClient:
    """A client of one netting set at one venue.

    Attributes
    ----------
    notional : mapping of str to float
        Signed size by the venue's symbol, long > 0. [USD]
    collateral : mapping of str to float
        Shares of its collateral by asset, at the venue.
    margin_share : float
        Its collateral over the sum of its positions, at the close. [-]
    payer, reserve : str
        Place that it pays calls from, and the asset there; empty for none.
    """

    netting_set_id: str
    client_id: str
    place: str
    notional: Mapping[str, float]
    collateral: Mapping[str, float]
    margin_share: float
    payer: str = ""
    reserve: str = ""
    says: str = ""

    @property
    def venue(self) -> str:
        """Return the venue of its positions."""
        return self.place.partition("/")[0]

    @property
    def gross(self) -> float:
        """Return the sum of its positions. [USD]"""
        return sum(abs(one) for one in self.notional.values())

    @property
    def account_id(self) -> str:
        """Return the platform's name of its account."""
        return f"{self.netting_set_id}-{self.venue}"

    @property
    def accounts(self) -> list[TownAccount]:
        """Return its places, as a connections file names them."""
        own = TownAccount(
            place=self.place, account_id=self.account_id, client_id=self.client_id,
            netting_set_id=self.netting_set_id,
        )  # fmt: skip
        if not self.payer:
            return [own]
        return [
            own,
            TownAccount(
                place=self.payer, account_id=f"{self.netting_set_id}-reserve",
                client_id=self.client_id, netting_set_id=self.netting_set_id, role="payer",
            ),
        ]  # fmt: skip


def clients_of(assets: Sequence[str]) -> tuple[DrillClient, ...]:
    """Return the clients of a day on which ``assets`` have prices."""
    alt = "SOL-USDT-SWAP" if "SOL" in assets else "ETH-USDT-SWAP"
    return (
        DrillClient(
            netting_set_id="aspen-1", client_id="aspen", place="binance/alpha",
            notional={"BTCUSDT": 600_000.0, "ETHUSDT": 600_000.0},
            collateral={"USDT": 0.9, "USDC": 0.1}, margin_share=0.16,
            payer="binance/main", reserve="USDT",
            says="long BTC and ETH at Binance, pays from its own wallet there",
        ),
        DrillClient(
            netting_set_id="birch-1", client_id="birch", place="okx/alpha",
            notional={alt: 500_000.0}, collateral={"USDT": 1.0}, margin_share=0.22,
            payer="okx/alpha-funding", reserve="USDT",
            says="long one coin at OKX, pays from its funding wallet",
        ),
        DrillClient(
            netting_set_id="cedar-1", client_id="cedar", place="deribit/1002",
            notional={"BTC-PERPETUAL": 800_000.0}, collateral={"BTC": 1.0}, margin_share=0.15,
            payer="fireblocks/1", reserve="BTC",
            says="long BTC against BTC at Deribit, pays from custody over the chain",
        ),
        DrillClient(
            netting_set_id="dogwood-1", client_id="dogwood", place="okx/beta",
            notional={"BTC-USDT-SWAP": 700_000.0, "ETH-USDT-SWAP": -250_000.0},
            collateral={"USDT": 0.7, "USDC": 0.3}, margin_share=0.17,
            payer="okx/beta-funding", reserve="USDT",
            says="long BTC, short ETH at OKX, a third of its collateral in USDC",
        ),
        DrillClient(
            netting_set_id="elm-1", client_id="elm", place="deribit/1003",
            notional={"BTC-PERPETUAL": -400_000.0}, collateral={"BTC": 1.0}, margin_share=0.30,
            says="short BTC at Deribit: the fall is its gain, nothing is asked of it",
        ),
    )  # fmt: skip
