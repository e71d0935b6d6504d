"""Runs that wait for somebody's approval go on once our own record has the decision.

Asked over Prefect's own HTTP interface, so that the process that serves pages never imports it:
that takes seconds, while a person waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from engine.errors import StateError
from infra.settings import Settings
from tasks.session import auth_of, served_at

if TYPE_CHECKING:
    import httpx

_SECONDS_MAX: Final = 10.0
_APPROVAL_FLOW: Final = "approve-transfer"
_RUNS_MAX: Final = 200


def resume_waiting(settings: Settings, key: str, approver: str, state: str) -> str:
    """Resume the paused runs that wait for a transfer and say how many; nothing without Prefect.

    Raises
    ------
    StateError
        If Prefect does not do it: the decision stands, and the run is resumed on its page.
    """
    address = _prefect_address(settings)
    if address is None:
        return ""
    import httpx

    auth = auth_of(settings)
    credentials = httpx.BasicAuth(*auth.split(":", 1)) if auth and ":" in auth else None
    try:
        with httpx.Client(
            base_url=address, auth=credentials, timeout=_SECONDS_MAX, trust_env=False
        ) as client:
            resumed = _resume(client, key, approver, state)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"the run that waits for transfer {key[:12]} was not resumed "
            f"({type(error).__name__}): resume it on its page",
            identifier=key,
        ) from error
    return f"{resumed} waiting run{'' if resumed == 1 else 's'} resumed." if resumed else ""


def _prefect_address(settings: Settings) -> str | None:
    if settings.prefect_api_url:
        return settings.prefect_api_url
    found = served_at(settings)
    return found.api_url if found else None


def _resume(client: httpx.Client, key: str, approver: str, state: str) -> int:
    """Resume paused approval runs of a transfer; return how many."""
    wanted = {
        "flows": {"name": {"any_": [_APPROVAL_FLOW]}},
        "flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}},
        "limit": _RUNS_MAX,
    }
    runs: list[dict[str, Any]] = _posted(client, "/flow_runs/filter", wanted)
    waiting = [run for run in runs if key.startswith(str(run["parameters"].get("key", "-")))]
    typed = {
        "decision": "rejected" if state in ("rejected", "cancelled") else "approved",
        "approver": approver,
        "comment": "decided over HTTP; this note approves nothing",
    }
    for run in waiting:
        answer = _posted(client, f"/flow_runs/{run['id']}/resume", {"run_input": typed})
        if answer["status"] in ("REJECT", "ABORT"):
            raise StateError(
                f"the run {run['name']} that waits for transfer {key[:12]} was not resumed: "
                f"{(answer.get('details') or {}).get('reason') or answer['status']}",
                identifier=key,
            )
    return len(waiting)


def _posted(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(path, json=body)
    answer.raise_for_status()
    return answer.json()
