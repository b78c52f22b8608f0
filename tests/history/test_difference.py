"""What changed between two answers: the parts sum to the whole, and nothing equal is told."""

from __future__ import annotations

import json
from math import fsum, isclose
from pathlib import Path
from typing import Any

import pytest
from answered import GELU, answered
from hypothesis import given
from hypothesis import strategies as st

from suiren.history.change import Change, Difference, as_json, divided
from suiren.history.compare import BEYOND, difference
from suiren.history.names import HistoryError
from suiren.history.side import Side, side_named
from suiren.history.store import History
from suiren.report.document import document

_amounts = st.dictionaries(st.sampled_from("abcdef"), st.floats(-1e6, 1e6), max_size=6)


@given(_amounts, _amounts, st.floats(0, 1e7), st.floats(0, 1e7))
def test_law_rows_sum_to_the_change_of_the_whole(
    before: dict[str, float], after: dict[str, float], first: float, second: float
) -> None:
    table = divided("t", Change("whole", first, second, "s"), before, after)
    total = fsum(row.by for row in table.rows) if table else 0.0
    scale = max(first, second, *map(abs, before.values()), *map(abs, after.values()), 1.0)
    assert isclose(total, second - first, abs_tol=1e-9 * scale)
    if table is not None:
        sizes = [abs(row.by) for row in table.rows]
        assert sizes == sorted(sizes, reverse=True)
        assert all(row.before != row.after for row in table.rows)


def side(name: str, kind: str = "run", **facts: Any) -> Side:
    """A run's document under a name; `facts` go to `answered`."""
    return Side(name, kind, document(answered(**facts)))


@pytest.fixture(scope="module")
def toy() -> Side:
    return side("a")


@pytest.fixture(scope="module")
def other() -> Side:
    """Another card, another activation, wider: as much differs as can."""
    return side("b", card="t21", activation=GELU, hidden=8192)


@pytest.fixture(scope="module")
def found(toy: Side, other: Side) -> Difference:
    return difference(toy, other)


def test_every_table_that_divides_the_step_or_its_memory_sums_to_it(found: Difference) -> None:
    tables = {table.title: table for table in found.tables if table.whole is not None}
    assert list(tables) == ["where the step goes", "by phase", "by op", "by module", "by call",
                            "memory by kind", "memory by owner"]  # fmt: skip
    for table in tables.values():
        assert table.whole is not None
        total = fsum(row.by for row in table.rows)
        assert isclose(total, table.whole.by, rel_tol=1e-9), table.title


def test_new_and_gone_rows_are_told(found: Difference) -> None:
    tables = {table.title: table for table in found.tables}
    states = {row.name: row.state for row in tables["by op"].rows}
    assert (states["aten::relu"], states["aten::gelu"]) == ("gone", "new")
    assert states["aten::mm"] == "changed"
    calls = [row.state for row in tables["by call"].rows if row.name.startswith("aten::mm")]
    assert sorted(calls) == ["gone", "new"]


def test_card_and_assumed_facts_that_differ_are_told(found: Difference) -> None:
    said = {text.name: (text.before, text.after) for text in found.texts["what it says"]}
    assert said == {"card": ("Toy card", "Enflame CloudBlazer T21")}
    facts = {text.name: text for text in found.texts["assumed facts it rests on"]}
    assert facts["clock_hz"].before == "" and "assumed: " in facts["clock_hz"].after


def test_what_is_equal_is_not_told(toy: Side) -> None:
    assert difference(toy, side("again")).is_empty
    renamed = difference(toy, side("b", activation=GELU))
    assert {f.name for f in renamed.figures} <= {
        "step time", "samples a second", "tokens a second", "MFU", "HFU", "energy a step",
        "energy a sample", "average power", "hardware FLOP", "model FLOP",
    }  # fmt: skip
    rows = {row.name for table in renamed.tables for row in table.rows}
    assert "aten::mm" not in rows and "matrix" not in rows and "Net.fc" not in rows


def test_rows_that_a_document_left_out_are_one_row_of_their_own() -> None:
    whole = document(answered())
    short = document(answered(), most_rows=1)
    found = difference(Side("a", "run", whole), Side("b", "run", short))
    by_op = next(table for table in found.tables if table.title == "by op")
    beyond = next(row for row in by_op.rows if row.name == BEYOND)
    left_out = fsum(row["time_s"] for row in whole["ops"][1:])
    assert beyond.after is not None and isclose(beyond.after, left_out)
    assert isclose(fsum(row.by for row in by_op.rows), 0.0, abs_tol=1e-15)


