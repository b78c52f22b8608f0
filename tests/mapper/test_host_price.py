"""What the host computes takes what its memory needs, and nothing of the card."""

from __future__ import annotations

from pathlib import Path

import pytest

from suiren.events.queue import HOST
from suiren.hw.catalog import CARDS, NODES
from suiren.hw.clusterfile import BadClusterFile, load_cluster
from suiren.hw.host import host_of, share_bytes_per_s, streams_bytes_per_s
from suiren.mapper.energy import energy_j
from suiren.mapper.families.host import is_on_host, with_rate
from suiren.mapper.price import price
from suiren.mapper.step import cost_of
from suiren.trace.call import parse_call

T21 = CARDS["t21"]
ADAM = parse_call(
    "host::_fused_adamw_(anchor=f32[0],ops=3,read_bytes=16000000,written_bytes=12000000)->()"
)


def test_bytes_stream_at_the_host_s_rate_and_every_op_is_issued() -> None:
    found = price(with_rate(ADAM, 50e9), T21)
    expected = 28e6 / 50e9 + 3 * float(T21.host_issue_s)
    assert found.total_s == found.roofline_s == pytest.approx(expected)
    assert (found.family, found.why, found.launches) == ("host", "host work", 0)
    assert found.energy_j() == 0 == sum(found.parts_s.values())
    assert cost_of(found).engine == HOST
    assert energy_j(found.energy_j(), 1.0, T21) == pytest.approx(float(T21.idle_w))


def test_a_call_that_was_not_placed_has_the_card_s_usual_host_alone() -> None:
    alone = with_rate(ADAM, share_bytes_per_s(NODES["t21x8"], 1))
    assert price(ADAM, T21).total_s == pytest.approx(price(alone, T21).total_s, rel=1e-6)
    assert is_on_host(ADAM) and not is_on_host(parse_call("aten::relu(self=f32[8])->(f32[8])"))


@pytest.mark.parametrize("node", NODES.values(), ids=lambda node: node.name)
def test_every_box_has_a_host_with_its_source(node) -> None:
    host = host_of(node)
    assert 10e9 < streams_bytes_per_s(host) / float(node.num_cards) < 600e9
    assert float(host.cores) >= 8
    for fact in (host.cores, host.memory_bytes_per_s):
        assert fact.source and (fact.kind != "assumed") == (node.host is not None)
    assert share_bytes_per_s(node, 10**6) == pytest.approx(
        streams_bytes_per_s(host) / float(node.num_cards)
    )


FILE = """
[node]
card = "t21"
cards = 4
host_cores = {cores}
host_memory_bytes_per_s = {{ value = {rate}, source = "our board's sheet", kind = "published" }}
"""


@pytest.mark.parametrize(("cores", "rate", "streams"), [
    (64, 300e9, 0.8 * 300e9), (8, 300e9, 8 * 10e9),
])  # fmt: skip
def test_a_cluster_file_describes_its_host(
    tmp_path: Path, cores: int, rate: float, streams: float
) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(FILE.format(cores=cores, rate=rate))
    assert share_bytes_per_s(load_cluster(file).node, 4) == pytest.approx(streams / 4)


def test_a_host_without_cores_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(FILE.format(cores=0, rate=1e9))
    with pytest.raises(BadClusterFile, match=r"\[node\] host_cores is 0; it must be above 0"):
        load_cluster(file)
