"""The session process of a FIX 4.4 drop copy: ``python -m infra.oms.fix.session <file>``.

It does nothing but keep the session and spool what comes, so that nothing of ours can stop it: a
Python exception in a callback would end the engine's reading thread without a word, hence a
message that cannot be spooled ends the whole process, and is sent again to the next one. Sequence
numbers are never reset by themselves: if either side's are too low, the process ends and says so,
and goes on when a person has decided.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import ParameterError
from infra.clock import utc_now
from infra.oms.fix.spool import RecordKind, SpoolWriter

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_TOO_LOW: Final = 65
EXIT_SPOOL: Final = 74
EXIT_SETTINGS: Final = 78
BEGIN_STRING: Final = "FIX.4.4"
_TOO_LOW: Final = "MsgSeqNum too low"
_LOOK_SECONDS: Final = 0.1
_REJECT, _LOGOUT = "3", "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What a session process is started with; no secret is among it.

    ``next_sender`` and ``next_target`` are a person's decision on the numbers to go on with.
    """

    host: str
    port: int
    sender: str
    target: str
    store: str
    spool: str
    heartbeat_seconds: int = 30
    reconnect_seconds: int = 5
    credential: str = ""
    next_sender: int | None = None
    next_target: int | None = None
    is_synced: bool = True


def require_quickfix() -> None:
    """Raise ParameterError unless the FIX engine is installed."""
    if find_spec("quickfix") is None:
        raise ParameterError(
            "a FIX drop copy needs the FIX engine, which is not installed: "
            "pip install 'plimsoll[fix]' (it is compiled, which takes minutes)",
            identifier="quickfix",
        )


def dictionary() -> Path:
    """Return the data dictionary of FIX 4.4 that the engine brings."""
    for root in (sys.prefix, sys.base_prefix):
        path = Path(root) / "share" / "quickfix" / "FIX44.xml"
        if path.is_file():
            return path
    raise ParameterError(
        f"there is no share/quickfix/FIX44.xml below {sys.prefix}: install quickfix again",
        identifier="FIX44.xml",
    )


def settings_text(options: SessionOptions) -> str:
    """Return the engine's own settings."""
    return "\n".join(
        (
            "[DEFAULT]",
            "ConnectionType=initiator",
            f"FileStorePath={options.store}",
            "StartTime=00:00:00",
            "EndTime=00:00:00",
            "NonStopSession=Y",
            f"HeartBtInt={options.heartbeat_seconds}",
            f"ReconnectInterval={options.reconnect_seconds}",
            "LogonTimeout=10",
            "LogoutTimeout=2",
            "SocketNodelay=Y",
            "UseDataDictionary=Y",
            f"DataDictionary={dictionary()}",
            "ValidateUserDefinedFields=N",
            # What was missed is asked for, never skipped.
            "ResetOnLogon=N",
            "ResetOnLogout=N",
            "ResetOnDisconnect=N",
            "PersistMessages=Y",
            "",
            "[SESSION]",
            f"BeginString={BEGIN_STRING}",
            f"SenderCompID={options.sender}",
            f"TargetCompID={options.target}",
            f"SocketConnectHost={options.host}",
            f"SocketConnectPort={options.port}",
            "",
        )
    )


class SpoolingApplication:
    """What the engine calls, on threads of its own; nothing but the spool is touched."""

    def __init__(
        self,
        options: SessionOptions,
        spool: SpoolWriter,
        credential: tuple[str, str] | None,
        die: Callable[[int], Any] = os._exit,
    ) -> None:
        self.options, self.spool = options, spool
        self.too_low = threading.Event()
        self._credential, self._die = credential, die
        self._lock = threading.Lock()

    def created(self, session: Any) -> None:
        """Set the numbers that a person has decided on, before the first logon."""
        if self.options.next_sender is not None:
            session.setNextSenderMsgSeqNum(self.options.next_sender)
        if self.options.next_target is not None:
            session.setNextTargetMsgSeqNum(self.options.next_target)

    def event(self, name: str, **details: str) -> None:
        """Spool an event of the session."""
        self._append("event", name, details)

    def message(self, text: str) -> None:
        """Spool a message; only when this returns the engine counts it as received."""
        self._append("message", text, {})

    def administrative(self, kind: str, text: str, *, is_ours: bool) -> None:
        """Spool what an administrative message says of the session; any is a sign of life."""
        if kind in (_LOGOUT, _REJECT) and text:
            who = "we" if is_ours else "they"
            if _TOO_LOW in text:
                self.too_low.set()
                self.event("too_low", who=who, text=text[:300])
            else:
                self.event("rejected" if kind == _REJECT else "refused", who=who, text=text[:300])
        elif not is_ours:
            self._append("alive", kind, {})

    def logon_fields(self) -> tuple[str, str] | None:
        """Return user and password of the logon, where there are some."""
        return self._credential

    def die(self) -> None:
        """End the process at once: what was not spooled is sent again to the next one."""
        self._die(EXIT_SPOOL)

    def _append(self, kind: RecordKind, text: str, details: Mapping[str, str]) -> None:
        try:
            with self._lock:
                self.spool.append(utc_now(), kind, text, details)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message is not spooled
            # The engine would go on as if the message had been received.
            sys.stderr.write(f"spool: {error}\n")
            sys.stderr.flush()
            self.die()


def run(options: SessionOptions, stop: threading.Event, parent: int | None = None) -> int:
    """Keep the session until ``stop``, or until its numbers need a decision; return the exit code.

    With ``parent`` it ends with that process as well.
    """
    import quickfix as fix

    from infra.oms.fix.callbacks import application

    spool = SpoolWriter(Path(options.spool), is_synced=options.is_synced)
    spooling = SpoolingApplication(options, spool, _credential(options))
    Path(options.store).mkdir(parents=True, exist_ok=True, mode=0o700)
    home = Path(options.store) / "session.cfg"
    home.write_text(settings_text(options), encoding="utf-8")
    settings = fix.SessionSettings(str(home))
    # The engine keeps references only: what it is given has to live as long as it does.
    told, stores = application(spooling), fix.FileStoreFactory(settings)
    initiator = fix.SocketInitiator(told, stores, settings)
    spooling.event("started", pid=str(os.getpid()))
    initiator.start()
    try:
        while not stop.wait(_LOOK_SECONDS):
            if spooling.too_low.is_set():
                return EXIT_TOO_LOW
            if parent is not None and os.getppid() != parent:
                return 0
        return 0
    finally:
        initiator.stop(True)
        spooling.event("ended")
        spool.close()
        del initiator, told, stores


def main() -> int:
    """Run the session that a file describes."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # The engine keeps what it has sent, the logon included.
    os.umask(0o077)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        require_quickfix()
        return run(SessionOptions(**told), stop, os.getppid())
    except (ParameterError, RuntimeError, TypeError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS


def _credential(options: SessionOptions) -> tuple[str, str] | None:
    if not options.credential:
        return None
    from infra.secrets import read_credential

    found = read_credential(options.credential)
    return found.key.get_secret_value(), found.secret.get_secret_value()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # The engine's own destructors crash when the interpreter takes it apart.
    os._exit(code)