def test_how_it_was_asked_is_compared(toy: Side) -> None:
    first = {"command": "suiren run a.py", "script_sha256": "0" * 64, "versions": {"torch": "1"}}
    second = {**first, "script_sha256": "1" * 64, "versions": {"torch": "2", "numpy": "2"}}
    sides = (Side("a", "run", toy.document, first), Side("b", "run", toy.document, second))
    found = difference(*sides)
    assert [(t.name, t.before, t.after) for t in found.texts["how it was asked"]] == [
        ("script's hash", "0" * 16, "1" * 16), ("version of torch", "1", "2"),
        ("version of numpy", "", "2"),
    ]  # fmt: skip


def test_as_json_every_change_carries_its_unit_and_state(found: Difference) -> None:
    told = json.loads(json.dumps(as_json(found)))
    step = next(f for f in told["figures"] if f["name"] == "step time")
    assert step["unit"] == "s" and step["change"] == step["after"] - step["before"]
    assert {r["state"] for t in told["tables"] for r in t["rows"]} == {"new", "gone", "changed"}


# ---- other kinds


def test_ranks_compare_by_collective_and_their_busiest_rank_beside_a_run(toy: Side) -> None:
    def ranks(seconds: float) -> dict[str, Any]:
        row = {"name": "all_reduce", "ranks": 8, "time_s": seconds}
        return {"world_size": 8, "step_time_s": 1 + seconds, "collectives": [row],
                "busiest_rank": {"rank": 3, **toy.document}}  # fmt: skip

    first, second = Side("a", "ranks", ranks(0.25)), Side("b", "ranks", ranks(0.5))
    found = difference(first, second)
    assert [(t.title, [(r.name, r.by) for r in t.rows]) for t in found.tables] == [
        ("by collective", [("all_reduce of 8 ranks", 0.25)])
    ]
    one = difference(first, toy)
    assert one.is_empty and one.before == "a (rank 3)"


def test_steps_compare_parts_and_the_fullest_stage() -> None:
    def step(bubble_s: float, weights: int, tp: int) -> dict[str, Any]:
        return {
            "model": "gpt", "cluster": "c", "layout": {"tp": tp}, "step_s": 2 + bubble_s,
            "parts_s": {"matrix": 2.0, "bubble": bubble_s}, "fits": True,
            "memory": [{"total_bytes": 1, "owners_bytes": {}},
                       {"total_bytes": weights + 5,
                        "owners_bytes": {"weights": weights, "logits": 5}}],
            "assumed": {"card.idle_w": f"tp {tp}"},
        }  # fmt: skip

    found = difference(Side("a", "step", step(1, 10, 4)), Side("b", "step", step(3, 20, 8)))
    rows = {t.title: [(r.name, r.by) for r in t.rows] for t in found.tables}
    assert rows == {"where the step goes": [("bubble", 2.0)], "memory by kind": [("weights", 10.0)]}
    assert [t.name for t in found.texts["what it says"]] == ["layout: tp"]
    assert [t.name for t in found.texts["assumed facts it rests on"]] == ["card.idle_w"]


def test_numerics_compare_losses_findings_and_where_runs_part() -> None:
    def numerics(loss: Any, findings: list[dict[str, Any]]) -> dict[str, Any]:
        losses = [{"step": 0, "card": 1.0, "against": 1.0}, {"step": 1, "card": loss,
                                                            "against": 0.5}]  # fmt: skip
        part = {"step": 1, "module": "Net.fc", "op": "mm", "relative": 0.25}
        return {"on": "t21", "against": "fp32", "losses": losses, "findings": findings,
                "by_module": [part] if findings else [], "by_step": [],
                "runs_part": part if findings else None}  # fmt: skip

    one = {"what": "overflow", "op": "aten.mm", "file": "t.py", "line": 7, "times": 3}
    found = difference(
        Side("a", "numerics", numerics(0.5, [])), Side("b", "numerics", numerics(0.75, [one]))
    )
    rows = {t.title: [(r.name, r.by, r.state) for r in t.rows] for t in found.tables}
    assert rows["loss on the card"] == [("step 1", 0.25, "changed")]
    assert rows["findings"] == [("overflow in aten.mm, t.py:7", 3.0, "new")]
    assert rows["how far the runs part, by module"] == [("Net.fc", 0.25, "new")]
    said = {t.name: (t.before, t.after) for t in found.texts["what it says"]}
    assert said == {"the runs part at": ("nowhere", "step 1, Net.fc, mm")}
    nan = difference(
        Side("a", "numerics", numerics(0.5, [])), Side("b", "numerics", numerics("nan", []))
    )
    assert [(r.name, r.state) for r in nan.tables[0].rows] == [("step 1", "gone")]


