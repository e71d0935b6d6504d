"""Who acts: the person behind a command, for decisions that need two."""

from __future__ import annotations

import getpass
import os

from engine.errors import ParameterError
from engine.transfers.approvals import COLLECTOR
from tasks.workplace import workplace


def principal() -> str:
    """Return PLIMSOLL_PRINCIPAL, or else the login of the operating system.

    Whoever lets several people use one login sets the variable after having authenticated them.

    Raises
    ------
    ParameterError
        If the variable names the payment desk, which acts for no person.
    """
    named = workplace().settings.principal
    if named and named.strip().casefold() == COLLECTOR:
        raise ParameterError(
            f"PLIMSOLL_PRINCIPAL is {named.strip()!r}, which is the platform itself: set it to the "
            "person who acts",
            identifier="principal",
            value=named.strip(),
        )
    return named.strip() if named and named.strip() else operating_system_user()


def operating_system_user() -> str:
    """Return the login name, or the number of a user that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"
