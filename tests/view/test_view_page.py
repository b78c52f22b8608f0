"""The front end holds together: words, names, imports, colours; the file needs no network."""

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from shelved import NASTY, fill

from suiren.view.filed import filed_html
from suiren.view.page import GROUND, IMPORT, order, page_html
from suiren.view.shelf import Shelf

STATIC = files("suiren.view").joinpath("static")
NAME = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
EXPORTED = re.compile(r"^export (?:async )?(?:function|const) (\w+)", re.MULTILINE)
MOST_LINES = 300


def source(name: str) -> str:
    return STATIC.joinpath(name).read_text(encoding="utf-8")


def words(name: str) -> dict[str, str]:
    body = re.sub(r"^\s*//.*$", "", source(name).split("= {", 1)[1], flags=re.MULTILINE)
    return json.loads("{" + body.rsplit(",\n};", 1)[0] + "}")


@pytest.mark.parametrize(("english", "chinese"), [
    ("words_en.js", "words_zh.js"), ("names_en.js", "names_zh.js"),
])  # fmt: skip
def test_no_word_is_missing_in_a_language(english, chinese):
    one, two = words(english), words(chinese)
    assert list(one) == list(two)
    assert all(one.values())
    assert all(two.values())
    for key, text in one.items():
        places = [sorted(re.findall(r"\{\w+\}", t)) for t in (text, two[key])]
        assert places[0] == places[1], key


def test_every_word_that_is_asked_for_is_there_and_none_is_idle():
    known = set(words("words_en.js"))
    code = {name: source(name) for name in order() if not name.startswith(("words_", "names_"))}
    asked = {key for text in code.values() for key in re.findall(r'\bt\("([^"]+)"', text)}
    assert asked - known == set()
    everything = "\n".join(code.values())
    assert [key for key in known if not re.search(rf'["`]{re.escape(key)}["`]', everything)
            and key not in ("no_trace", "bad_trace", "no_card")] == []  # fmt: skip


def test_a_name_is_declared_once_in_the_whole_script():
    declared: dict[str, list[str]] = {}
    report = files("suiren.report")
    for name in GROUND:
        for found in NAME.findall(report.joinpath(name).read_text(encoding="utf-8")):
            declared.setdefault(found, []).append(name)
    for name in order():
        for found in NAME.findall(source(name)):
            declared.setdefault(found, []).append(name)
    assert {name: where for name, where in declared.items() if len(where) > 1} == {}


def test_modules_import_what_others_export_and_use_it():
    wrong = []
    for name in order():
        text = source(name)
        body = IMPORT.sub("", text)
        for wanted, where in IMPORT.findall(text):
            exported = EXPORTED.findall(source(where))
            for one in (w.strip() for w in wanted.split(",")):
                if one not in exported:
                    wrong.append(f"{name}: {where} exports no {one}")
                if not re.search(rf"\b{one}\b", body):
                    wrong.append(f"{name} imports {one} and does not use it")
        if "import " in body.replace("imports", ""):
            wrong.append(f"{name} has an import that the page cannot resolve")
    assert wrong == []
    assert sorted(order()) == sorted(f.name for f in STATIC.iterdir() if f.name.endswith(".js"))


def test_scripts_are_small():
    long = {f.name: len(f.read_text().splitlines()) for f in STATIC.iterdir()}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


class Loads(HTMLParser):
    """Everything that makes a browser fetch something, and the tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ("src", "href", "srcset", "data", "action")
        self.loads += [value or "" for name, value in attrs if name in names]


def test_the_file_needs_no_network_and_escapes(tmp_path: Path):
    fill(tmp_path / "h.sqlite")
    text = filed_html(Shelf(["r1", "r2"], history=tmp_path / "h.sqlite"))
    found = Loads(text)
    assert all(load.startswith(("#", "data:")) for load in found.loads)
    assert not {"iframe", "img", "object", "embed", "base", "link rel=stylesheet"} & set(found.tags)
    assert "default-src 'none'" in text
    assert NASTY not in text
    assert text.count('data-path="compare/') == 2
    assert text == filed_html(Shelf(["r1", "r2"], history=tmp_path / "h.sqlite"))


def test_the_page_alone_holds_no_data():
    assert "data-path=" not in page_html().split("<script>")[1]
    assert len(page_html()) < 200_000


# ---- colours

_BLINDNESS = {
    "none": np.eye(3),
    # Machado, Oliveira and Fernandes 2009, severity 1
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
}  # fmt: skip
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
PARTS = ("matrix", "vector", "memory", "l2", "launch", "collective", "link", "peer")


def colours(theme: str) -> dict[str, np.ndarray]:
    selector = ':root[data-theme="dark"] {' if theme == "dark" else ":root {"
    block = source("look.css").split(selector, 1)[1].split("}", 1)[0]
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6})", block)
    rgb = {n: np.array([int(h[i : i + 2], 16) / 255 for i in (0, 2, 4)]) for n, h in found}
    return {n: np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
            for n, c in rgb.items()}  # fmt: skip


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    one, two = sorted((float(_XYZ[1] @ a), float(_XYZ[1] @ b)), reverse=True)
    return (one + 0.05) / (two + 0.05)


def lab(linear: np.ndarray) -> np.ndarray:
    xyz = _XYZ @ np.clip(linear, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(theme):
    c = colours(theme)
    low = [f"{text} on {ground}: {contrast(c[text], c[ground]):.2f}"
           for text in ("text", "quiet", "accent", "good", "bad") for ground in ("card", "page")
           if contrast(c[text], c[ground]) < 4.5]  # fmt: skip
    low += [f"span text on {part}" for part in PARTS if contrast(c["span-text"], c[part]) < 4.5]
    low += [f"{part} on card" for part in PARTS if contrast(c[part], c["card"]) < 3]
    low += [] if contrast(c["lane-text"], c["lane-b"]) >= 4.5 else ["lane text"]
    assert low == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blindness", list(_BLINDNESS))
def test_parts_can_be_told_apart(theme, blindness):
    c, seen = colours(theme), np.array(_BLINDNESS[blindness])
    labs = {part: lab(seen @ c[part]) for part in PARTS}
    near = {f"{a} and {b}": round(float(np.linalg.norm(labs[a] - labs[b])), 1)
            for a, b in combinations(PARTS, 2)
            if np.linalg.norm(labs[a] - labs[b]) < 12}  # fmt: skip
    assert near == {}
