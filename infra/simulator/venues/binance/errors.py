"""Refusals of the simulated Binance: HTTP status, code and words of its documentation."""

from __future__ import annotations

from typing import Final, TypeAlias

from infra.simulator.venues.core.accounts import Refused

Words: TypeAlias = tuple[int, str] | tuple[int, str, int]


class ApiError(Exception):
    """What the venue answers instead."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


TIMESTAMP_OLD: Final = (-1021, "Timestamp for this request is outside of the recvWindow.")
TIMESTAMP_AHEAD: Final = (
    -1021, "Timestamp for this request was 1000ms ahead of the server's time.",
)  # fmt: skip
BAD_SIGNATURE: Final = (-1022, "Signature for this request is not valid.")
BAD_KEY: Final = (-2015, "Invalid API-key, IP, or permissions for action.", 401)
KEY_FORMAT: Final = (-2014, "API-key format invalid.", 401)
TOO_MANY: Final = (-1003, "Too many requests; current limit is {limit} request weight per minute.")
NO_ORDER: Final = (-2013, "Order does not exist.")
DUPLICATE_ORDER: Final = (-4116, "ClientOrderId is duplicated.")
DUPLICATE_TRANSFER: Final = (-4115, "Duplicated client tran id.")
NO_LISTEN_KEY: Final = (-1125, "This listenKey does not exist.")
MARGIN_INSUFFICIENT: Final = (-2019, "Margin is insufficient.")
UNDER_MAINTENANCE: Final = (-1, "System is under maintenance.", 503)

# Words of a refusal in the book, under /fapi and under /sapi.
_FUTURES: Final[dict[str, Words]] = {
    "funds": MARGIN_INSUFFICIENT, "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "limit": (-1111, "Precision is over the maximum defined for this asset."),
    "instrument": (-1121, "Invalid symbol."), "account": BAD_KEY,
    "cancel_only": (-4400, "Futures Trading Quantitative Rules violated, only reduceOnly order is "
                           "allowed, please try again later."),
    "maintenance": UNDER_MAINTENANCE, "settlement": UNDER_MAINTENANCE,
}  # fmt: skip
_WALLET: Final[dict[str, Words]] = {
    "funds": (-4026, "You have insufficient balance."),
    "address": (-4035, "This address is not in your withdrawal whitelist."),
    "policy": (-4014, "Withdrawal is not allowed for now."),
    "limit": (-4021, "Asset withdrawal must be an integer multiple."),
    "other": (-4028, "The withdrawal amount must be greater than the Commission."),
    "frozen": UNDER_MAINTENANCE, "maintenance": UNDER_MAINTENANCE, "account": BAD_KEY,
}  # fmt: skip
_TRANSFER: Final[dict[str, Words]] = {
    **_WALLET,
    "funds": (-5013, "Asset transfer failed: insufficient balance."),
}


def api_error(refused: Refused, path: str) -> ApiError:
    """Return the code of a refusal on a path."""
    words = _FUTURES if path.startswith("/fapi/") else _WALLET
    if "ransfer" in path:
        words = _TRANSFER
    found = words.get(refused.reason)
    return ApiError(-1102, str(refused)) if found is None else ApiError(*found)


def missing(name: str) -> ApiError:
    """Return the refusal of a request without a mandatory parameter."""
    words = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return ApiError(-1102, words)
