"""A history with one record of every kind that the page has a view for, small and real."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from suiren.events.span import Span
from suiren.history.digest import to_text
from suiren.history.store import History
from suiren.hw.catalog import CARDS
from suiren.hw.find_cluster import cluster_of
from suiren.report.answer import Answer, answer
from suiren.report.document import document
from suiren.report.topology import describe
from suiren.report.topology import document as topology_document
from suiren.report.truth import rows_document
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Label, Program, Step
from suiren.trace.text import pack_program
from suiren.truth.predict import Prediction
from suiren.truth.rows import Row
from suiren.view.step_parts import parts_of_answer

MiB = 2**20
MM = "aten::mm(self=f32[512,1024],mat2=f32[1024,4096])->(f32[512,4096])"
RELU = "aten::relu(self=f32[512,4096])->(f32[512,4096])"
ADD = "aten::add.Tensor(self=f32[4096,4096],other=f32[4096,4096],alpha=1)->(f32[4096,4096])"
CONTEXTS = [Context("forward", "Net.blocks.0.fc"), Context("backward", "Net.blocks.0.fc"),
            Context("optimizer", ""), Context("forward", "Net<b>.blocks.1.fc")]  # fmt: skip
OPS = [(MM, 0), (RELU, 0), (MM, 3), (ADD, 3), (MM, 1), (RELU, 1), (ADD, 2)]
#: What a script may be called.
NASTY = "</script><script>alert(1)</script>\"&<img src=x>.py"


def program(ops: list[tuple[str, int]] = OPS, script: str = "train.py") -> Program:
    """Ten equal steps of (call, context) ops, each with a result of 8 MiB."""
    lines = sorted({line for line, _ in ops})
    rows, storages = [], []
    for number, (line, context) in enumerate(ops, 10):
        rows.append((Kind.ALLOC, number, context, 0, 8 * MiB))
        rows.append((Kind.OP, lines.index(line), context, 0, len(storages)))
        storages += [1, *[number] * (2 - (line == RELU))]
    rows += [(Kind.FREE, number, 0, 0, 8 * MiB) for number in range(10, 10 + len(ops))]
    step = Step(np.array(rows, EVENT), np.array(storages, np.int32),
                np.array([(1, 0, 16 * MiB)], LIVE))  # fmt: skip
    facts = {"script": script, "outcome": "finished", "numerics": True, "roots": {"Net": 4096}}
    calls = [parse_call(line) for line in lines]
    return Program(calls, CONTEXTS, [step], [0] * 10, facts=facts,
                   labels={1: Label("weights", "Net.fc.weight")})  # fmt: skip


@cache
def answered(script: str = "train.py", *, without: int = 0) -> Answer:
    """The answer on the toy card, the last ops left out."""
    return answer(program(OPS[: len(OPS) - without], script), CARDS["toy"])


def many(count: int) -> Answer:
    """The small answer with its spans repeated until there are `count`."""
    told = answered()
    period = told.time.period_ps
    repeats = -(-count // len(told.spans))
    spans: list[Span] = [
        replace(s, start_ps=s.start_ps + k * period, end_ps=s.end_ps + k * period)
        for k in range(repeats)
        for s in told.spans
    ]
    return replace(told, time=replace(told.time, spans=spans, period_ps=repeats * period))


def drawn(told: Answer, ranks: int) -> bytes:
    """The pictures of a step that so many ranks take alike, as a record keeps them."""
    parts = parts_of_answer(told)
    (track,) = parts["timeline"]["tracks"]
    parts["timeline"]["tracks"] = [{**track, "rank": rank} for rank in range(ranks)]
    return gzip.compress(to_text(parts).encode())


def ranks_document() -> dict[str, Any]:
    """What `run --ranks 2` writes, of the small answer."""
    told = answered()
    one = document(told)
    return {
        "schema": 1, "cluster": {"name": "t21x8", "title": "8 × T21 OAM server"}, "world_size": 2,
        "step_time_s": told.step_time_s, "samples_per_s": 1.0, "tokens_per_s": None,
        "mfu": 0.2, "energy_j": 1.0, "peak_memory_bytes": told.peak_bytes,
        "ranks": [{"rank": 0, "num_ranks_like_it": 2, "time_split_s": told.split_s,
                   "peak_memory_bytes": told.peak_bytes, "memory_by_kind_bytes": {}}],
        "collectives": [{"name": "all_reduce", "group": "world", "ranks": 2, "algorithm": "ring",
                         "bound_by": "ESL", "count": 3, "bytes": 3e6, "time_s": 1e-4,
                         "bus_bytes_per_s": 3e10}],
        "busiest_rank": {"rank": 0, **one},
    }  # fmt: skip


def validation_document() -> dict[str, Any]:
    """Rows of two ops, one of them far off."""
    rows = [
        Prediction(Row(f"kn-{n}", "A100", op, {}, "bf16", 1e-3 * (n + 1), "s", "", "", "check", n,
                       f"M={n}"), "a100", 1e-3 * (n + 1) * by, "predicted")
        for n, (op, by) in enumerate([("gemm", 1.02), ("gemm", 0.95), ("softmax", 1.9)])
    ]  # fmt: skip
    score = {"group": ["a100", "gemm", "bf16"], "count": 3, "signed_median": 2.0, "mape": 32.0,
             "median": 5.0, "p90": 90.0, "worst": 90.0}  # fmt: skip
    return {"rows": 3, "predicted": 3, "overall": score, "chip_op": [score], "not_predicted": [],
            **rows_document(rows)}  # fmt: skip


def plan_document() -> dict[str, Any]:
    """A plan of four layouts, as `suiren plan` writes it."""
    best = [
        {"rank": n + 1, "machine": "t20x8", "chips": 8, "label": f"tp{tp} pp1 dp{8 // tp}",
         "layout": {"tp": tp, "pp": 1, "dp": 8 // tp, "recompute": "full", "offload": False},
         "step_s": 1.0 + 0.2 * n, "tokens_per_s": 8192 / (1 + 0.2 * n), "mfu": 0.4 - 0.05 * n,
         "memory_bytes": (28 - 4 * n) * 2**30, "memory_limit_bytes": 32 * 2**30,
         "energy_j": 2000.0, "power_w": 2000.0, "cost": None,
         "owners_bytes": {"weights": 2**33, "gradients": 2**32, "optimizer": 2**33},
         "parts_s": {"matrix": 0.8, "bubble": 0.1, "gradients": 0.1},
         "why": "" if not n else "more time in tensor parallel"}
        for n, tp in enumerate((1, 2, 4))
    ]  # fmt: skip
    kept = ("label", "machine", "step_s", "memory_bytes", "energy_j", "cost", "chips")
    points = [{**{k: b[k] for k in kept}, "fits": True, "front": True} for b in best]
    points.append({**points[0], "label": "tp1 pp1 dp8 none", "memory_bytes": 2**36, "fits": False})
    return {
        "kind": "plan", "model": {"name": "llama3-8b"}, "machines": ["t20x8"], "goal": "time",
        "limits": {"chips": 8}, "searched": 4, "feasible": 3, "seconds": 0.1, "best": best,
        "points": points,
        "near_misses": [{"label": "tp1 pp1 dp8 none", "over_bytes": 2**34, "change": "recompute"}],
        "sensitivity": [{"fact": "card.host_issue_s", "kind": "assumed", "value": 6e-6,
                         "low": 4e-6, "high": 8e-6, "step_s_low": 0.98, "step_s_high": 1.02,
                         "source": "an eager op takes 4 to 8 µs"}],
        "launch": {"command": "suiren run train.py --ranks 8", "files": {"plan.toml": "tp = 1\n"}},
        "assumed": {"card.host_issue_s": "an eager op takes 4 to 8 µs"},
    }  # fmt: skip


def goodput_document() -> dict[str, Any]:
    """A day of training with one failure."""
    hour = 3600.0
    return {
        "title": "64 chips", "chips": 64, "step_s": 2.0, "horizon_s": 24 * hour,
        "goodput_share": 0.9, "steps": 38880, "spent_s": {"training": 22 * hour, "restart": hour},
        "failures": {"card": 1}, "mean_time_between_failures_s": 20 * hour,
        "checkpoint": {"bytes": 1e11, "every_steps": 400,
                       "curve": [{"every_steps": k, "goodput_share": 0.9 - 1e-4 * abs(k - 400)}
                                 for k in (100, 400, 1600)]},
        "periods": [{"kind": "training", "start_s": 0.0, "end_s": 22 * hour, "why": ""},
                    {"kind": "restart", "start_s": 22 * hour, "end_s": 24 * hour, "why": "card"}],
        "facts": [{"name": "repair, s", "value": 86400.0, "kind": "assumed", "source": "a day"}],
    }  # fmt: skip


def centre_document() -> dict[str, Any]:
    """Two centres, as far as the page looks at them."""
    centres = [
        {"title": f"{n} cards", "days": 90.0 - n, "seed": 0,
         "machines": {"cards": n, "card_title": "Enflame CloudBlazer T20"},
         "jobs": [{"step_s": 2.0, "mfu": 0.4, "month": {"goodput_share": 0.9}}],
         "power": {"peak_w": {"cards": 1e4 * n, "cooling": 3e3}, "month_j": {"cards": 1e12},
                   "average_w": 9e3, "meter_peak_w": 1.3e4, "month_total_j": 1e12,
                   "carbon_kg_per_month": None},
         "money": {"currency": "CNY", "years": 5.0, "total": 1e6 * n, "jobs_cost": 1e5,
                   "lines": [{"name": "node", "present": 1e6 * n}]},
         "goal": {"asked": True, "holds": n > 10, "changes": [],
                  "checks": [{"name": "days", "asked": 60, "found": 90 - n, "holds": n > 10}]},
         "assumed": {"card.idle_w": "15 % of the TDP"}}
        for n in (8, 16)
    ]  # fmt: skip
    return {"kind": "centre", "centres": centres, "comparison": {"break_even": [
        {"centre": 0, "name": "node", "given": 1.0, "price": 2.0, "against": 1}]}}  # fmt: skip


def fill(path: Path) -> History:
    """A history with a record of each kind; r2 is a run of two ops more than r1."""
    history = History(path)
    for told in (answered(NASTY, without=2), answered()):
        history.add("run", told.program.facts["script"], document(told),
                    {"trace": pack_program(told.program)})  # fmt: skip
    history.add("ranks", "train.py", ranks_document(), {"drawn": drawn(answered(), 2)})
    topology = topology_document(describe(cluster_of("t21x8")))
    history.add("topology", "t21x8", json.loads(to_text(topology)))
    history.add("plan", "llama3-8b", plan_document())
    history.add("validation", "table", validation_document())
    history.add("goodput", "64 chips", goodput_document())
    history.add("numerics", "train.py", {"kind": "numerics", "on": "t21", "num_ops": 7,
                "findings": [{"op": "aten::mm", "kind": "overflow", "count": 2}]})  # fmt: skip
    history.add("centre", "two", centre_document())
    return history
