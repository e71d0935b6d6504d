"""What linters do not hold: sizes, where money is rounded, time zones, and names of machines."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("flows", "tasks", "engine", "infra", "data_contracts")
TOP_LEVEL = {
    "pyproject.toml", "README.md", "flows", "tasks", "engine", "tests", "data_contracts", "infra",
    "Makefile", "LICENSE", "constraints.txt",
}  # fmt: skip
LINES_MAX = 400
FUNCTION_LINES_MAX = 50
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager"}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return lines of code of a function without its docstring."""
    body = node.body
    has_docstring = (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    )
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_modules_are_at_most_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in modules()
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }
    assert not long


def test_functions_are_at_most_50_lines_of_code() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {code_lines(node)}"
        for path in modules()
        for node in functions(ast.parse(path.read_text(encoding="utf-8")))
        if code_lines(node) > FUNCTION_LINES_MAX
    ]
    assert not long


def test_only_money_rounds_money() -> None:
    rounding = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name != "money.py" and ".quantize(" in path.read_text(encoding="utf-8")
    ]
    assert not rounding


def test_no_module_has_a_name_without_a_meaning() -> None:
    assert not [path for path in modules() if path.stem in FORBIDDEN_NAMES]


def test_the_clock_is_read_in_one_adapter() -> None:
    pattern = re.compile(r"datetime\.(now|utcnow)\(|date\.today\(|time\.time\(\)")
    readers = [
        str(path.relative_to(ROOT))
        for path in modules()
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert readers == ["infra/clock.py"]


def test_no_certificate_goes_unchecked() -> None:
    pattern = re.compile(r"verify=False|ssl=False|CERT_NONE|check_hostname\s*=\s*False")
    trusting = [
        str(path.relative_to(ROOT))
        for path in modules()
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert not trusting


def test_every_package_says_what_it_is_for() -> None:
    missing = [
        str(folder.relative_to(ROOT))
        for package in PACKAGES
        for folder in (ROOT / package, *(p for p in (ROOT / package).iterdir() if p.is_dir()))
        if (folder / "__init__.py").exists()
        and not (folder / "README.md").exists()
        and folder.parent.name not in ("engine", "data_contracts")
    ]
    assert not missing


def test_constraints_pin_versions_and_name_no_host() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^ ]+( ;.*)?", line) for line in pins)
    assert not [line for line in lines if "://" in line]


def test_visible_top_level_is_closed() -> None:
    try:
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    visible = {name.split("/")[0] for name in listed if not name.startswith(".")}
    assert visible <= TOP_LEVEL
