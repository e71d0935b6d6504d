"""Messages about calls from the command line: what the house sends, and what a client has sent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.errors import MissingDataError
from engine.market import known_rates
from engine.money import exact
from engine.times import close_of
from infra.db import Done
from infra.messages import iso_codec
from infra.messages.applying import Correspondence, apply, request_of
from tasks.call_values import CallValuation
from tasks.closes import load_basis
from tasks.workplace import Workplace, workplace

HOUSE = "PLIMSOLL"


def request_as_iso(call_id: str) -> bytes:
    """Return the request of a call as it stands, colr.003.001.05.

    Raises
    ------
    StateError
        If there is nothing to ask for.
    ParameterError
        If the extra ``iso`` is not installed.
    """
    place = _prepared()
    found = place.database.calls.record(call_id)
    client = place.database.calls.client_of(call_id)
    if client is None:
        raise MissingDataError(f"the client of call {call_id} is not recorded", identifier=call_id)
    close = load_basis(place, str(found.call["run_id"])).close
    rate = known_rates(close.snapshot, close.rules).get(str(found.call["currency"]))
    between = Correspondence(
        house=HOUSE, client=client, usd_rate=None if rate is None else exact(rate)
    )
    valued_at = close_of(found.call["business_date"])
    return iso_codec.encode(request_of(found, valued_at, between))


def receive_iso(file: Path, client_id: str) -> tuple[Done, ...]:
    """Do what a client's message says; a message that was done before is found.

    Raises
    ------
    MissingDataError
        If there is no such file, or no such call of the client.
    ContractViolation
        If the message is unsafe, breaks its schema, or is not the client's.
    """
    if not file.is_file():
        raise MissingDataError(f"there is no file {file}", identifier=str(file))
    place = _prepared()
    message = iso_codec.decode(file.read_bytes())

    def value(call: Mapping[str, Any], asset: str, quantity: Decimal, at: str) -> Decimal:
        return CallValuation(place, call).value_in(asset, quantity, at)

    return apply(place.database, client_id, message, value)


def _prepared() -> Workplace:
    place = workplace()
    place.database.check_schema()
    return place
