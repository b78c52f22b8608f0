import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from suiren.hw.load import resolve_card
from suiren.report.answer import Answer, answer
from suiren.report.page import SCRIPTS, page_html, write_page
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Program, Step
from suiren.units import show_bytes, show_rate, show_time

NASTY = "</script><script>alert('x')</script>\"&<img src=x onerror=alert(1)>.py"
SECTIONS = ("summary", "changes", "timeline", "roofline", "memory", "tables", "doubts")
MM = "aten::mm(self=f32[2048,2048],mat2=f32[2048,2048])->(f32[2048,2048])"
ADD = "aten::add.Tensor(self=f32[4096,4096],other=f32[4096,4096],alpha=1)->(f32[4096,4096])"


def program(calls: list[str], ops: list[tuple[int, int]], script: str = "train.py") -> Program:
    """A program of one step: `ops` are (call, context), each allocating its result."""
    rows, storages = [], []
    for number, (call, context) in enumerate(ops):
        size = 16 * 2**20
        rows.append((Kind.ALLOC, number, context, 0, size))
        rows.append((Kind.OP, call, context, 0, len(storages)))
        storages += [number, number, number]
    rows += [(Kind.FREE, n, 0, 0, 16 * 2**20) for n in range(len(ops))]
    step = Step(np.array(rows, EVENT), np.array(storages, np.int32), np.zeros(0, LIVE))
    contexts = [Context("forward", "Net.blocks.0.fc"), Context("backward", "Net<b>.x")]
    facts = {"script": script, "outcome": "finished", "numerics": True}
    parsed = [parse_call(c) for c in calls]
    return Program(parsed, contexts, [step], [0, 0, 0], facts=facts)


def small(script: str = "train.py", *, advise: bool = True) -> Answer:
    ops = [(0, 0), (1, 0), (0, 1), (1, 1)]
    return answer(program([MM, ADD], ops, script), resolve_card("t21"), advise=advise)


