"""`suiren run --devices N` and `--ranks N`: one script on many cards, one answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suiren_runs import Ran, is_one_sentence, script, suiren

from suiren.history.store import History

DDP = """
import os, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group("nccl")
local = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(local)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 64))
net = DistributedDataParallel(net.to(f"cuda:{local}"), device_ids=[local])
optimizer = torch.optim.SGD(net.parameters(), 0.1)
torch.manual_seed(dist.get_rank())
for step in range(5):
    if step == 2 and dist.get_rank() == 0:  # the other rank cannot end before this one
        from suiren.live.folder import devices
        print("running:", sorted((d.rank, d.world_size, d.script) for d in devices()))
    x = torch.randn(32, 64, device="cuda")
    loss = (net(x) - x).pow(2).mean()
    loss.backward(); optimizer.step(); optimizer.zero_grad()
print("rank", dist.get_rank(), "of", dist.get_world_size(), "loss", loss.item())
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    script(folder, DDP)
    return folder


@pytest.fixture(scope="module")
def on_devices(folder: Path) -> Ran:
    return suiren(
        "run", "train.py", "--on", "t21x8", "--devices", "2", "--json", "d.json", "--report",
        "d.html", "--trace", "d.trace", "--save-trace", "d.gz", cwd=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def as_ranks(folder: Path) -> Ran:
    return suiren(
        "run", "train.py", "--on", "t21x8", "--ranks", "2", "--no-numerics", "--json", "r.json",
        cwd=folder,
    )  # fmt: skip


def test_every_rank_runs_and_the_answer_is_that_of_all(folder: Path, on_devices: Ran) -> None:
    assert on_devices.code == 0, on_devices.err
    assert "rank 0 of 2 loss" in on_devices.out
    assert "2 × Enflame CloudBlazer T21" in on_devices.out
    assert "running: [(0, 2, 'train.py'), (1, 2, 'train.py')]" in on_devices.out
    found = json.loads((folder / "d.json").read_text())
    assert found["world_size"] == 2
    assert found["samples"] == 64
    assert found["num_classes"] == 1
    rows = {row["name"]: row for row in found["collectives"]}
    assert rows["all_reduce"]["ranks"] == 2
    # DDP reduces 64 × 256 weights twice and both biases once a step, in FP32
    assert rows["all_reduce"]["bytes"] == 4 * (2 * 64 * 256 + 256 + 64)
    whole = sum(found["ranks"][0]["time_split_s"].values())
    assert whole == pytest.approx(found["step_time_s"], rel=1e-9)


def test_one_process_that_stands_for_both_gives_the_same_answer(
    folder: Path, on_devices: Ran, as_ranks: Ran
) -> None:
    assert as_ranks.code == 0, as_ranks.err
    real, believed = (json.loads((folder / n).read_text()) for n in ("d.json", "r.json"))
    for name in ("step_time_s", "samples_per_s", "collectives", "peak_memory_bytes", "mfu"):
        assert believed[name] == real[name], name


def test_runs_of_many_are_kept(folder: Path, on_devices: Ran, as_ranks: Ran) -> None:
    history = History()
    kept = [r for r in history.records("ranks") if r.facts["folder"] == str(folder)]
    assert [("--ranks" in r.facts["command"], r.card) for r in kept] == [
        (True, "8 × T21 OAM server"), (False, "8 × T21 OAM server"),
    ]  # fmt: skip
    assert history.document(kept[1]) == json.loads((folder / "d.json").read_text())
    assert history.part(kept[1], "trace") == (folder / "d.gz").read_bytes()


def test_the_files_tell_of_every_rank(folder: Path, on_devices: Ran) -> None:
    page = (folder / "d.html").read_text()
    assert "2 ranks on 8 × T21 OAM server" in page
    assert "all_reduce" in page
    trace = json.loads((folder / "d.trace").read_text())["traceEvents"]
    names = {e["args"]["name"] for e in trace if e["name"] == "thread_name"}
    assert "collectives of group 0" in names


def test_a_run_on_another_cluster_needs_no_new_script(folder: Path, on_devices: Ran) -> None:
    again = suiren("replay", "d.gz", "--on", "t20", "--json", "t20.json", cwd=folder)
    assert again.code == 0, again.err
    names = {op["name"] for op in json.loads((folder / "t20.json").read_text())["ops"]}
    assert "eccl::all_reduce" in names


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--devices", "2", "--ranks", "4"), "give one of the two"),
        (("--ranks", "4"), "give --no-numerics with it"),
        (("--master-port", "29500"), "--master-port is for --devices"),
        (("--devices", "99"), "give 1 to 64"),
        (("--on", "t22x8", "--devices", "2"), "t21x8"),
        (("--on", "selene", "--devices", "9"), "whole nodes: 8 or 16"),
        (("--ranks", "12", "--no-numerics"), "whole nodes: 8 or 16"),
    ],
)
def test_what_cannot_be_is_one_sentence(folder: Path, options: tuple[str, ...], words: str) -> None:
    ran = suiren("run", "train.py", *options, cwd=folder)
    assert words in is_one_sentence(ran)


def test_a_script_that_ends_with_an_error_of_its_own_keeps_its_status(tmp_path: Path) -> None:
    script(tmp_path, "import sys\nprint('no data', file=sys.stderr)\nsys.exit(3)\n")
    ran = suiren("run", "train.py", "--on", "t21x8", "--devices", "2", cwd=tmp_path)
    assert ran.code == 3
    assert "Traceback" not in ran.err
