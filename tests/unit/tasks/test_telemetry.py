"""The code version changes with any source file, and progress goes to whoever is attached."""

from __future__ import annotations

from pathlib import Path

from infra.telemetry import Step, code_version, progress, show_progress_on
from infra.telemetry.code_version import hash_of_sources


class Recorder:
    def __init__(self) -> None:
        self.steps: list[Step] = []

    def begin(self, title: str) -> None:
        self.steps.append(Step(title, 0, 0))

    def report(self, step: Step) -> None:
        self.steps.append(step)


def test_the_code_version_names_release_and_sources() -> None:
    release, _, digest = code_version().partition("+")
    assert release
    assert len(digest) == 12


def test_any_changed_renamed_or_new_source_changes_the_hash(tmp_path: Path) -> None:
    package = tmp_path / "engine"
    package.mkdir()
    (package / "a.py").write_text("x = 1\n")
    hashes = [hash_of_sources(tmp_path, ("engine",))]
    (package / "a.py").write_text("x = 2\n")
    hashes.append(hash_of_sources(tmp_path, ("engine",)))
    (package / "a.py").rename(package / "b.py")
    hashes.append(hash_of_sources(tmp_path, ("engine",)))
    (package / "parameters.toml").write_text("y = 1\n")
    hashes.append(hash_of_sources(tmp_path, ("engine",)))
    assert len(set(hashes)) == 4


def test_compiled_files_and_notes_do_not_change_the_hash(tmp_path: Path) -> None:
    package = tmp_path / "engine"
    package.mkdir()
    (package / "a.py").write_text("x = 1\n")
    before = hash_of_sources(tmp_path, ("engine",))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"compiled")
    (package / "README.md").write_text("note\n")
    assert hash_of_sources(tmp_path, ("engine",)) == before


def test_progress_goes_to_the_innermost_display_and_then_back() -> None:
    outer, inner = Recorder(), Recorder()
    with show_progress_on(outer):
        progress().report(Step("a", 0, 1))
        with show_progress_on(inner):
            progress().report(Step("b", 0, 1))
        progress().report(Step("a", 1, 1))
    progress().report(Step("c", 0, 1))
    assert [step.name for step in outer.steps] == ["a", "a"]
    assert [step.name for step in inner.steps] == ["b"]
    assert outer.steps[-1].is_done