def test_plans_compare_the_best_layout_and_the_layouts_told() -> None:
    def plan(step_s: float, bubble_s: float, label: str) -> dict[str, Any]:
        best = {"rank": 1, "machine": "t20x8", "label": label, "step_s": step_s,
                "memory_bytes": 100, "parts_s": {"matrix": step_s - bubble_s, "bubble": bubble_s},
                "owners_bytes": {"weights": 60, "activations": 40}}  # fmt: skip
        return {"kind": "plan", "goal": "time", "machines": ["t20x8"], "best": [best],
                "limits": {"chips": 8}, "searched": 5, "feasible": 3}  # fmt: skip

    found = difference(
        Side("a", "plan", plan(3.0, 1.0, "tp4")), Side("b", "plan", plan(2.5, 0.5, "tp8"))
    )
    rows = {t.title: [(r.name, r.by, r.state) for r in t.rows] for t in found.tables}
    assert rows == {
        "where the best layout's step goes": [("bubble", -0.5, "changed")],
        "the best layouts": [("t20x8 tp4", -3.0, "gone"), ("t20x8 tp8", 2.5, "new")],
    }
    assert [(f.name, f.by) for f in found.figures] == [("best step time", -0.5)]
    assert [t.name for t in found.texts["what it says"]] == ["best layout"]


def test_validations_and_goodput_compare_by_group_and_by_what_took_the_time() -> None:
    def validation(mape: float) -> dict[str, Any]:
        return {"rows": 4, "predicted": 4, "overall": {"mape": mape}, "not_predicted": [],
                "chip_op": [{"group": ["a100", "gemm", ""], "mape": mape}]}  # fmt: skip

    found = difference(
        Side("a", "validation", validation(8.0)), Side("b", "validation", validation(6.0))
    )
    assert [(f.name, f.by, f.unit) for f in found.figures] == [("mean error", -2.0, "percent")]
    assert [(r.name, r.by) for r in found.tables[0].rows] == [("a100 · gemm", -2.0)]

    def goodput(lost_s: float) -> dict[str, Any]:
        return {"goodput_share": 1 - lost_s / 100, "horizon_s": 100.0, "failures": {"chip": 2},
                "spent_s": {"training": 100 - lost_s, "lost work": lost_s}}  # fmt: skip

    month = difference(Side("a", "goodput", goodput(10)), Side("b", "goodput", goodput(5)))
    (table,) = month.tables
    assert sorted((r.name, r.by) for r in table.rows) == [("lost work", -5.0), ("training", 5.0)]


def test_a_kind_without_a_form_of_its_own_compares_number_by_number() -> None:
    first = {"racks": [{"power_w": 5.0}], "note": "x", "cost": 7}
    second = {"racks": [{"power_w": 6.0}], "note": "y", "cost": 7}
    found = difference(Side("a", "centre", first), Side("b", "centre", second))
    assert [(r.name, r.unit, r.by) for t in found.tables for r in t.rows] == [
        ("racks.0.power_w", "W", 1.0)
    ]


# ---- names


def test_a_side_is_a_record_or_a_file(tmp_path: Path, toy: Side) -> None:
    history = History(tmp_path / "h.sqlite")
    history.add("run", "train.py", toy.document, facts={"command": "suiren run train.py"})
    assert side_named("last", lambda: history).name == "r1 train.py on Toy card"
    (tmp_path / "a.json").write_text(json.dumps(toy.document))
    assert side_named(str(tmp_path / "a.json"), lambda: history).kind == "run"


@pytest.mark.parametrize(("text", "told"), [
    ("{", "is not JSON"), ("[]", "no answer of Suiren's"), ('{"a": 1}', "no answer of Suiren's"),
    (None, "cannot be read"),
])  # fmt: skip
def test_a_file_that_is_no_answer_is_one_sentence(
    tmp_path: Path, text: str | None, told: str
) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(HistoryError, match=told):
        side_named(str(path), History)


def test_kinds_that_differ_are_one_sentence(toy: Side) -> None:
    with pytest.raises(HistoryError, match="a is a run and b a plan: only answers of one kind"):
        difference(toy, Side("b", "plan", {}))
