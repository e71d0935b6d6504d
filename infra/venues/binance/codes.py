"""Codes of Binance, sorted into what they mean to us.

developers.binance.com, error codes of "USDⓈ-M Futures", "Wallet" and "Sub Account", as of 2026-11.
A code means different things under ``/fapi`` and ``/sapi``. Those that leave the outcome open
(-1000, -1001, -1006, -1007, and -1 with HTTP 503) are in no table on purpose.
"""

from __future__ import annotations

from typing import Final

from infra.venues.verdicts import Verdict, Verdicts, table

_EVERYWHERE: Final = table(
    throttled="-1003 -1008 -1015",
    access="-1002 -1022 -2014 -2015 -1011 -1099 -1109",
    clock="-1021 -5028",
    maintenance="-1016",
    other="-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1112 -1114 -1115 -1116 -1117 -1118 -1119 "
    "-1120 -1127 -1128 -1130 -1136",
    limit="-1013 -1111",
    instrument="-1121 -1108",
)
FUTURES: Final[Verdicts] = {
    **_EVERYWHERE,
    **table(
        access="-4056 -4057 -4087 -4088 -4109",
        funds="-2018 -2019 -2024 -4050 -4051",
        reduce_only="-2022 -4118",
        limit="-2025 -2026 -2027 -2028 -4001 -4002 -4003 -4004 -4005 -4013 -4014 -4015 -4016 "
        "-4023 -4024 -4029 -4030 -4131 -4164",
        instrument="-4108 -4140 -4141 -4144",
        policy="-4061 -4117 -4192 -4202 -4400 -4401 -4402 -4403",
        duplicate_key="-4116 -4115",
        other="-2010 -2011 -2013 -2020 -2021 -5021 -5022 -4059 -4062 -4114",
    ),
}
WALLET: Final[Verdicts] = {
    **_EVERYWHERE,
    **table(
        access="-4006 -4010 -4011 -4012 -4109 -12001 -12002",
        funds="-4024 -4025 -4026 -5002 -5013 -9000",
        limit="-4005 -4015 -4021 -4022 -4023 -4028 -12014",
        instrument="-4018 -5003",
        address="-4007 -4008 -4032 -4033 -4034 -4035 -4036",
        policy="-4013 -4014 -4016 -4017 -4019 -4039 -4040",
        duplicate_key="-4115",
        other="-4001 -4002 -4003 -4029 -4031 -4114 -12017 -12022",
    ),
}
NO_SUCH_ORDER: Final = "-2013"
NO_SUCH_LISTEN_KEY: Final = "-1125"
_MAINTENANCE: Final = "under maintenance"


def verdict(path: str, code: str, message: str, status: int) -> Verdict | None:
    """Return what a refusal means; None is that it says nothing about what happened.

    Parameters
    ----------
    status : int
        Of HTTP. A 5xx proves nothing by itself, but for the words in which Binance says that it
        was not let in (-1008) or is closed.
    """
    if _MAINTENANCE in message.lower():
        return "maintenance"
    verdicts = FUTURES if path.startswith("/fapi/") else WALLET
    found = verdicts.get(code)
    if status >= 500 and found not in ("throttled", "maintenance"):
        return None
    return found
