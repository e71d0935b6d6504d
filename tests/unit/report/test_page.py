"""The page is one file that says everything, asks nothing from outside and cannot be injected."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from infra.report.amounts import exact
from infra.report.document import Document, document
from infra.report.inputs import ReportInputs
from infra.report.page.render import render_page
from tests.unit.report.builder import Size, build_inputs

SIZE_MAX_BYTES = 3_000_000


class Outline(HTMLParser):
    """Collect what the tests ask about."""

    def __init__(self) -> None:
        super().__init__()
        self.identifiers: list[str] = []
        self.anchors: list[str] = []
        self.sources: list[str] = []
        self.tables: list[dict[str, int]] = []
        self.pictures: list[dict[str, str | None]] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.identifiers.append(str(found["id"]))
        href = found.get("href") or ""
        if tag == "a" and href.startswith("#"):
            self.anchors.append(href[1:])
        self.sources += [str(found[key]) for key in ("src", "srcset", "action") if key in found]
        if tag in ("a", "link") and not href.startswith(("#", "data:")):
            self.sources.append(href)
        if tag == "table":
            self.tables.append({"caption": 0, "heads": 0, "scoped": 0})
        if tag == "caption":
            self.tables[-1]["caption"] += 1
        if tag == "th":
            self.tables[-1]["heads"] += 1
            self.tables[-1]["scoped"] += found.get("scope") in ("col", "row")
        if tag == "svg":
            self.pictures.append(found)
        if tag == "script" and found.get("type") != "application/json":
            self.scripts += 1


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    return parser


def test_nothing_is_fetched_from_anywhere(page: str) -> None:
    assert outline(page).sources == []
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) <= namespaces
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_the_only_script_is_the_one_the_policy_names(page: str) -> None:
    found = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert outline(page).scripts == 1


def test_identifiers_are_unique_and_every_link_inside_the_page_leads_somewhere(page: str) -> None:
    found = outline(page)
    assert len(found.identifiers) == len(set(found.identifiers))
    assert set(found.anchors) <= set(found.identifiers)


def test_every_table_has_a_caption_and_scoped_heads(page: str) -> None:
    tables = outline(page).tables
    assert len(tables) >= 15
    assert all(table["caption"] == 1 for table in tables)
    assert all(table["heads"] == table["scoped"] > 0 for table in tables)


def test_every_chart_tells_what_it_shows(page: str) -> None:
    pictures = outline(page).pictures
    assert len(pictures) == 8
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)


def test_charts_take_their_colours_and_type_from_the_page(page: str) -> None:
    drawn = "".join(re.findall(r"<svg .*?</svg>", page, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", drawn) == []
    assert "DejaVu" not in drawn
    assert "<style" not in drawn


def test_no_programmers_word_for_nothing_reaches_the_reader(page: str) -> None:
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    words = re.findall(r"\b(?:nan|NaN|None|NaT|inf|null|undefined|Decimal)\b", text)
    assert words == []


def test_negative_amounts_have_a_real_minus(page: str) -> None:
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert re.findall(r">-\d", body) == []
    assert re.search(r">−\d", body)


def test_the_requirement_of_every_netting_set_is_on_the_page(page: str, content: Document) -> None:
    for amount in content.netting_sets["requirement"].dropna():
        assert re.search(rf">{re.escape(exact(amount))}\s*<", page)


def test_a_thousand_netting_sets_stay_below_three_megabytes() -> None:
    page = render_page(document(build_inputs(Size(n_netting_sets=1000))))
    assert len(page.encode()) < SIZE_MAX_BYTES
    assert page.count('scope="row" class=k') >= 1000


def test_more_netting_sets_than_a_page_can_hold_are_left_to_the_tables() -> None:
    page = render_page(document(build_inputs(Size(n_netting_sets=2100))))
    assert len(page.encode()) < SIZE_MAX_BYTES
    assert "The first 2,000 of 2,100 rows" in page


def test_hostile_text_stays_text(inputs: ReportInputs) -> None:
    attack = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"
    assessment = inputs.assessment
    rows = assessment.requirements.assign(reason=attack, book=attack)
    scenarios = assessment.worst_scenarios.assign(scenario=attack)
    hostile = replace(
        inputs,
        assessment=replace(assessment, requirements=rows, worst_scenarios=scenarios),
        checks=inputs.checks.assign(detail=attack),
    )
    page = render_page(document(hostile))
    assert "<img" not in page
    assert outline(page).scripts == 1
    assert page.count("</script>") == 2


def test_a_first_run_without_history_says_what_is_absent() -> None:
    page = render_page(document(build_inputs(Size(), with_history=False)))
    assert "There is no earlier close to compare with." in page
    assert "No back-test was given to this report" in page
    assert "No checks were recorded with this run." in page


def test_a_clean_day_says_so() -> None:
    inputs = build_inputs(Size(n_netting_sets=8, n_failed=0, n_held=0, n_breaks=0))
    checks = inputs.checks.assign(passed=True, n_failed=0)
    counts = inputs.dataset_counts.assign(n_quarantined=0)
    page = render_page(document(replace(inputs, checks=checks, dataset_counts=counts)))
    assert "Nothing needs attention" in page
    assert "No open break: order management, venues and clearing agree" in page
    assert "Every netting set was assessed on fresh inputs." in page
