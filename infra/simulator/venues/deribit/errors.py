"""Deribit's error codes, as JSON-RPC errors.

Source: https://docs.deribit.com/articles/errors, 2026.
"""

from __future__ import annotations

from typing import Final

from infra.simulator.venues.core.accounts import RefusalReason, Refused

AUTHORISATION_REQUIRED: Final = (10000, "authorization_required")
ORDER_NOT_FOUND: Final = (10004, "order_not_found")
TOO_MANY_REQUESTS: Final = (10028, "too_many_requests")
INVALID_CREDENTIALS: Final = (13004, "invalid_credentials")
UNAUTHORISED: Final = (13009, "unauthorized")
INVALID_PARAMS: Final = (-32602, "Invalid params")
METHOD_NOT_FOUND: Final = (-32601, "Method not found")

_BY_REASON: Final[dict[RefusalReason, tuple[int, str]]] = {
    "funds": (10009, "not_enough_funds"),
    "reduce_only": (11030, "other_reject reduce_only_rejected"),
    "limit": (10021, "invalid_amount"),
    "instrument": (13020, "not_found"),
    "address": (11090, "invalid_addr"),
    "policy": (12100, "transfer_not_allowed"),
    "duplicate_key": (11030, "other_reject duplicate_nonce"),
    "account": (13002, "account_blocked"),
    "frozen": (13025, "method_switched_off_by_admin"),
    "maintenance": (11051, "system_maintenance"),
    "settlement": (10041, "settlement_in_progress"),
    "cancel_only": (10019, "locked_by_admin"),
    "other": (11029, "invalid_arguments"),
}


class RpcError(Exception):
    """An error of the protocol; HTTP answers it with ``status``."""

    def __init__(
        self, error: tuple[int, str], data: dict[str, object] | None = None, status: int = 400
    ) -> None:
        super().__init__(error[1])
        self.code, self.message = error
        self.data = data or {}
        self.status = status

    def body(self) -> dict[str, object]:
        """Return the ``error`` member of an answer."""
        told: dict[str, object] = {"code": self.code, "message": self.message}
        return {**told, "data": self.data} if self.data else told


def refusal(refused: Refused) -> RpcError:
    """Return the error of a refusal of the book."""
    return RpcError(_BY_REASON[refused.reason], {"reason": str(refused)})


def invalid(parameter: str, reason: str) -> RpcError:
    """Return the error of a parameter that cannot be read."""
    return RpcError(INVALID_PARAMS, {"reason": reason, "param": parameter})
