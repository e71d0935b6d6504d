"""JSON-RPC of Deribit: what a call is, how its answer is framed, and who may call what."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

import msgspec

from infra.simulator.venues.core.accounts import Account, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import Fault, FaultKind, Scope
from infra.simulator.venues.deribit.errors import (
    AUTHORISATION_REQUIRED,
    METHOD_NOT_FOUND,
    TOO_MANY_REQUESTS,
    RpcError,
    invalid,
    refusal,
)

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
# Methods that a pause of the matching engine stops.
_TRADING: Final = frozenset(("private/buy", "private/sell", "private/cancel_all"))
UNKNOWN_CODE: Final = 19_999


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``account`` is who asks, absent for public methods."""

    method: str
    parameters: Mapping[str, object]
    account: Account | None = None

    @property
    def asker(self) -> Account:
        """Return the account that asks; raises RpcError 10000 where there is none."""
        if self.account is None:
            raise RpcError(AUTHORISATION_REQUIRED, status=401)
        return self.account

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter as text; raises RpcError if it is absent and has no default."""
        value = self.parameters.get(name, default)
        if value is None:
            raise invalid(name, "missing value")
        return str(value)

    def number(self, name: str) -> Decimal:
        """Return a parameter as a decimal; raises RpcError."""
        try:
            return Decimal(self.text(name))
        except InvalidOperation as error:
            raise invalid(name, "not a number") from error

    def whole(self, name: str, default: int) -> int:
        """Return a parameter as an integer."""
        try:
            return int(self.text(name, str(default)))
        except ValueError as error:
            raise invalid(name, "not an integer") from error

    def flag(self, name: str) -> bool:
        """Return a boolean parameter, which queries carry as text."""
        return self.text(name, "false").lower() == "true"


Method: TypeAlias = Callable[[Call], Awaitable[object] | object]


class Dispatcher:
    """Methods by name, with the faults whose form is Deribit's own."""

    def __init__(self, book: VenueBook) -> None:
        self._book = book
        self.methods: dict[str, Method] = {}

    async def result(self, call: Call) -> object:
        """Return the result of a call.

        Raises
        ------
        RpcError
            Any refusal, of the method or of a fault.
        """
        method = self.methods.get(call.method)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND)
        account_id = call.account.account_id if call.account is not None else ""
        scope = Scope(venue=self._book.venue, account=account_id, endpoint=call.method)
        self._state(scope)
        self._odd(scope, "before")
        try:
            if call.method.startswith("private/"):
                self._book.account(call.asker.account_id)
            made = method(call)
            result = await made if isinstance(made, Awaitable) else made
        except Refused as refused:
            raise refusal(refused) from refused
        self._odd(scope, "after")
        return result

    def _state(self, scope: Scope) -> None:
        plan = self._book.plan
        if plan.draw(FaultKind.MAINTENANCE, scope):
            raise RpcError((11051, "system_maintenance"))
        if scope.endpoint in _TRADING and plan.draw(FaultKind.SETTLEMENT, scope):
            raise RpcError((10041, "settlement_in_progress"))
        if plan.draw(FaultKind.CREDITS_EMPTY, scope):
            raise RpcError(TOO_MANY_REQUESTS, {"wait": 1}, 429)

    def _odd(self, scope: Scope, when: str) -> None:
        def is_now(fault: Fault) -> bool:
            return fault.text("when", "after") == when

        fault = self._book.plan.draw_if(FaultKind.UNKNOWN_CODE, scope, is_now)
        if fault is not None:
            code = int(fault.number("code", str(UNKNOWN_CODE)))
            raise RpcError((code, fault.text("message", "unforeseen")))


def answer(clock: TownClock, request_id: object, result: object) -> bytes:
    """Return the frame of a result."""
    return _frame(clock, request_id, {"result": result})


def failure(clock: TownClock, request_id: object, error: RpcError) -> bytes:
    """Return the frame of an error."""
    return _frame(clock, request_id, {"error": error.body()})


def notification(channel: str, data: object) -> str:
    """Return the frame of a channel's data."""
    frame = {
        "jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data},
    }  # fmt: skip
    return _ENCODER.encode(frame).decode()


def parse(body: str) -> dict[str, object]:
    """Return a JSON-RPC request with exact numbers; raises RpcError."""
    try:
        read = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise RpcError((-32700, "Parse error")) from error
    if not isinstance(read, dict) or not isinstance(read.get("params", {}), dict):
        raise RpcError((-32600, "Invalid request"))
    return read


def _frame(clock: TownClock, request_id: object, content: dict[str, object]) -> bytes:
    stamp = clock.wall_ms() * 1000
    return _ENCODER.encode(
        {
            "jsonrpc": "2.0", "id": request_id, **content, "usIn": stamp, "usOut": stamp,
            "usDiff": 0, "testnet": True,
        }
    )  # fmt: skip
