"""Machines and ways to time of the collective tables: senders, trees, engines, servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.truth import collectives, vidur
from suiren.truth.engines import engine_of, least_s, own_s
from suiren.truth.machines import machine_of
from suiren.truth.predict import card_of, predict
from suiren.truth.rows import Row
from suiren.units import GB, KiB, MiB, us


def asked(hardware: str, op: str, n: int, each: int, size_bytes: float) -> Row:
    shape = {"n": str(n), "size": str(int(size_bytes)), "devices_per_node": str(each)}
    return Row("x", hardware, op, shape, "fp16", None, "ms", "github.com/microsoft/vidur", "",
               "check", 2, "")  # fmt: skip


def engine_row(op: str, n: int, source: str, hardware: str = "NVIDIA L40S") -> Row:
    shape = {"n": str(n), "elements": str(512 * 1024)}
    return Row("x", hardware, f"all_reduce [{op}]", shape, "half", None, "ms",
               f"github.com/ai-dynamo/aiconfigurator {source}", "", "check", 2, "")  # fmt: skip


def seconds(row: Row) -> float:
    found = predict(row).seconds
    assert found is not None, predict(row).status
    return found


def test_a_sender_is_done_when_the_last_piece_lies_in_the_buffers() -> None:
    boxes, held = "a100_pairwise_nvlink", 2.4 * MiB
    small = [seconds(asked(boxes, "send_recv", 2, 1, s)) for s in (MiB, 2 * MiB)]
    # below the buffers its own copy is all: 10 GB/s, four times what the wire carries
    assert small[1] - small[0] == pytest.approx(MiB / (10 * GB))
    large = [seconds(asked(boxes, "send_recv", 2, 1, s)) for s in (32 * MiB, 33 * MiB)]
    assert large[1] - large[0] > 3 * (small[1] - small[0])
    assert seconds(asked(boxes, "send_recv", 2, 1, held + 64)) > small[1]


def test_a_pair_sends_no_faster_than_the_least_and_more_bytes_never_faster() -> None:
    times = [seconds(asked("h100_pairwise_nvlink", "send_recv", 2, 2, 2.0**k))
             for k in range(10, 29)]  # fmt: skip
    assert times[0] == 10 * us
    assert times == sorted(times)


def test_both_ways_of_a_nic_share_what_one_way_has_alone() -> None:
    rate = {op: vidur.cluster_for(asked("a100_dgx", op, 2, 1, MiB)).node.nic_bytes_per_s
            for op in ("send_recv", "all_reduce")}  # fmt: skip
    assert rate["all_reduce"] < rate["send_recv"] < 2 * rate["all_reduce"]


@pytest.mark.parametrize(("n", "each", "size_bytes", "trees"), [
    (8, 4, 5 * MiB - 8, False), (8, 4, 5 * MiB, True), (16, 8, 5 * MiB, False),
    (16, 8, 10 * MiB, True), (4, 2, 4 * MiB, False), (4, 2, 8 * MiB, True),
    (4, 2, 16 * MiB, False), (2, 1, 64 * MiB, False), (8, 8, 64 * MiB, False),
])  # fmt: skip
def test_where_trees_join_two_boxes(n: int, each: int, size_bytes: int, trees: bool) -> None:
    row = asked("a100_dgx", "all_reduce", n, each, size_bytes)
    assert vidur.added_to(row, size_bytes).trees is trees


def test_a_tree_between_two_boxes_carries_each_byte_once_each_way() -> None:
    """A ring carries 2 (n - 1) / n of it: on 16 cards trees move nearly twice as much a second."""
    below, above = (seconds(asked("a100_dgx", "all_reduce", 16, 8, s))
                    for s in (10 * MiB - 16, 10 * MiB))  # fmt: skip
    assert 1.5 < below / above < 2.0


def test_tensorrt_llm_has_no_kernel_of_its_own_between_two_l40s() -> None:
    l40s, a100 = card_of("NVIDIA L40S", None), card_of("NVIDIA A100-SXM4-80GB", None)
    assert l40s is not None and a100 is not None
    rows = {name: engine_of(engine_row(name, 2, "x/trtllm/1.0.0")) for name in
            ("TRTLLM", "vLLM_custom_graph", "NCCL")}  # fmt: skip
    assert rows["NCCL"] is None
    assert own_s(rows["TRTLLM"], 2, MiB, l40s) is None
    assert own_s(rows["vLLM_custom_graph"], 2, MiB, l40s) is not None
    assert own_s(rows["TRTLLM"], 2, MiB, a100) is not None


def test_more_ranks_on_one_slow_host_never_call_faster() -> None:
    card = card_of("NVIDIA L40S", None)
    assert card is not None
    for name, version in (("vLLM_custom_eager", "vllm/0.14.0"),
                          ("SGLang_CustomAllReduce_eager", "x/sglang/0.5.10"),
                          ("SGLang_CustomAllReduce_eager", "x/sglang/0.5.14")):  # fmt: skip
        engine = engine_of(engine_row(name, 2, version))
        assert engine is not None
        times = [least_s(engine, card, n) for n in (2, 4, 8)]
        assert times == sorted(times) and times[0] > 30 * us


def test_three_set_ups_of_l40s_and_the_catalogue_has_its_own() -> None:
    card = card_of("NVIDIA L40S", None)
    assert card is not None
    rows = {"nccl": engine_row("NCCL", 8, "x/nccl/2.27.3"),
            "engine": engine_row("SGLang_CustomAllReduce_graph", 8, "x/sglang/0.5.10"),
            "other": engine_row("SGLang_CustomAllReduce_graph", 8, "x/sglang/0.5.12")}  # fmt: skip
    clusters = {name: machine_of(row, card)[0] for name, row in rows.items()}
    assert len({c.name for c in clusters.values()}) == 3
    # large enough to be the library's on all of them
    big = {name: replace(row, shape={"n": "8", "elements": str(8 * MiB)})
           for name, row in rows.items()}  # fmt: skip
    took = {name: seconds(row) for name, row in big.items()}
    assert took["other"] < took["engine"] / 5 < took["nccl"] / 5


def test_the_wire_only_bounds_a_message_that_exceeds_the_buffers() -> None:
    row = asked("h100_pairwise_nvlink", "send_recv", 2, 1, 64 * KiB)
    card = card_of(row.hardware, None)
    assert card is not None
    cluster, added = machine_of(row, card, 64 * KiB)
    assert added.sender is not None
    slow = replace(cluster, name="slower", node=replace(cluster.node, name="slower", nics=None))
    place = collectives.Place(2, (0,))
    took = [collectives.sent_s(added.sender, c, 64 * KiB, place) for c in (cluster, slow)]
    assert took[0] == took[1]