class Loads(HTMLParser):
    """Every attribute that makes a browser fetch something, and every element id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action", "poster"):
                self.loads.append(value or "")
            elif name == "id":
                self.ids.add(value or "")


def data(text: str, name: str) -> dict:
    start = f'<script type="application/json" id="{name}">'
    return json.loads(text.split(start)[1].split("</script>")[0])


def test_has_every_section_and_its_numbers():
    told = small()
    text = page_html(told)
    assert set(SECTIONS) <= Loads(text).ids
    number, unit = show_time(told.step_time_s).split()
    assert f"{number} <em>{unit}</em>" in text
    assert f"{100 * told.mfu:.1f} <em>%</em>" in text
    assert f"of {show_bytes(told.card.memory_bytes)}" in text
    assert told.changes[0].name in text
    assert told.rested[0].name in text
    assert "None of them was measured" in text


def test_loads_nothing_from_anywhere():
    text = page_html(small())
    found = Loads(text)
    assert all(load.startswith(("#", "data:")) for load in found.loads)
    assert not {"iframe", "img", "object", "embed", "base", "video"} & set(found.tags)
    code = text.split('<script type="application/json"')[0] + text.split("</script>")[-2]
    words = "fetch( XMLHttpRequest WebSocket sendBeacon import( @import url( http: https:"
    for word in words.split():
        assert word not in code, word
    assert "default-src 'none'" in text


def test_escapes_what_a_script_may_be_called():
    text = page_html(small(NASTY))
    assert NASTY not in text
    found = Loads(text)
    assert "img" not in found.tags
    assert found.tags.count("script") == Loads(page_html(small())).tags.count("script")
    assert "&lt;/script&gt;" in text
    assert "Net<b>" not in text


def test_timeline_tiles_the_step():
    told = small()
    line = data(page_html(told), "timeline-data")
    (track,) = line["tracks"]
    ends = sum(track["gaps_ps"]) + sum(sum(line["shapes"][s][3:]) for s in track["shapes"])
    ops = [s for s in told.spans if s.kind == "op"]
    assert ends == max(s.end_ps for s in ops) - told.time.start_ps
    assert sum(line["shapes"][s][0] >= 0 for s in track["shapes"]) == len(ops)
    assert line["num_dropped"] == 0


def test_memory_reaches_its_peak():
    told = small()
    memory = data(page_html(told), "plot-data")["memory"]
    assert max(memory["bytes"]) == told.memory.peak_bytes
    assert memory["time_s"] == sorted(memory["time_s"])


def test_without_changes_and_without_flop():
    told = answer(program([ADD], [(0, 0), (0, 1)]), resolve_card("t21"), advise=False)
    text = page_html(told)
    assert "No change that was simulated" in text
    assert "no matrix work" in text
    roofline = data(text, "plot-data")["roofline"]
    assert roofline["points"] == []
    assert roofline["num_streaming"] == 1


def test_tells_that_a_script_ended_early():
    told = small()
    told.program.facts["outcome"] = "out of memory"
    told.program.facts["out_of_memory"] = {
        "tried_bytes": 2**30, "allocated_bytes": 2**34, "capacity_bytes": 2**35}  # fmt: skip
    assert "an allocation of 1.00 GiB failed with 16.00 GiB of 32.00 GiB" in page_html(told)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path):
    write_page(small(), tmp_path / "a.html")
    write_page(small(), tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_stays_small_with_many_spans():
    assert len(page_html(many(100_000)).encode()) < 4e6


def many(count: int) -> Answer:
    """The small answer with its spans repeated after each other."""
    told = small()
    period = told.time.period_ps
    repeats = -(-count // len(told.spans))
    spans = [
        replace(s, start_ps=s.start_ps + k * period, end_ps=s.end_ps + k * period)
        for k in range(repeats)
        for s in told.spans
    ]
    return replace(told, time=replace(told.time, spans=spans, period_ps=repeats * period))


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium with an own profile."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        "window-size=1360,1000",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    started = webdriver.Chrome(options=options, service=service)
    yield started
    started.quit()


def opened(browser, told: Answer, path: Path):
    write_page(told, path)
    browser.get(path.as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "true"
    return browser


#: Whether a canvas shows more than one colour.
PAINTED = """
const c = document.getElementById(arguments[0]);
const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
return new Set(new Uint32Array(data.buffer)).size;
"""


def test_draws_in_a_browser_without_errors(browser, tmp_path: Path):
    opened(browser, small(NASTY), tmp_path / "page.html")
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert browser.get_log("browser") == []
    assert browser.execute_script(PAINTED, "lanes") > 5
    assert browser.execute_script(PAINTED, "overview") > 3
    assert len(browser.find_elements("css selector", "#roofs circle")) == 1
    assert len(browser.find_elements("css selector", "#curve path")) == 2
    assert len(browser.get_screenshot_as_png()) > 20_000
    loaded = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert all(name.startswith("data:") for name in browser.execute_script(loaded))


def test_page_without_flop_draws_too(browser, tmp_path: Path):
    told = answer(program([ADD], [(0, 0), (0, 1)]), resolve_card("t21"), advise=False)
    opened(browser, told, tmp_path / "page.html")
    assert browser.get_log("browser") == []
    assert "No call of this step ran matrix FLOP" in browser.page_source


def test_keys_sorting_filter_and_theme(browser, tmp_path: Path):
    opened(browser, small(), tmp_path / "page.html")
    shown = "return document.getElementById('range').textContent"
    frame = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
    lanes = browser.find_element("id", "lanes")
    browser.execute_async_script(frame)
    whole = browser.execute_script(shown)
    lanes.send_keys("+", ".")
    browser.execute_async_script(frame)
    assert browser.execute_script(shown) != whole
    assert "bound by" in browser.find_element("id", "picked").text
    lanes.send_keys("0")
    browser.execute_async_script(frame)
    assert browser.execute_script(shown) == whole
    click = "document.querySelectorAll(arguments[0])[arguments[1]].click()"
    first = "return document.querySelector('#table tbody td').textContent"
    browser.execute_script(click, "#table thead button", 0)
    down = browser.execute_script(first)
    browser.execute_script(click, "#table thead button", 0)
    assert {down, browser.execute_script(first)} == {"aten::mm", "aten::add.Tensor"}
    browser.find_element("id", "filter").send_keys("matmul")
    assert browser.execute_script("return document.querySelectorAll('#table tbody tr').length") == 1
    theme = "return document.documentElement.dataset.theme"
    before = browser.execute_script(theme)
    browser.execute_script(click, "#theme", 0)
    assert browser.execute_script(theme) != before
    assert browser.get_log("browser") == []


def test_many_spans_draw_fast(browser, tmp_path: Path):
    opened(browser, many(100_000), tmp_path / "page.html")
    assert browser.execute_script("return performance.now()") < 20_000
    frames = """
    const done = arguments[0], canvas = document.getElementById("lanes"), times = [];
    const next = () => {
      const start = performance.now();
      canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowUp"}));
      requestAnimationFrame(() => requestAnimationFrame(() => {
        times.push(performance.now() - start);
        times.length < 10 ? next() : done(times.sort((a, b) => a - b)[5]);
      }));
    };
    next();
    """
    assert browser.execute_async_script(frames) < 500
    assert browser.get_log("browser") == []


def test_numbers_read_as_in_python(browser, tmp_path: Path):
    source = (Path(__file__).parents[2] / "suiren" / "report" / SCRIPTS[0]).read_text()
    browser.get("about:blank")
    values = [0, 0.000321, 0.000977, 0.0123, 1.5, 250, 1234, 98765.4, 2.5e9, 1.6e12]
    three = "[showTime(v), showRate(v, 'B/s'), showBytes(v)]"
    code = f"{source}; return arguments[0].map(v => {three})"
    shown = browser.execute_script(code, values)
    assert shown == [[show_time(v), show_rate(v, "B/s"), show_bytes(v)] for v in values]
