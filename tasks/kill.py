"""The kill switch as people use it; it works with the database down."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import StateError
from infra.outbound import KillStatus, KillSwitch
from tasks.principals import principal
from tasks.workplace import workplace

if TYPE_CHECKING:
    from infra.db.reduction_records import OrderRecord
    from infra.db.transfers import TransferRecord


@dataclass(frozen=True, slots=True)
class KillReport:
    """The switch, transfers and orders in flight, and why the database could not be asked."""

    status: KillStatus
    in_flight: tuple[TransferRecord, ...]
    obstacle: str = ""
    orders: tuple[OrderRecord, ...] = ()


def arm(reason: str) -> KillReport:
    """Stop all that would leave, then say what is in flight."""
    switch = _switch()
    switch.arm(principal(), reason)
    return _report(switch)


def disarm(reason: str) -> KillReport:
    """Ask to disarm, or confirm what another person asked."""
    switch = _switch()
    # It may have been armed from another home, which only the database knows.
    with suppress(StateError):
        switch.learn(workplace().database)
    switch.disarm(principal(), reason)
    return _report(switch)


def status() -> KillReport:
    """Say whether the switch is armed and what is in flight."""
    return _report(_switch())


def _switch() -> KillSwitch:
    return KillSwitch(workplace().settings.home_path)


def _report(switch: KillSwitch) -> KillReport:
    from infra.db.reduction_queries import live_orders_within
    from infra.outbound import armed_within
    from tasks.transfers import desk_of

    found = switch.status()
    place = workplace()
    try:
        place.database.check_schema()
        switch.tell(place.database)
        with place.database.reading() as connection:
            recorded = armed_within(connection)
        flying = tuple(desk_of(place).in_flight())
        with place.database.reading() as connection:
            orders = tuple(live_orders_within(connection))
    except StateError as error:
        return KillReport(found, (), str(error))
    # Armed by a process with another home: the database was told, this file was not.
    return KillReport(found if found.is_armed else recorded, flying, orders=orders)
