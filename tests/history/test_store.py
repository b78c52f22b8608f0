"""The store: what goes in comes out, by every name, from many processes, and mistakes are told."""

from __future__ import annotations

import math
import re
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from suiren.history.names import HistoryError, HistoryUnusable, UnknownRecord
from suiren.history.store import History, history_path

RUN = {"card": {"title": "Toy 1"}, "step_time_s": 0.25, "peak_memory_bytes": 2**20, "ops": []}


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "deep" / "history.sqlite")


def test_what_goes_in_comes_out(history: History) -> None:
    name = history.add("run", "train.py", RUN, {"trace": b"\x1f\x8b\x00"}, {"seed": 3})
    record = history.find(name)
    assert (record.id, record.kind, record.title) == ("r1", "run", "train.py")
    assert (record.card, record.step_s, record.memory_bytes) == ("Toy 1", 0.25, 2**20)
    assert record.facts == {"seed": 3}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record.made_at)
    assert history.document(record) == RUN
    assert history.part(record, "trace") == b"\x1f\x8b\x00"
    assert history.part(record, "nothing") is None


@pytest.mark.parametrize(("kind", "document", "told"), [
    ("ranks", {"cluster": {"title": "8 × Toy"}, "step_time_s": 2, "peak_memory_bytes": 7},
     ("8 × Toy", 2.0, 7)),
    ("step", {"cluster": "toys", "step_s": 3.0, "memory": [{"total_bytes": 5}, {"total_bytes": 9}]},
     ("toys", 3.0, 9)),
    ("goodput", {"title": "64 toys", "step_s": 1.5}, ("64 toys", 1.5, None)),
    ("numerics", {"on": "toy", "step_time_s": None}, ("toy", None, None)),
    ("plan", {"best": [{"machine": "toyx8", "step_s": 1.0, "memory_bytes": 4}]}, ("toyx8", 1.0, 4)),
    ("plan", {"best": []}, ("", None, None)),
    ("validation", {"rows": 4}, ("", None, None)),
])  # fmt: skip
def test_lists_show_card_time_and_memory_of_each_kind(
    history: History, kind: str, document: dict[str, object], told: tuple[object, ...]
) -> None:
    history.add(kind, "it", document)
    one = history.find("last")
    assert (one.card, one.step_s, one.memory_bytes) == told


def test_records_are_told_newest_first_and_by_kind(history: History) -> None:
    assert history.records() == [] and not history.path.exists()
    for title, kind in (("a", "run"), ("b", "plan"), ("c", "run")):
        history.add(kind, title, {})
    assert [r.title for r in history.records()] == ["c", "b", "a"]
    assert [r.title for r in history.records(limit=1)] == ["c"]
    assert [r.title for r in history.records(kind="run")] == ["c", "a"]


def test_a_record_is_found_by_id_place_tag_and_title(history: History) -> None:
    for title in ("a", "b", "a"):
        history.add("run", title, {})
    history.tag(history.find("r2"), "good")
    named = ("r1", "last", "last~2", "good", "a", "b")
    assert [history.find(name).id for name in named] == ["r1", "r3", "r1", "r2", "r3", "r2"]
    assert history.find("good").facts["tags"] == ["good"]
    history.tag(history.find("r3"), "good")
    assert history.find("good").id == "r3"


def test_a_removed_record_takes_its_parts_and_tags_along_and_its_id_is_not_given_again(
    history: History,
) -> None:
    history.add("run", "a", {}, {"trace": b"t"})
    record = history.find("r1")
    history.tag(record, "good")
    history.remove(record)
    assert history.part(record, "trace") is None
    assert history.add("run", "b", {}) == "r2"
    with pytest.raises(UnknownRecord, match="r1 was removed"):
        history.document(record)
    with pytest.raises(UnknownRecord):
        history.find("good")


def test_an_unknown_name_is_one_sentence_with_near_ones(history: History) -> None:
    with pytest.raises(UnknownRecord, match="no record is called 'x': the history is empty"):
        history.find("x")
    history.add("run", "char_gpt.py", {})
    with pytest.raises(UnknownRecord, match=r"'char_gpt'; the nearest names are char_gpt.py"):
        history.find("char_gpt")
    with pytest.raises(UnknownRecord, match="`suiren runs` lists the 1 there are"):
        history.find("zzz")
    with pytest.raises(UnknownRecord):
        history.find("last~1")


@pytest.mark.parametrize("name", ["last", "last~3", "r7", "two words", "", "-x", "x" * 65])
def test_a_tag_must_be_a_word_that_names_nothing_else(history: History, name: str) -> None:
    history.add("run", "a", {})
    with pytest.raises(HistoryError, match="cannot be a tag"):
        history.tag(history.find("r1"), name)


def test_numbers_that_are_not_finite_and_numpys_are_kept_readable(history: History) -> None:
    import numpy as np

    history.add("numerics", "a", {"x": math.nan, "y": [-math.inf, 1.0], "z": np.float32(0.5)})
    found = history.document(history.find("last"))
    assert found == {"x": "nan", "y": ["-inf", 1.0], "z": 0.5}


def _add(path: str) -> list[str]:
    return [History(Path(path)).add("run", "a", RUN) for _ in range(8)]


def test_many_processes_add_at_once_to_a_store_that_does_not_exist_yet(history: History) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        names = [n for some in pool.map(_add, [str(history.path)] * 4) for n in some]
    assert sorted(names, key=lambda n: int(n[1:])) == [f"r{n}" for n in range(1, 33)]
    assert len(history.records()) == 32


def test_a_corrupt_store_is_one_sentence_that_says_what_to_do(history: History) -> None:
    history.add("run", "a", {})
    for beside in history.path.parent.iterdir():
        beside.write_bytes(b"this is no database" * 99)
    for act in (history.records, lambda: history.find("last"), lambda: history.add("run", "b", {})):
        with pytest.raises(HistoryUnusable, match=r"cannot be used .* move the file away") as told:
            act()
        assert str(history.path) in str(told.value)


def test_a_damaged_document_names_its_record(history: History) -> None:
    history.add("run", "a", {})
    with sqlite3.connect(history.path) as link:
        link.execute("UPDATE records SET document = ?", (b"damaged",))
    with pytest.raises(HistoryUnusable, match="r1 is damaged"):
        history.document(history.find("last"))


def test_a_store_of_a_newer_suiren_is_left_alone(history: History) -> None:
    history.add("run", "a", {})
    with sqlite3.connect(history.path) as link:
        link.execute("PRAGMA user_version = 99")
    with pytest.raises(HistoryUnusable, match="newer Suiren"):
        history.records()


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnusable, match="cannot be used"):
        History(tmp_path).add("run", "a", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryUnusable, match="cannot be used"):
        History(tmp_path / "file" / "history.sqlite").add("run", "a", {})


def test_the_variable_says_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "mine"))
    assert History().path == tmp_path / "mine"
    monkeypatch.setenv("SUIREN_HISTORY", "")
    assert history_path() is None
    with pytest.raises(HistoryUnusable, match="switched off"):
        History()
    monkeypatch.delenv("SUIREN_HISTORY")
    assert history_path() is not None
