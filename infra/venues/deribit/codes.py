"""Deribit's error codes sorted into our errors.

Source: docs.deribit.com, "Errors". Codes that say nothing of what happened (13888 timed_out, 11094
internal_server_error, 10040 retry, 13008 request_failed, 11031 other_error) are in no table on
purpose: a read is tried again, a write's outcome is unknown.
"""

from __future__ import annotations

from typing import Final

from infra.venues.verdicts import Verdict, table

_CODES: Final = table(
    throttled="10028 10047 11035 12001",
    maintenance="10041 11051 10019 13025",
    access=(
        "10000 13000 13001 13002 13003 13004 13006 13007 13009 13012 13021 11042 12000 12003 "
        "12005 12998 13503"
    ),
    funds="10009",
    limit="10002 10013 10014 10015 10016 10017 10018 10021 10022 10027 10032",
    instrument="10012 10020 13019 13020 11037 11046",
    address="11090 11091 11096",
    policy="12100",
    other=(
        "-32601 10003 10004 10005 10006 10007 10008 10010 10011 10023 10024 10025 10026 10029 "
        "10043 11008 11029 11043 11044 11047 11049 11050 11053 11054 13010 13011 13016 "
        "-32602 -32700 -32600"
    ),
)
_REJECT: Final = "11030"


def verdict(code: int, message: str) -> Verdict | None:
    """Return what a code means; None is "it says nothing about what happened"."""
    text = str(code)
    if text == _REJECT:
        # other_reject carries its reason as a word.
        if "reduce_only" in message:
            return "reduce_only"
        return "duplicate_key" if "nonce" in message or "duplicate" in message else "other"
    return _CODES.get(text)
