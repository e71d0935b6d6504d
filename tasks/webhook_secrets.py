"""By which secrets clients sign what they send: ``PLIMSOLL_SECRET_WEBHOOK_CLIENT_<NAME>``.

A second one, with ``_NEXT`` behind it, counts as well while a client changes its key.
"""

from __future__ import annotations

import re
from typing import Final

from engine.errors import ParameterError
from infra.messages.webhook_inbound import Sender
from infra.messages.webhook_signing import WebhookSecret
from infra.secrets import read_secret

# Names that differ in case or in - and _ alone would share a variable, so only one spelling counts.
_CLIENT: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX: Final = "WEBHOOK_CLIENT_"


def client_sender(client_id: str) -> Sender | None:
    """Return who signs with which secrets; None for a client that has none."""
    if not _CLIENT.fullmatch(client_id):
        return None
    name = _PREFIX + client_id.replace("-", "_").upper()
    secrets = [secret for each in (name, f"{name}_NEXT") if (secret := _secret(each)) is not None]
    return Sender(client_id, secrets) if secrets else None


def _secret(name: str) -> WebhookSecret | None:
    try:
        text = read_secret(name).get_secret_value()
    except ParameterError:
        # Absent, or not guarded as it has to be: either way nothing can be verified with it.
        return None
    return WebhookSecret.parse(text)
