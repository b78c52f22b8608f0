"""Tuned plans outlive the process, are shared by several, and never outlive what they rest on."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from suiren.hw.catalog import CARDS
from suiren.mapper import plans, remember
from suiren.mapper.candidate import Shape
from suiren.mapper.plans import Plans
from suiren.mapper.remember import Memory, card_version
from suiren.mapper.tune import Plan

SHAPE = Shape(1, 300, 500, 700, "bf16", "bf16")


def tuned(path: Path, name: str = "t21") -> Plan:
    memory = Memory(path)
    plan = Plans(CARDS[name], memory).plan(SHAPE)
    memory.write()
    return plan


def test_a_plan_is_found_again_without_tuning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tuned(tmp_path / "plans.sqlite")

    def never(*_: object) -> Plan:
        raise AssertionError("tuned again")

    monkeypatch.setattr(plans, "tune", never)
    assert tuned(tmp_path / "plans.sqlite") == first


def test_another_card_or_another_fact_is_another_plan(tmp_path: Path) -> None:
    card = CARDS["t21"]
    other = replace(card, clock_hz=card.clock_hz.at(card.clock_hz * 2))
    assert card_version(card) != card_version(other)
    memory = Memory(tmp_path / "plans.sqlite")
    slow, fast = Plans(card, memory).plan(SHAPE), Plans(other, memory).plan(SHAPE)
    assert fast.seconds < slow.seconds


def test_another_source_forgets_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned(tmp_path / "plans.sqlite")
    monkeypatch.setattr(plans, "code_version", lambda: "another")
    tuned(tmp_path / "plans.sqlite")
    with sqlite3.connect(tmp_path / "plans.sqlite") as link:
        assert link.execute("SELECT COUNT(*) FROM plans").fetchone() == (2,)


def test_processes_share_one_file(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        found = list(pool.map(tuned, [tmp_path / "plans.sqlite"] * 8))
    assert all(plan == found[0] for plan in found)
    with sqlite3.connect(tmp_path / "plans.sqlite") as link:
        assert link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert link.execute("SELECT COUNT(*) FROM plans").fetchone() == (1,)


@pytest.mark.parametrize("content", [b"", b"not a database, surely not one at all"])
def test_a_file_that_cannot_be_used_is_done_without(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plans.sqlite"
    path.write_bytes(content)
    assert tuned(path).seconds > 0


def test_the_version_follows_the_sources() -> None:
    assert len(remember.code_version()) == 16
