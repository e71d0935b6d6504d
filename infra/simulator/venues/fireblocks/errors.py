"""Refusals of the simulated Fireblocks: status, code and words.

Codes below zero, 1004 and 1006 are those of developers.fireblocks.com, "API responses and error
codes", and so are the words about a spent key. The public table was not at hand for the others:
their codes are this simulator's, and a client must not lean on them.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Words: TypeAlias = tuple[int, int, str]


class ApiError(Exception):
    """What the custodian answers instead."""

    def __init__(self, words: Words, detail: str = "") -> None:
        self.status, self.code, text = words
        self.message = f"{text}{': ' if detail else ''}{detail}"
        super().__init__(self.message)


BAD_SIGNATURE: Final = (401, -1, "invalid signature")
NO_KEY: Final = (401, -2, "Missing API Key")
NO_TOKEN: Final = (401, -3, "Missing JWT")
WRONG_URI: Final = (401, -4, "Wrong URL in the JWT")
BAD_FORMAT: Final = (401, -5, "Unauthorized: Invalid token format")
WRONG_USER: Final = (401, -6, "Wrong User in the JWT")
NOT_ACCEPTED: Final = (401, -7, "Unauthorized: Token was not accepted.")
NO_PERMISSION: Final = (403, -8, "Insufficient permissions")
EXPIRED: Final = (401, -10, "The request has expired")
FUTURE: Final = (401, -12, "The request is with a future issuance timestamp (iat)")
NO_VAULT: Final = (404, 1004, "Vault account Id was not found")
NO_ASSET: Final = (404, 1006, "Asset doesn't exist")
INTERNAL: Final = (500, -1, "Internal Server Error")
SPENT_KEY: Final = (
    400, 1439,
    "This operation doesn't support the usage of the same idempotency key after an internal error",
)  # fmt: skip
LONG_KEY: Final = (400, 1440, "Idempotency-Key has more than 40 characters")
KNOWN_EXTERNAL_ID: Final = (
    400, 1438, "The externalTxId that was provided in the request already exists",
)  # fmt: skip
NO_TRANSACTION: Final = (404, 1404, "Transaction was not found")
NO_WALLET: Final = (404, 1301, "Wallet was not found")
BAD_DESTINATION: Final = (400, 1427, "Destination is not a whitelisted wallet of the workspace")
LOCKED_DESTINATION: Final = (400, 1428, "Destination wallet is not active yet")
BAD_REQUEST: Final = (400, 1400, "Invalid request")
NOT_CANCELLABLE: Final = (400, 1410, "Transaction can no longer be cancelled")
