"""G16: requests made from the description of the interface, sound and unsound, are 4xx at worst."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from infra.web.access import ACCESS
from tests.worlds.house import House

pytestmark = pytest.mark.slow


def test_whatever_is_sent_nothing_breaks(house: House, tmp_path: Path) -> None:
    import schemathesis

    app = house.app(tmp_path)
    headers = {"Authorization": f"Bearer {house.tokens['abe']}"}
    schema = schemathesis.openapi.from_asgi(
        "/v1/openapi.json", app, headers={**headers, "host": "127.0.0.1"}
    )
    tried = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        tried.add((operation.method.upper(), operation.path))
        sound, unsound = (
            operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode
        )

        @given(case=sound | unsound)
        @settings(
            max_examples=40,
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        def attack(case: object) -> None:
            answer = case.call(headers={**headers, "host": "127.0.0.1"})  # type: ignore[attr-defined]
            # 503 is the word for a heavy question that finds no place.
            assert answer.status_code < 500 or answer.status_code == 503, answer.text

        attack()
    described = {pair for pair in ACCESS if pair[1].startswith("/v1/")}
    assert tried == described - {("GET", "/v1/openapi.json")}
