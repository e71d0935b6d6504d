"""Twelve and more kinds of breaks, each planted at its source, found, and put into its class.

Release gate: every class is found and classified, and a clean day with fills and transfers under
way has no break (I-45). Breaks are closed by what is reported, posted or accepted alone (I-46).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pytest

from engine.errors import ParameterError
from engine.transfers import TransferIntent
from infra.connections import open_connections
from infra.reconciling import Look, funding
from infra.settings import Settings
from infra.simulator.oms.reports import Report
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.core.trading import deleverage, pay_funding
from infra.transfers import KillSwitch, TransferDesk
from tests.integration.reconciling.desk_scene import ALPHA, Scene, scene
from tests.integration.transfers.fake_venue import listed, rules

BTC = "binance:BTCUSDT"


@dataclass(frozen=True)
class Planted:
    """A break: how it is planted, in which scope it shows, and as what."""

    plant: Callable[[Scene], None]
    scope: str
    kind: str
    item: str


def _struck(
    kind: FaultKind, symbol: str, place: tuple[str, str] = ("binance", "alpha"), **told: object
) -> Callable[[Scene], None]:
    def plant(found: Scene) -> None:
        found.fault(kind, **told)
        found.trade(symbol, "buy", "20" if place[0] == "deribit" else "0.5", *place)
        found.tell()

    return plant


def _phantom(found: Scene) -> None:
    """A trade that the desk believes in and the venue has never seen."""
    now = found.town.clock.wall()
    found.report(_report("phantom-1", "D-7", "SOLUSDT", now - timedelta(minutes=10), now))


def _unknown_account(found: Scene) -> None:
    now = found.town.clock.wall()
    found.report(_report("stranger-1", "D-404", "BTCUSDT", now, now))


def _report(name: str, account: str, symbol: str, at: datetime, now: datetime) -> Report:
    return Report(
        execution_id=name, kind="trade", refers_to="", account=account, exchange="binance",
        symbol=symbol, side="buy", quantity=Decimal(7), price=Decimal(150), executed_at=at,
        reported_at=now,
    )  # fmt: skip


def _deleveraged(found: Scene) -> None:
    """The venue closes a part of a position, and nobody at the desk has ordered it."""
    deleverage(found.book, found.alpha, "ETHUSDT", Decimal("0.25"))
    found.tell()


def _unreadable(found: Scene) -> None:
    header = (
        "execution_id,kind,refers_to,account_id,instrument_id,side,quantity,execution_price,"
        "executed_utc,reported_utc\n"
    )
    (found.folder / "executions-bad.csv").write_text(
        f"{header}E-9,trade,,D-7,{BTC},sideways,1,60000,2026-11-20T12:00:00Z,\n", encoding="utf-8"
    )
    found.take()


def _late_transfer(found: Scene) -> None:
    """A transfer of two hours ago that was paid and whose credit never came."""
    database = found.database
    transfers = TransferDesk(database, _policy(), KillSwitch(found.folder))
    found.town.plan.inject(Fault(kind=FaultKind.CREDIT_MISSING, venue="deribit"))
    clock = database.clock
    database.clock = lambda: clock() - timedelta(hours=2)
    _approved(found, transfers, "0.4")
    _send(found, transfers)
    database.clock = clock


def _margin(found: Scene) -> None:
    found.town.plan.inject(
        Fault(kind=FaultKind.MARGIN_MODEL_CHANGED, venue="binance", parameters={"factor": "1.5"})
    )


def _nothing(found: Scene) -> None:
    """Planted before the others: funding is judged between two rounds."""


CLASSES = {
    "missing at the venue": Planted(_phantom, "positions", "missing_there", "binance:SOLUSDT"),
    "missing internally": Planted(
        _struck(FaultKind.EXECUTION_MISSING, "BTCUSDC"), "positions", "missing_here",
        "binance:BTCUSDC",
    ),
    "quantity, by the venue's own act": Planted(
        _deleveraged, "positions", "quantity", "binance:ETHUSDT"
    ),
    "quantity, by a wrong execution": Planted(
        _struck(FaultKind.EXECUTION_WRONG_QUANTITY, "ETHUSDC", factor="3"), "positions",
        "quantity", "binance:ETHUSDC",
    ),
    "wrong side": Planted(
        _struck(FaultKind.EXECUTION_WRONG_SIDE, "BTCUSDT"), "positions", "sign", BTC
    ),
    "duplicate under another name": Planted(
        _struck(FaultKind.EXECUTION_DUPLICATED, "SOLUSDC"), "positions", "duplicate",
        "binance:SOLUSDC",
    ),
    "unknown instrument": Planted(
        _struck(FaultKind.EXECUTION_UNKNOWN_INSTRUMENT, "ETH-PERPETUAL", ("deribit", "1002")),
        "positions", "unknown_item", "deribit:ETH-PERPETUAL-UNLISTED",
    ),
    "same name, other content": Planted(
        _struck(FaultKind.EXECUTION_REWRITTEN, "BTC-PERPETUAL", ("deribit", "1002")),
        "reports", "conflict", "deribit-",
    ),
    "bust of what never was": Planted(
        _struck(FaultKind.EXECUTION_BUSTED_ASTRAY, "BTC-PERPETUAL", ("deribit", "1002")),
        "reports", "unmatched", "deribit-",
    ),
    "unreadable": Planted(_unreadable, "reports", "unreadable", "E-9"),
    "unknown account": Planted(_unknown_account, "reports", "unknown_item", "D-404"),
    "balance": Planted(lambda found: found.lose("USDT", "12.5"), "balances", "quantity", "USDT"),
    "movement that takes too long": Planted(_late_transfer, "balances", "late", "BTC"),
    "funding": Planted(_nothing, "funding", "funding", BTC),
    "funding that was not paid": Planted(
        _nothing, "funding", "missing_there", "binance:ETHUSDT"
    ),
    "margin model": Planted(_margin, "margin", "margin_model", "USDT in USDT"),
}  # fmt: skip
# What goes with another one: told under a wrong name it is missing under the right one, and a
# model that changed changed for every currency.
BESIDES = {
    ("positions", "quantity", "deribit:ETH-PERPETUAL"),
    ("positions", "missing_here", "deribit:ETH-PERPETUAL"),
    ("margin", "margin_model", "USDC in USDC"),
}


def test_seventeen_classes_of_breaks_are_found_and_classified(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> None:
    """Planted at their sources, all at once: each is found as what it is, and nothing else."""
    monkeypatch.setattr(funding, "MISSING_AFTER", timedelta(0))

    async def act() -> None:
        async with scene(quick_folder, monkeypatch, sqlite_template) as found:
            await asyncio.to_thread(_pay, found, {"BTCUSDT": Decimal("1.5"), "ETHUSDT": None})
            await found.look()
            for planted in CLASSES.values():
                await asyncio.to_thread(planted.plant, found)
            look = await found.settle()
            seen = {
                (scope.scope, each.kind, each.item[1])
                for scope in look.scopes
                for each in scope.differences
                if each.is_break
            }
            for name, planted in CLASSES.items():
                hits = {
                    one
                    for one in seen
                    if one[:2] == (planted.scope, planted.kind) and one[2].startswith(planted.item)
                }
                assert hits, f"{name} is not among {sorted(seen)}"
                seen -= hits
            assert seen <= BESIDES
            assert all(each.owner and each.break_id for each in look.breaks)
            # The seventeenth: a side that cannot be read is never taken for agreement.
            found.town.plan.inject(Fault(kind=FaultKind.BAD_GATEWAY, venue="binance"))
            look = await found.look()
            stale = {each.kind for each in look.breaks if each.item[0] == ALPHA}
            assert stale - {"funding", "missing_there"} == {"stale_side"}

    asyncio.run(act())


@pytest.mark.parametrize(
    ("n_rounds", "speed"), [(3, 0.0), pytest.param(24, 20.0, marks=pytest.mark.slow)]
)
def test_a_clean_day_with_fills_and_transfers_under_way_has_no_break(
    n_rounds: int,
    speed: float,
    quick_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    sqlite_template: Path,
) -> None:
    """I-45: what is on its way explains itself to the last digit, and nothing else differs."""
    moving = TownParameters(seed=7, tick_seconds=0.05 if speed else 0.0, speed=speed)

    async def act() -> None:
        async with scene(quick_folder, monkeypatch, sqlite_template, moving) as found:
            transfers = TransferDesk(found.database, _policy(), KillSwitch(quick_folder))
            for number in range(n_rounds):
                side = "buy" if number % 2 else "sell"
                found.trade("BTCUSDT", side, f"0.{number % 9 + 1}")
                found.trade("ETHUSDT", "buy", "1.5")
                found.trade("BTC-PERPETUAL", "sell", "20", "deribit", "1002")
                record = _approved(found, transfers, f"0.0{number % 9 + 1}1")
                if number == 1:
                    await asyncio.to_thread(_pay, found)
                looking = asyncio.create_task(found.look())
                # The desk speaks, and money moves, while the round is under way.
                await asyncio.sleep(0.05)
                await transfers.send_due(_gateways(found))
                found.tell()
                look = await looking
                assert not look.breaks, [
                    (each.kind, each.item, each.detail) for each in look.breaks
                ]
                for _ in range(4):
                    await transfers.resolve_due(_gateways(found), everything=True)
                assert found.database.transfers.get(record.transfer_key).debited_at
            assert look.scope("margin").n_compared >= 1
            assert look.scope("funding").n_compared + len(found.database.funding.latest()) >= 2
            assert {check.verdict for check in found.database.funding.latest()} == {"agreed"}
            assert look.scope("positions").n_compared >= 4

    asyncio.run(act())


def test_breaks_of_positions_close_by_executions_alone(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> None:
    """I-46: a bust, a correction, a late report close what each of them explains."""

    async def act() -> None:
        async with scene(quick_folder, monkeypatch, sqlite_template) as found:
            found.rules = None
            faults = {
                FaultKind.EXECUTION_DUPLICATED: "BTCUSDT",
                FaultKind.EXECUTION_WRONG_SIDE: "ETHUSDT",
                FaultKind.EXECUTION_WRONG_QUANTITY: "SOLUSDC",
                FaultKind.EXECUTION_REWRITTEN: "BTCUSDC",
            }
            for kind, symbol in faults.items():
                _struck(kind, symbol, factor="4")(found)
            kinds = sorted(each.kind for each in (await found.settle()).breaks)
            assert kinds == ["conflict", "duplicate", "quantity", "sign"]
            found.report(*(fix for one in found.desk.planted if (fix := found.desk.correct(one))))
            assert not (await found.settle()).breaks
            found.fault(FaultKind.EXECUTION_LATE, seconds=120)
            found.trade("BTCUSDT", "buy", "0.7")
            found.tell()
            assert [each.kind for each in (await found.settle()).breaks] == ["quantity"]
            found.town.clock.step(121.0)
            found.tell()
            assert not (await found.settle()).breaks

    asyncio.run(act())


def test_funding_is_ended_by_a_persons_word_and_positions_are_not(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> None:
    """I-46, I-53: an acceptance has a principal and a reason, and is of what was seen."""

    async def act() -> None:
        async with scene(quick_folder, monkeypatch, sqlite_template) as found:
            found.rules = None
            await asyncio.to_thread(_pay, found, {"BTCUSDT": Decimal("1.5")})
            await found.look()
            _phantom(found)
            look = await found.settle()
            (paid,) = look.scope("funding").differences
            (position,) = look.scope("positions").differences
            run = found.database.runs.begin(
                "reconcile", datetime.now(UTC).date(), {}, "test", force=True
            )
            found.database.breaks.update(run.run_id, _frame(look))
            with pytest.raises(ParameterError, match="it closes when the books agree"):
                found.database.break_acceptances.accept(position.break_id, "alice", "fine")
            found.database.break_acceptances.accept(
                paid.break_id, "alice", "the venue restated it, ticket 7"
            )
            look = await found.look()
            assert look.scope("funding").differences == ()
            assert len(look.scope("positions").differences) == 1

    asyncio.run(act())


def test_an_order_management_that_is_silent_is_a_side_too_old_to_judge(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch, sqlite_template: Path
) -> None:
    from infra.connections import OmsFix

    async def act() -> None:
        async with scene(quick_folder, monkeypatch, sqlite_template) as found:
            assert found.connections.oms is not None
            by_fix = found.connections.oms.model_copy(
                update={"fix": OmsFix(host="127.0.0.1", port=1, sender="A", target="B")}
            )
            found.connections = replace(found.connections, oms=by_fix)
            found.rules = None
            look = await found.look()
            assert {each.kind for each in look.scope("positions").differences} == {"stale_side"}
            assert all("order management was not read" in each.detail for each in look.breaks)

    asyncio.run(act())


def _pay(found: Scene, wrong: Mapping[str, Decimal | None] = MappingProxyType({})) -> None:
    """Pay funding at Binance; to alpha some of it multiplied, or not at all."""
    before = {name: len(account.lines) for name, account in found.book.accounts.items()}
    pay_funding(found.book, Decimal(8))
    account = found.alpha
    kept, new = account.lines[: before["alpha"]], account.lines[before["alpha"] :]
    for line in new:
        factor = wrong.get(str(line.details["symbol"]), Decimal(1))
        change = line.change * (factor or 0)
        account.balances["trading", line.asset] += change - line.change
        if factor is not None:
            kept.append(replace(line, change=change))
    account.lines[:] = kept


def _policy():
    policy = rules()
    return replace(policy, limits=(replace(policy.limits[0], asset="BTC"),))


def _gateways(found: Scene) -> dict[str, object]:
    return {name: venue.transfers for name, venue in found.connections.venues.items()}


def _approved(found: Scene, transfers: TransferDesk, quantity: str):
    intent = TransferIntent(
        purpose="call-1", leg=len(found.database.transfers.list()) + 1, source="deribit/1001",
        destination="deribit/1002", asset="BTC", amount=_units(found, quantity),
        scale=_scale(found),
    )  # fmt: skip
    listed(found.database, intent)
    record = transfers.propose(intent, "alice", "test")
    return transfers.approve(record.transfer_key, "bob", record.payload_hash)


def _scale(found: Scene) -> int:
    from infra.db.ledger_balances import asset_scales

    with found.database.reading() as connection:
        return asset_scales(connection)["BTC"]


def _units(found: Scene, quantity: str) -> int:
    return int(Decimal(quantity).scaleb(_scale(found)))


def _send(found: Scene, transfers: TransferDesk) -> None:
    async def act() -> None:
        # Connections belong to the loop that opened them.
        settings = Settings(home=found.folder.parent.parent)
        async with open_connections(settings) as connections:
            gateways = {name: venue.transfers for name, venue in connections.venues.items()}
            await transfers.send_due(gateways)

    asyncio.run(act())


def _frame(look: Look) -> pd.DataFrame:
    from tasks.reconcile_now import break_frame

    return break_frame(look)
