"""Refusals of the simulated OKX: code, words and HTTP status of its documentation."""

from __future__ import annotations

from typing import Final, TypeAlias

from infra.simulator.venues.core.accounts import Refused

Words: TypeAlias = tuple[str, str] | tuple[str, str, int]


class ApiError(Exception):
    """What the venue answers instead."""

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


KEY_MISSING: Final = ("50103", "Request header OK-ACCESS-KEY cannot be empty.", 401)
PASSPHRASE_WRONG: Final = ("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
SIGNATURE_MISSING: Final = ("50106", "Request header OK-ACCESS-SIGN cannot be empty.", 401)
TIMESTAMP_OLD: Final = ("50102", "Timestamp request expired", 401)
TIMESTAMP_INVALID: Final = ("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
KEY_UNKNOWN: Final = ("50111", "Invalid OK-ACCESS-KEY", 401)
SIGNATURE_WRONG: Final = ("50113", "Invalid Sign", 401)
TOO_MANY: Final = ("50011", "Too Many Requests", 429)
UNDER_MAINTENANCE: Final = ("50001", "Service temporarily unavailable. Try again later", 503)
EXPIRED: Final = ("51149", "Order timed out. Please try again.")
NO_ORDER: Final = ("51603", "Order does not exist")
DUPLICATE_ORDER: Final = ("51016", "Client order ID already exists.")
DUPLICATE_TRANSFER: Final = ("58129", "clientId is duplicated.")
TRANSFERS_STOPPED: Final = ("58120", "Transfers are currently unavailable. Try again later.")

_TRADE: Final[dict[str, Words]] = {
    "funds": ("51008", "Order failed. Insufficient margin in account."),
    "reduce_only": ("51169", "Order failed because you don't have any positions in this direction "
                             "for this contract to reduce or close."),
    "limit": ("51121", "Order quantity must be a multiple of the lot size."),
    "instrument": ("51001", "Instrument ID does not exist."),
    "cancel_only": ("51024", "Trading account is suspended."),
}  # fmt: skip
_ASSET: Final[dict[str, Words]] = {
    "funds": ("58350", "Insufficient balance."),
    "address": ("58207", "Withdrawal address isn't on the verified address list."),
    "policy": ("58204", "Withdrawal suspended."),
    "other": ("58206", "Withdrawal amount is lower than the lower limit."),
    "frozen": TRANSFERS_STOPPED,
}
_EVERYWHERE: Final[dict[str, Words]] = {
    "account": ("50007", "Account blocked", 401), "maintenance": UNDER_MAINTENANCE,
    "settlement": UNDER_MAINTENANCE,
}  # fmt: skip


def api_error(refused: Refused, path: str) -> ApiError:
    """Return the code of a refusal on a path."""
    words = _ASSET if "/asset/" in path else _TRADE
    found = words.get(refused.reason) or _EVERYWHERE.get(refused.reason)
    return ApiError("51000", str(refused)) if found is None else ApiError(*found)


def invalid(name: str) -> ApiError:
    """Return the refusal of a parameter."""
    return ApiError("51000", f"Parameter {name} error")
