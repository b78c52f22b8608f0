"""The page about centres: whole, escaped, in both languages, sound in a browser."""

from __future__ import annotations

import io
import json
import re
import shutil
import string
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from suiren.centre.answer import answer, comparable
from suiren.centre.bounds import BOUNDS
from suiren.centre.build import centre_of
from suiren.report.centre_bars import slug
from suiren.report.centre_document import document
from suiren.report.centre_page import centre_html
from suiren.report.centre_screen import render
from suiren.report.centre_show import Show
from suiren.report.centre_words import LANGUAGES, Words, texts

NASTY = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>"
JOB = """
[[job]]
name = 'job'
steps = 1e5
step_s = 20
step_cards = 64
card_w = 300
checkpoint_bytes = 1e12
"""


def file(title: str, nodes: int, prices: str, goal: str = "") -> str:
    head = f"title = '''{title}'''\nnote = '''{title}'''\ncurrency = 'CNY'\n"
    power = "[power]\npue = 1.3\nsite_limit_w = 100e3\ncarbon_kg_per_kwh = 0.5\n"
    return f"{head}[machines]\nname = 't20x8'\nnodes = {nodes}\n{power}{prices}{JOB}{goal}"


@cache
def both() -> dict[str, Any]:
    """Two centres: one reaches its goal and lacks prices, the other does not and has a name."""
    prices = "[prices]\nnode = 4e5\nelectricity_per_kwh = 0.5\n"
    first = file("first", 8, prices, "[goal]\ndays = 60")
    second = file(NASTY.replace("'", "`"), 9, "[prices]\ncard = 4e4\nhost = 1e4\nrack = 1e4\n"
                  "staff_per_year = 1e5\n", "[goal]\ndays = 20\nbudget = 1e6\n")  # fmt: skip
    centres = [centre_of(text) for text in (first, second)]
    comparable(centres)
    return document([answer(centre) for centre in centres], ["first.toml", "second.toml"])


class Tags(HTMLParser):
    """Every tag, and what would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v or "" for n, v in attrs if n in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_loads_nothing(language: str) -> None:
    page = centre_html(both(), language)
    tags = Tags(page)
    assert tags.open == []
    assert tags.loads == ["data:,"]
    assert tags.tags.count("script") == 1 and "img" not in tags.tags
    for section in ("summary", "beside", "money", "power", "month", "bounds", "moves", "caveats",
                    "rests", "inputs"):  # fmt: skip
        assert f'id="{section}"' in page


def test_what_a_file_says_is_escaped_everywhere() -> None:
    page = centre_html(both())
    assert "<script>alert" not in page and "<img" not in page
    assert page.count("&lt;script&gt;alert") > 5


def test_the_document_is_plain_json() -> None:
    text = json.dumps(both(), allow_nan=False)
    assert json.loads(text) == both()
    lone = document([answer(centre_of(file("lone", 8, "")))], ["lone.toml"])
    assert lone["comparison"] is None
    assert lone["centres"][0]["money"]["cost_per_token"] is None
    assert "money" not in re.findall(r'<section id="(\w+)"', centre_html(lone))


def test_a_missing_price_is_told_and_has_a_break_even_one() -> None:
    found, page = both(), centre_html(both())
    assert "switch" in found["centres"][0]["money"]["missing"]
    assert "w-missing" in page and "no price given" in page
    assert "Missing, and counted as nothing" in page
    text = " ".join(centre_html(both(), "zh").split())
    assert "未给价格" in text


def test_every_class_of_a_picture_has_a_colour() -> None:
    page = centre_html(both())
    style = page[page.index("<style>") : page.index("</style>")]
    used = set(re.findall(r'class="([cwt]-[a-z-]+)"', page))
    used |= {f"c-{slug(name)}" for name in BOUNDS}
    assert used and {name for name in used if f".{name}" not in style} == set()


def test_every_text_has_both_languages_and_the_same_places() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for key, found in texts().items():
        assert len(found) == len(LANGUAGES) and all(found), key
        assert places(found[0]) == places(found[1]), key


def test_every_key_of_the_template_is_a_text() -> None:
    template = (Path(__file__).parents[2] / "suiren/report/centre.html").read_text()
    keys = set(re.findall(r'words\(["\']([^"\']+)["\']', template))
    assert keys and keys - set(texts()) == set()


@pytest.mark.parametrize(("language", "value", "shown"), [
    ("en", 1.5e12, "1.5 trillion"), ("en", 2e6, "2 million"), ("en", 45000.0, "45,000"),
    ("zh", 1.5e12, "1.5 万亿"), ("zh", 2e6, "200 万"), ("zh", 45000.0, "45,000"),
    ("zh", 1.23e8, "1.23 亿"), ("en", 0.5, "0.5"),
])  # fmt: skip
def test_large_numbers_are_written_as_the_language_does(
    language: str, value: float, shown: str
) -> None:
    assert Show(Words(language), "CNY").count(value) == shown


def test_small_amounts_keep_their_digits() -> None:
    show = Show(Words("en"), "USD")
    assert show.money(0.00001234) == "1.23e-05 USD"
    assert show.money(0.0) == "0 USD" and show.money(None) == "–"
    assert show.price("electricity_per_kwh", 0.08) == "0.08 USD/kWh"


def test_the_screen_says_the_same_in_both_languages() -> None:
    for language, yes, no in (("en", "It works", "It does not work"), ("zh", "可行", "不可行")):
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(render(both(), language))
        text = console.export_text()
        assert yes in text and no in text and NASTY[:8] in text


def test_a_browser_shows_it_without_an_error(tmp_path: Path) -> None:
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        for language in LANGUAGES:
            page = tmp_path / f"{language}.html"
            page.write_text(centre_html(both(), language), encoding="utf-8")
            browser.get(page.as_uri())
            before = browser.execute_script("return getComputedStyle(document.body).color")
            browser.find_element("id", "theme").click()
            assert browser.execute_script("return getComputedStyle(document.body).color") != before
            for width in (1280, 500):
                browser.set_window_size(width, 900)
                assert browser.execute_script(
                    "return document.documentElement.scrollWidth <= innerWidth"
                )
            assert browser.get_log("browser") == []
    finally:
        browser.quit()


def test_unpriced_lines_have_a_price_within_the_budget_and_jobs_are_listed() -> None:
    goal = "[goal]\nbudget = 5e6\n"
    text = file("two jobs", 8, "[prices]\nnode = 4e5\nelectricity_per_kwh = 0.5\n", goal)
    found = document([answer(centre_of(text + JOB.replace("'job'", "'other'")))], ["two.toml"])
    rows = found["centres"][0]["money"]["within_budget"]
    assert {row["name"] for row in rows} >= {"staff_per_year", "rack"}
    page = centre_html(found)
    assert "price of staff: up to" in page and "stays within the budget" in page
    assert "job: 2" in page and "other: 2" in page
