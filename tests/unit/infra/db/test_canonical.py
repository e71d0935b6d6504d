"""Canonical JSON: one text for equal objects, whichever way it is made."""

import json

from hypothesis import given
from hypothesis import strategies as st

from infra.db.canonical import canonical_json

FLAT = st.dictionaries(
    st.text(), st.one_of(st.text(), st.integers(), st.booleans(), st.none()), max_size=6
)
NESTED = st.dictionaries(
    st.text(), st.one_of(st.floats(allow_nan=False, allow_infinity=False), FLAT), max_size=4
)


def standard(content: dict[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@given(content=st.one_of(FLAT, NESTED))
def test_the_quick_encoder_writes_what_the_standard_one_does(content: dict[str, object]) -> None:
    assert canonical_json(content) == standard(content)


def test_every_control_character_and_escape_is_written_alike() -> None:
    content = {f"{chr(code)}": chr(code) for code in range(0x2100)}
    assert canonical_json(content) == standard(content)


def test_whole_numbers_beyond_64_bits_are_exact() -> None:
    assert canonical_json({"units": 10**40}) == f'{{"units":{10**40}}}'
