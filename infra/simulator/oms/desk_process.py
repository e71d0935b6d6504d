"""The process of the simulated desk's drop copy: ``python -m infra.simulator.oms.desk_process``.

A FIX 4.4 acceptor that is told what to do by lines of JSON and answers each with one. It has a
process of its own, as a desk has, because the engine may take the whole process with it when it is
stopped; so it is never stopped, only ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Final

_EXEC_TYPES: Final = {"trade": "F", "correction": "G", "bust": "H"}
_SIDES: Final = {"buy": "1", "sell": "2"}


class Desk:
    """Accepts one session; callbacks only set flags, since an exception would end the reader."""

    def __init__(self, told: dict[str, Any]) -> None:
        import quickfix as fix

        self.logged_on = threading.Event()
        self.n_rejected = 0
        self.name = fix.SessionID("FIX.4.4", told["sender"], told["target"])
        home = Path(told["folder"]) / "acceptor.cfg"
        home.write_text(_settings(told), encoding="utf-8")
        settings = fix.SessionSettings(str(home))
        application, stores = _application(self), fix.FileStoreFactory(settings)
        # The engine keeps references only: what it is given has to live as long as it does.
        self._kept = (settings, application, stores)
        self._acceptor = fix.SocketAcceptor(application, stores, settings)
        self._acceptor.start()

    def do(self, told: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command."""
        import quickfix as fix

        session = fix.Session.lookupSession(self.name)
        if told["do"] == "send":
            fix.Session.sendToTarget(_message(told), self.name)
        elif told["do"] == "skip":
            session.setNextSenderMsgSeqNum(session.getExpectedSenderNum() + int(told["n"]))
        return {
            "is_logged_on": self.logged_on.is_set(),
            "next_sender": int(session.getExpectedSenderNum()),
            "next_target": int(session.getExpectedTargetNum()),
            "n_rejected": self.n_rejected,
        }


def main() -> None:
    """Accept until standard input ends."""
    desk = Desk(json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps({"is_up": True}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(desk.do(json.loads(line))) + "\n")
        sys.stdout.flush()


def _settings(told: dict[str, Any]) -> str:
    dictionary = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
    return "\n".join(
        (
            "[DEFAULT]", "ConnectionType=acceptor", f"FileStorePath={told['folder']}",
            "StartTime=00:00:00", "EndTime=00:00:00", "NonStopSession=Y",
            "SocketReuseAddress=Y", "SocketNodelay=Y", "UseDataDictionary=Y",
            f"DataDictionary={dictionary}", "ResetOnLogon=N", "ResetOnLogout=N",
            "ResetOnDisconnect=N", f"SocketAcceptPort={told['port']}",
            f"HeartBtInt={told['heartbeat_seconds']}", "",
            "[SESSION]", "BeginString=FIX.4.4", f"SenderCompID={told['sender']}",
            f"TargetCompID={told['target']}", "",
        )
    )  # fmt: skip


def _application(desk: Desk) -> Any:
    import quickfix as fix

    class Application(fix.Application):  # type: ignore[misc, name-defined, unused-ignore]
        def onCreate(self, session_id: Any) -> None:  # noqa: N802
            return

        def onLogon(self, session_id: Any) -> None:  # noqa: N802
            desk.logged_on.set()

        def onLogout(self, session_id: Any) -> None:  # noqa: N802
            desk.logged_on.clear()

        def toAdmin(self, message: Any, session_id: Any) -> None:  # noqa: N802
            return

        def fromAdmin(self, message: Any, session_id: Any) -> None:  # noqa: N802
            desk.n_rejected += message.getHeader().getField(35) == "3"

        def toApp(self, message: Any, session_id: Any) -> None:  # noqa: N802
            return

        def fromApp(self, message: Any, session_id: Any) -> None:  # noqa: N802
            return

    return Application()


def _message(told: dict[str, Any]) -> Any:
    import quickfix as fix

    message = fix.Message()
    header = message.getHeader()
    header.setField(8, "FIX.4.4")
    header.setField(35, "8")
    if told.get("is_possible_resend"):
        header.setField(97, "Y")
    fields = {
        37: f"O-{told['execution_id']}", 17: told["execution_id"],
        150: _EXEC_TYPES[told["kind"]], 39: "2", 1: told["account"], 55: told["symbol"],
        207: told["exchange"], 54: _SIDES[told["side"]], 32: told["quantity"],
        31: told["price"], 151: "0", 14: told["quantity"], 6: told["price"],
        60: _stamp(datetime.fromisoformat(told["executed_at"])),
    }  # fmt: skip
    if told["refers_to"]:
        fields[19] = told["refers_to"]
    for tag, value in fields.items():
        message.setField(tag, value)
    return message


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y%m%d-%H:%M:%S.") + f"{instant.microsecond // 1000:03d}"


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
