"""What calls bring to the house counts for who has paid it: once, and after a restart too."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from engine.intraday import CollateralReport
from infra.intraday.arrivals import Arrivals, PaidStep
from tests.worlds import small
from tests.worlds.loop import base

STEP = PaidStep(
    transfer_key="k1", state="unknown", netting_set_id="A", direction="call", source="vault/1",
    destination="deribit/9", asset="USDC", quantity=Decimal(100), fee=Decimal(1),
)  # fmt: skip


def told(arrivals: Arrivals, *steps: PaidStep) -> list[float]:
    found = [arrivals.take(step) for step in steps]
    return [one.quantity for one in found if isinstance(one, CollateralReport)]


def test_i15_a_payment_counts_at_the_house_from_its_credit_on_and_once() -> None:
    arrivals = Arrivals(base(), frozenset())
    credited = replace(STEP, state="credited")
    assert told(arrivals, STEP, replace(STEP, state="done"), credited) == [99.0]
    # Asked about after the credit, it is credited once more.
    assert told(arrivals, replace(STEP, state="stuck"), credited) == []
    assert told(arrivals, replace(credited, transfer_key="k2")) == [198.0]


def test_what_the_close_had_at_the_place_stays_there() -> None:
    held = small.collateral_set(("A", "USDC", 50.0))
    held.holdings["location"] = "deribit/9"
    made = replace(base(), collateral=held)
    assert told(Arrivals(made, frozenset()), replace(STEP, state="credited")) == [149.0]


def test_i15_what_the_house_returns_counts_no_more_as_soon_as_it_may_have_left() -> None:
    arrivals = Arrivals(base(), frozenset())
    arrivals.take(replace(STEP, state="credited"))
    back = replace(
        STEP, transfer_key="r1", direction="return", source="deribit/9", destination="vault/1",
        quantity=Decimal(30),
    )  # fmt: skip
    assert told(arrivals, back, replace(back, state="done")) == [69.0]
    assert told(arrivals, replace(back, state="rejected")) == [99.0]


def test_what_arrives_at_a_clients_own_account_is_told_by_its_venue() -> None:
    arrivals = Arrivals(base(), frozenset({"deribit/9"}))
    assert told(arrivals, replace(STEP, state="credited")) == []
