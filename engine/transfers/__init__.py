"""Rules of transfers: what may be sent, how often, and what an answer or a silence means."""

from engine.transfers.fees import require_fee
from engine.transfers.following import Followed, follow
from engine.transfers.intent import TransferIntent
from engine.transfers.limits import LimitUse, PastTransfer, require_within_limits, uses_of
from engine.transfers.policy import TransferPolicy
from engine.transfers.resolution import (
    BalanceEvidence,
    Decision,
    Evidence,
    Sending,
    judge_balance,
    resolve,
)
from engine.transfers.states import (
    COUNTED,
    EDGES,
    ENDS,
    IN_FLIGHT,
    STATES,
    TransferState,
    require_edge,
)
from engine.transfers.whitelist import WhitelistEntry, require_listed

__all__ = [
    "COUNTED",
    "EDGES",
    "ENDS",
    "IN_FLIGHT",
    "STATES",
    "BalanceEvidence",
    "Decision",
    "Evidence",
    "Followed",
    "LimitUse",
    "PastTransfer",
    "Sending",
    "TransferIntent",
    "TransferPolicy",
    "TransferState",
    "WhitelistEntry",
    "follow",
    "judge_balance",
    "require_edge",
    "require_fee",
    "require_listed",
    "require_within_limits",
    "resolve",
    "uses_of",
]
