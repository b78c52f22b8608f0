"""What the page draws, as data: sums come out, and what cannot be shown is said in one sentence."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from shelved import (
    answered,
    centre_document,
    drawn,
    fill,
    many,
    plan_document,
    program,
    ranks_document,
)

from suiren.fleet.ranks import RankProgram
from suiren.hw.find_cluster import cluster_of
from suiren.mapper.memory import kinds_over_time
from suiren.report.document import document
from suiren.report.page_plots import plots
from suiren.report.perfetto import trace_events
from suiren.report.ranks import answer_for_ranks
from suiren.trace.text import save_program
from suiren.units import PS_PER_S
from suiren.view.chrome import timeline_of_events
from suiren.view.doubts import doubts_of
from suiren.view.links import OPS, SIZE_BYTES, graph_of
from suiren.view.payload import drawn_of
from suiren.view.shelf import Shelf
from suiren.view.sources import CannotShow
from suiren.view.step_parts import parts_of_answer, parts_of_document


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Shelf:
    path = tmp_path_factory.mktemp("view") / "history.sqlite"
    fill(path)
    return Shelf([], history=path)


def test_memory_by_kind_sums_to_the_curve_and_reaches_the_peak():
    told = answered()
    indices, columns = kinds_over_time(told.program, told.step)
    totals = sum(columns.values())
    assert list(zip(indices.tolist(), totals.tolist(), strict=True)) == list(told.memory.curve)
    top = int(totals.argmax())
    assert {k: int(column[top]) for k, column in columns.items()} == told.memory.by_kind()


def test_stacked_memory_is_the_counter_of_the_trace():
    told = answered()
    memory, stack = plots(told)["memory"], parts_of_answer(told)["memory"]["stack"]
    totals = [sum(column) for column in zip(*stack["bytes"], strict=True)]
    assert max(totals) == told.memory.peak_bytes == memory["peak_bytes"]
    assert stack["time_s"] == sorted(stack["time_s"])
    # the counter tells changes alone, the stack the start too
    assert list(zip(stack["time_s"], totals, strict=True))[1:] == list(
        zip(memory["time_s"], memory["bytes"], strict=True)
    )[1:]


def test_flame_sums_to_the_phases():
    told = answered()
    sums: dict[str, float] = {}
    for phase, _, seconds, _, _ in parts_of_answer(told)["flame"]:
        sums[phase] = sums.get(phase, 0.0) + seconds
    assert sums == pytest.approx(told.phases_s)


def test_a_document_alone_draws_the_same_roofline_and_tables():
    told = answered()
    whole, alone = parts_of_answer(told), parts_of_document(json.loads(json.dumps(document(told))))
    assert alone["tables"] == whole["tables"]
    assert alone["roofline"] == whole["roofline"]
    assert alone["timeline"] is None
    assert alone["memory"]["peak_bytes"] == whole["memory"]["peak_bytes"]


def test_ranks_have_tracks_of_their_own():
    cluster = cluster_of("t21x8", 2)
    toy = replace(cluster, node=replace(cluster.node, card=answered().card))
    found = answer_for_ranks([RankProgram((0, 1), program())], toy, advise=False)
    parts = json.loads(gzip.decompress(drawn_of(found)["drawn"]))
    tracks = parts["timeline"]["tracks"]
    assert [t["rank"] for t in tracks] == sorted(found.times)
    spans = sum(1 for s in found.times[0].spans if s.kind == "op")
    busy = [s for s in tracks[0]["shapes"] if parts["timeline"]["shapes"][s][0] >= 0]
    assert len(busy) == spans
    assert parts["timeline"]["period_ps"] == round(found.step_time_s * PS_PER_S)


def test_a_chrome_trace_draws_what_was_written_into_it():
    told = answered()
    line = timeline_of_events(json.loads(json.dumps(trace_events(told))))
    (track,) = line["tracks"]
    busy = sum(line["shapes"][s][4] for s in track["shapes"] if line["shapes"][s][0] >= 0)
    spans = sum(s.duration_ps for s in told.spans if s.kind != "idle")
    assert busy == pytest.approx(spans, rel=1e-6)
    assert {c[0] for c in line["calls"]} >= {c.op for c in told.program.calls}
    with pytest.raises(ValueError, match="no complete event"):
        timeline_of_events([{"ph": "M", "name": "process_name"}])


def test_links_carry_what_a_ring_must():
    graph = graph_of({"name": "t21x8"})
    assert [load["op"] for load in graph["loads"]] == list(OPS)
    gather = next(load for load in graph["loads"] if load["op"] == "all_gather")
    into = [0.0] * len(graph["vertices"])
    for wire, carried in zip(graph["wires"], gather["bytes"], strict=True):
        into[wire["end"]] += carried
    cards = [n for n, v in enumerate(graph["vertices"]) if v["kind"] == "card"]
    # every card receives what the seven others hold, and nothing is lost on the way
    assert [into[n] for n in cards] == pytest.approx([7 / 8 * SIZE_BYTES] * 8)
    assert all(0 <= share <= 1 for load in graph["loads"] for share in load["busy"])
    assert graph_of({"name": "no such machine"}) is None


def test_doubts_of_every_form():
    rested = {"name": "a", "value": 1.0, "kind": "assumed", "source": "s",
              "effect_of_20_percent_more_percent": 3.0}  # fmt: skip
    (one,) = doubts_of("run", {"assumed": [rested]})
    assert one == {"name": "a", "value": 1.0, "kind": "assumed", "source": "s",
                   "effect_percent": 3.0}  # fmt: skip
    assert doubts_of("ranks", {"busiest_rank": {"assumed": [rested]}}) == [one]
    assert doubts_of("plan", plan_document())[0]["name"] == "card.host_issue_s"
    assert doubts_of("topology", {"assumed": ("link map",)})[0]["source"] == "link map"
    facts = [{**rested, "kind": kind} for kind in ("assumed", "published")]
    assert len(doubts_of("goodput", {"facts": facts})) == 1
    assert [d["name"] for d in doubts_of("centre", centre_document())] == ["card.idle_w"]
    assert doubts_of("other", {}) == []


def test_payloads_of_all_kinds(shelf: Shelf):
    told = {row["kind"]: json.loads(shelf.text(row["id"])) for row in shelf.listing()["rows"]}
    assert set(told) == {"run", "ranks", "topology", "plan", "validation", "goodput", "numerics",
                         "centre"}
    assert told["run"]["step"]["timeline"]["num_records"] > 0
    assert told["run"]["doubts"]
    assert [t["rank"] for t in told["ranks"]["step"]["timeline"]["tracks"]] == [0, 1]
    assert told["topology"]["graph"]["wires"]
    assert len(told["validation"]["document"]["points"]) == 3
    assert told["plan"]["step"] is told["plan"]["graph"] is None


def test_a_comparison_tells_of_both(shelf: Shelf):
    told = shelf.comparison("r1", "r2")
    ops = next(t for t in told["tables"] if t["title"] == "by op")
    assert ops["rows"][0][0] == "aten::add.Tensor"
    split = told["bars"]["split"]
    before, after = (json.loads(shelf.text(n))["document"]["step_time_s"] for n in ("r1", "r2"))
    assert sum(row[1] for row in split) == pytest.approx(before)
    assert sum(row[2] for row in split) == pytest.approx(after)
    assert shelf.comparison("r2", "r2")["tables"] == []
    assert shelf.comparison("r2", "r3")["kind"] == "run"
    with pytest.raises(CannotShow, match="of one kind"):
        shelf.comparison("r2", "r4")


def test_without_trace_or_card_the_document_is_drawn(tmp_path: Path):
    history = fill(tmp_path / "h.sqlite")
    told = document(answered())
    other = {**told, "card": {**told["card"], "name": "of-my-own"}}
    names = [
        history.add("run", "bare", told),
        history.add("run", "own card", other, {"trace": b"suiren-trace 1\n"}),
        history.add("run", "damaged", told, {"trace": b"\x1f\x8bnothing"}),
        history.add("ranks", "bare", ranks_document()),
        history.add("ranks", "torn", ranks_document(), {"drawn": drawn(answered(), 2)[:-20]}),
    ]
    shelf = Shelf([], history=tmp_path / "h.sqlite")
    notes = [json.loads(shelf.text(name))["notes"] for name in names]
    assert notes == [["no_trace"], ["no_card"], ["bad_trace"], ["no_trace"],
                     ["bad_trace"]]
    assert all(json.loads(shelf.text(n))["step"]["tables"]["ops"] for n in names)


def test_files_are_told_apart(tmp_path: Path):
    told = answered()
    save_program(told.program, tmp_path / "step.trace")
    (tmp_path / "run.json").write_text(json.dumps(document(told)))
    (tmp_path / "chrome.json").write_text(json.dumps({"traceEvents": trace_events(told)}))
    (tmp_path / "mine.json").write_text('{"mine": [1, 2]}')
    names = [str(tmp_path / n) for n in ("step.trace", "run.json", "chrome.json", "mine.json")]
    shelf = Shelf(names, on="toy", history=tmp_path / "none.sqlite")
    assert [item.kind for item in shelf.items()] == ["run", "run", "trace", "other"]
    step = json.loads(shelf.text("f1"))
    assert step["step"]["timeline"]["period_ps"] == told.time.period_ps
    assert json.loads(shelf.text("f3"))["step"]["timeline"]["num_records"] > 0


@pytest.mark.parametrize(("name", "data", "said"), [
    ("torn.trace", gzip.compress(b"suiren-trace 1\n", mtime=0)[:-9], "cut off"),
    ("cut.trace", b"suiren-trace 1\nfacts {}\n", "cut off"),
    ("text.json", b"{", "neither JSON nor a saved trace"),
    ("number.json", b"3", "holds no document"),
])  # fmt: skip
def test_a_file_that_is_no_use_is_said_in_one_sentence(tmp_path: Path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CannotShow, match=said) as told:
        Shelf([str(path)], on="toy", history=tmp_path / "none.sqlite")
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_document_that_lacks_a_part_is_said_in_one_sentence(tmp_path: Path):
    told = document(answered())
    del told["memory_owners"]
    (tmp_path / "old.json").write_text(json.dumps(told))
    shelf = Shelf([str(tmp_path / "old.json")], history=tmp_path / "none.sqlite")
    with pytest.raises(CannotShow, match="has no 'memory_owners'"):
        shelf.text("f1")


def test_what_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(CannotShow, match=r"there is no file 'gone.json'"):
        Shelf(["gone.json"], history=tmp_path / "none.sqlite")


def test_a_long_step_stays_small():
    told = many(20_000)
    assert len(gzip.compress(json.dumps(parts_of_answer(told)).encode(), 6)) < 2e5


def test_pictures_of_ranks_are_kept_as_they_are():
    parts = json.loads(gzip.decompress(drawn(answered(), 3)))
    assert [t["rank"] for t in parts["timeline"]["tracks"]] == [0, 1, 2]
