"""`suiren topology`: the catalogue, a node, a cluster, a file; a mistake is one sentence."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suiren.cli import main, suiren
from suiren.hw.catalog import NODES
from suiren.hw.catalog.cluster import BY_NAME
from suiren.hw.find_cluster import cluster_of
from suiren.hw.wiring import topology_of
from suiren.report.topology import describe
from suiren.report.topology_svg import svg


def told(*arguments: str) -> Result:
    return CliRunner().invoke(suiren, ("topology", *arguments), env={"COLUMNS": "100"})


def test_the_catalogue_lists_nodes_and_clusters() -> None:
    found = told()
    assert found.exit_code == 0
    assert all(name in found.output for name in (*NODES, *BY_NAME))


def test_a_node_shows_links_groups_bisection_and_what_is_assumed() -> None:
    found = told("t21x8")
    assert found.exit_code == 0
    for part in ("bisection", "100 GB/s", "0–3", "4–7", "25 GB/s", "pcie0", "rings", "assumed",
                 "link map of the OAM board is unpublished"):  # fmt: skip
        assert part in found.output, part


@pytest.mark.parametrize("name", [*NODES, *BY_NAME, "t21x8*16", "l40s"])
def test_everything_can_be_shown(name: str) -> None:
    found = told(name)
    assert found.exit_code == 0, found.output
    assert cluster_of(name).title in found.output.replace("\n", " ")


def test_json_has_units_in_its_keys_and_the_sums_come_out(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    assert told("dgx-1", "--json", str(path)).exit_code == 0
    found = json.loads(path.read_text())
    assert found["bisection_bytes_per_s"] == 150e9
    links = [row for row in found["links"] if row["medium"] == "NVLink 2"]
    assert sum(row["links"] * row["bytes_per_s"] for row in links) == 8 * 6 * 25e9 / 2
    assert len(found["pairs"]) == 56
    assert len(found["rings"]) == 6
    assert 0 < found["all_reduce_s"] < 0.1


def test_ranks_cut_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    assert told("selene", "--ranks", "64", "--json", str(path)).exit_code == 0
    assert json.loads(path.read_text())["num_nodes"] == 8


def test_the_page_needs_no_network_and_is_the_same_every_time(tmp_path: Path) -> None:
    pages = []
    for number in range(2):
        path = tmp_path / f"{number}.html"
        assert told("t20x8", "--report", str(path)).exit_code == 0
        pages.append(path.read_text())
    assert pages[0] == pages[1]
    assert "<svg" in pages[0] and "ESL-B bridge" in pages[0] and "Assumed" in pages[0]
    assert "http://" not in pages[0].replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in pages[0]


@pytest.mark.parametrize("node", NODES.values(), ids=list(NODES))
def test_the_picture_shows_every_vertex_and_link_once(node) -> None:
    topology = topology_of(node)
    root = ElementTree.fromstring(svg(topology))
    names = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(names) == sorted(topology.vertices)
    paths = list(root.iter("{http://www.w3.org/2000/svg}path"))
    assert 2 * len(paths) == len(topology.wires)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('nodes = 2\n[node]\ncard = "t21"\ncards = 4\nshape = "mesh"\n'
                    "link_bytes_per_s = 25e9\nnics = 1\nnic_bytes_per_s = 12.5e9\n")  # fmt: skip
    found = told(str(file))
    assert found.exit_code == 0
    assert "8 cards: 2 nodes of 4" in found.output


@pytest.mark.parametrize(("arguments", "said"), [
    (("t22x8",), "nearest names are t21x8"),
    (("nothere.toml",), "there is no such file"),
    (("selene", "--ranks", "99999"), "4,480 cards"),
    (("t21x8", "--json", "/nowhere/t.json"), "cannot be written"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(("topology", *arguments))
    assert stopped.value.code == 2
    words = capsys.readouterr().err
    assert said in " ".join(words.split())
    assert "Traceback" not in words


def test_the_halves_of_a_cluster() -> None:
    assert describe(cluster_of("hgx-h100*16")).cluster_bisection_bytes_per_s == 8 * 8 * 50e9
    assert describe(cluster_of("t21x8")).cluster_bisection_bytes_per_s == 0
    pod = describe(cluster_of("tpu-v4-pod"))
    assert pod.cluster_bisection_bytes_per_s == 2 * 256 * 50e9


def test_names_on_the_drawing_are_white_whatever_the_page_says_of_text() -> None:
    drawn = svg(topology_of(cluster_of("t20x8").node))
    assert drawn.count('style="fill:#ffffff">') == drawn.count("<text ") > 8
