"""What of a close's own files every page needs: rates for totals, minimum transfer amounts.

They are read by a thread when a close is new; pages show those of the close before meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from engine.errors import MarginPlatformError

if TYPE_CHECKING:
    from decimal import Decimal

    from infra.web.services import Services

_PATIENCE_SECONDS: Final = 20.0
"""How long the very first page waits; later ones never do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one close; USD alone and nothing where it cannot be read."""

    run_id: str = ""
    rates: Mapping[str, float] = field(default_factory=lambda: {"USD": 1.0})
    minimums: Mapping[str, Decimal] = field(default_factory=dict)


class CloseFacts:
    """The facts of the close that is asked about; one reading at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Condition()
        self._facts = Facts()
        self._reading = ""

    def of(self, run_id: str) -> Facts:
        """Return the facts of a close, or of the one before while they are being read."""
        with self._lock:
            if not run_id or self._facts.run_id == run_id:
                return self._facts
            if not self._reading:
                self._reading = run_id
                name = "web reads a close"
                threading.Thread(target=self._read, args=(run_id,), daemon=True, name=name).start()
            if not self._facts.run_id:
                self._lock.wait_for(lambda: bool(self._facts.run_id), _PATIENCE_SECONDS)
            return self._facts

    def _read(self, run_id: str) -> None:
        rates: Mapping[str, float] = {}
        minimums: Mapping[str, Decimal] = {}
        try:
            rates = self._services.usd_rates(run_id)
            minimums = self._services.minimum_transfers(run_id)
        except MarginPlatformError:
            # Totals are then of what is in USD; rows are exact in their own currency anyway.
            pass
        finally:
            with self._lock:
                self._reading = ""
                self._facts = Facts(
                    run_id=run_id, rates={"USD": 1.0, **rates}, minimums=dict(minimums)
                )
                self._lock.notify_all()
