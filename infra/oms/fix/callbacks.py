"""The engine's callbacks, each guarded: an exception that escapes one is never seen again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.oms.fix.session import SpoolingApplication

_USER, _PASSWORD, _KIND, _TEXT = 553, 554, 35, 58


def application(spooling: SpoolingApplication) -> Any:
    """Return the application that the engine calls."""
    import quickfix as fix

    class Application(fix.Application):  # type: ignore[misc, name-defined, unused-ignore]
        def onCreate(self, session_id: Any) -> None:  # noqa: N802
            _guarded(lambda: spooling.created(fix.Session.lookupSession(session_id)))

        def onLogon(self, session_id: Any) -> None:  # noqa: N802
            _guarded(lambda: spooling.event("logon"))

        def onLogout(self, session_id: Any) -> None:  # noqa: N802
            _guarded(lambda: spooling.event("logout"))

        def toAdmin(self, message: Any, session_id: Any) -> None:  # noqa: N802
            def tell() -> None:
                kind = message.getHeader().getField(_KIND)
                if kind == "A" and (fields := spooling.logon_fields()) is not None:
                    message.setField(_USER, fields[0])
                    message.setField(_PASSWORD, fields[1])
                spooling.administrative(kind, _text_of(message), is_ours=True)

            _guarded(tell)

        def fromAdmin(self, message: Any, session_id: Any) -> None:  # noqa: N802
            def tell() -> None:
                kind = message.getHeader().getField(_KIND)
                spooling.administrative(kind, _text_of(message), is_ours=False)

            _guarded(tell)

        def toApp(self, message: Any, session_id: Any) -> None:  # noqa: N802
            return

        def fromApp(self, message: Any, session_id: Any) -> None:  # noqa: N802
            # Swallowed here, a message would count as received and be lost.
            _guarded(lambda: spooling.message(message.toString()), spooling.die)

    return Application()


def _text_of(message: Any) -> str:
    return str(message.getField(_TEXT)) if message.isSetField(_TEXT) else ""


def _guarded(act: Callable[[], object], die: Callable[[], object] | None = None) -> None:
    try:
        act()
    except Exception as error:  # noqa: BLE001 - an exception would end the engine's reader silently
        sys.stderr.write(f"callback: {error!r}\n")
        sys.stderr.flush()
        if die is not None:
            die()
