"""Codes of OKX version 5, sorted into what they mean to us.

www.okx.com/docs-v5, "Error Code", as of 2026-11. Those that leave the outcome open are in no table
on purpose: 50004 (time-out, "does not indicate success or failure"), 50005, 50013, 50026, 58007,
58112, 58124 ("being processed").
"""

from __future__ import annotations

from typing import Final

from infra.venues.verdicts import Verdict, Verdicts, table

CODES: Final[Verdicts] = table(
    throttled="50011 50061 51113 58102 60014 60023",
    maintenance="50001 51767 51774 58006 58103 58111 58120 64007",
    access="50007 50008 50009 50012 50027 50100 50101 50103 50104 50105 50106 50107 50110 50111 "
    "50113 50114 50119 50120 51010 51024 58001 58004 58208 58209 58213 60001 60002 60003 60005 "
    "60007 60008 60009 60010 60011 60022 60024 60032",
    clock="50102 50112 60004 60006",
    funds="51008 51119 51127 51131 51502 51736 51764 58229 58350 59103 59108 59200 59201",
    reduce_only="51112 51169 51170 51205",
    limit="51004 51005 51006 51007 51020 51120 51121 51122 51201 51202 51203 58005 58114 58116 "
    "58201 58202 58205 58206 58211",
    instrument="51001 51002 51012 51014 51015 51021 51022 51026 51027 51028 51029 51030 58003 "
    "58009 58010 58200",
    address="58203 58207 58222 58224",
    policy="50017 50018 50019 50020 50021 50022 50023 51009 51018 58100 58101 58104 58105 58110 "
    "58117 58119 58121 58122 58204 58214 58217 58228",
    duplicate_key="51011 51016",
    other="50000 50002 50006 50010 50014 50015 50016 50024 50025 50044 50115 51000 51003 51023 "
    "51025 51031 51124 51149 51400 51401 51402 51603 58115 58123 58125 58126 58127 58128 58129 "
    "60012 60013 60018 60019",
)
NO_SUCH_ORDER: Final = frozenset(("51603", "51001"))


def verdict(code: str, status: int, message: str = "") -> Verdict | None:
    """Return what a refusal means; None is that it says nothing about what happened.

    ``status`` is of HTTP: a 5xx proves nothing, but for codes that say that the venue is closed or
    has too much to do. Asset codes have none for a repeated ``clientId``; its words are taken.
    """
    found = CODES.get(code)
    if code.startswith("58") and found == "other" and "duplicat" in message.lower():
        return "duplicate_key"
    if status >= 500 and found not in ("throttled", "maintenance"):
        return None
    return found
