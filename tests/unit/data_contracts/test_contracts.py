"""Each dataset's contract, sample and page agree."""

from __future__ import annotations

import subprocess
import sys

import pytest

from data_contracts.contract import CANONICAL_DTYPES, IDENTIFIER_PATTERN, Column, Kind
from data_contracts.document import page
from data_contracts.registry import VERSIONS, contract
from data_contracts.validation import Judge, validate
from engine import ids, times
from engine.snapshot import Snapshot
from tests.unit.data_contracts.samples import BUSINESS_DATE, DATASETS, HOME, sample


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_sample_is_accepted_whole_and_in_canonical_types(dataset: str) -> None:
    definition = contract(dataset)
    outcome = validate(definition, sample(dataset), BUSINESS_DATE, Judge.MASKS)
    assert outcome.refusal is None
    assert len(outcome.quarantined) == 0
    assert len(outcome.accepted) == outcome.n_rows
    for column in definition.columns:
        assert str(outcome.accepted[column.name].dtype) == CANONICAL_DTYPES[column.kind]
    assert list(outcome.accepted.columns) == [column.name for column in definition.columns]


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_page_is_written_from_the_contract(dataset: str) -> None:
    text = (HOME / dataset / f"v{VERSIONS[dataset]}" / "README.md").read_text(encoding="utf-8")
    assert text == page(contract(dataset)), "run python -m data_contracts.document"


def test_an_unknown_dataset_names_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"'prices'.*price_history"):
        contract("prices")


def test_identifiers_have_the_same_alphabet_in_contracts_and_engine() -> None:
    assert IDENTIFIER_PATTERN == ids.IDENTIFIER_PATTERN


def test_the_close_is_the_same_instant_in_contracts_and_engine() -> None:
    from data_contracts.rules import close_instant

    assert close_instant(BUSINESS_DATE) == times.close_of(BUSINESS_DATE)


def test_every_market_frame_of_a_snapshot_has_a_contract() -> None:
    frames = {name for name, kind in Snapshot.__annotations__.items() if kind == "pd.DataFrame"}
    assert frames - {"faults"} <= set(DATASETS)


def test_an_optional_flag_says_what_an_empty_cell_means() -> None:
    with pytest.raises(ValueError, match="flag_when_empty"):
        Column("aligned", Kind.FLAG, "", optional=True)


def test_finding_a_contract_loads_neither_pandas_nor_great_expectations() -> None:
    code = (
        "import sys; from data_contracts.registry import contract; contract('price_history');"
        "print(sorted({'pandas', 'great_expectations', 'pyarrow'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_masks_alone_do_not_load_great_expectations() -> None:
    code = (
        "import sys; from datetime import date; import pandas as pd;"
        "from data_contracts.registry import contract;"
        "from data_contracts.validation import Judge, validate;"
        "validate(contract('fx_rates'), pd.DataFrame({'asset': ['USD']}), None, Judge.MASKS);"
        "print('great_expectations' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
