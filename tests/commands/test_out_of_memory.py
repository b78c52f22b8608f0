"""A script that does not fit: who owns the memory, and a batch that really fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suiren_runs import Ran, script, suiren

MiB = 2**20
CARD = f'based_on = "toy"\nmemory_bytes = {64 * MiB}\n'
#: Weights, gradients and two states of 4 MiB each; a sample takes about 25 KiB.
SCRIPT = """
import sys
import torch
from torch import nn
batch, parts = int(sys.argv[1]), int(sys.argv[2])
model = nn.Sequential(nn.Linear(256, 2048), nn.ReLU(), nn.Linear(2048, 256)).to("cuda")
optimizer = torch.optim.AdamW(model.parameters())
for step in range(3):
    optimizer.zero_grad()
    for part in range(parts):
        loss = model(torch.randn(batch, 256, device="cuda")).square().mean()
        loss.backward()
    optimizer.step()
"""


def run(folder: Path, batch: int, parts: int = 1) -> tuple[Ran, dict]:
    name = f"{batch}_{parts}.json"
    ran = suiren("run", "large.py", "--on", "small.toml", "--quiet", "--json", name, "--", batch,
                 parts, cwd=folder)  # fmt: skip
    return ran, json.loads((folder / name).read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oom")
    script(folder, SCRIPT, "large.py")
    (folder / "small.toml").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def failed(folder: Path) -> tuple[Ran, dict]:
    return run(folder, 20_000)


def test_it_ends_as_an_error_of_the_script(failed: tuple[Ran, dict]) -> None:
    ran, told = failed
    assert ran.code == 1
    assert "torch.OutOfMemoryError" in ran.err
    assert "runner.py" not in ran.err
    assert told["outcome"] == "out of memory"


def test_the_message_names_sizes_and_owners(failed: tuple[Ran, dict]) -> None:
    words = failed[0].words
    assert "Tried to allocate 156.25 MiB" in words  # 20,000 × 2048 × 4 B
    assert "total capacity of 64.00 MiB" in words
    for owner in (
        "Sequential.0.weight (weights) 2.00 MiB",
        "Sequential.2.weight (weights) 2.00 MiB",
    ):
        assert owner in words


def test_the_document_holds_what_was_tried_and_by_whom(failed: tuple[Ran, dict]) -> None:
    found = failed[1]["out_of_memory"]
    assert found["capacity_bytes"] == 64 * MiB
    assert found["tried_bytes"] == 20_000 * 2048 * 4
    assert found["allocated_bytes"] + found["tried_bytes"] > found["capacity_bytes"]
    assert sum(owner["bytes"] for owner in found["owners"]) == found["allocated_bytes"]
    assert [owner["bytes"] for owner in found["owners"]] == sorted(
        (owner["bytes"] for owner in found["owners"]), reverse=True
    )


def test_what_would_fit_is_advised_in_words_and_in_the_document(failed: tuple[Ran, dict]) -> None:
    ran, told = failed
    assert told["fit"]["batch"] == 20_000
    assert told["fit"]["sentence"] in ran.words
    assert f"largest batch that fits: {told['fit']['largest_batch']}" in ran.words
    assert told["fit"]["needed_bytes"] > 64 * MiB


def test_the_recommended_batch_fits_and_one_more_does_not(
    folder: Path, failed: tuple[Ran, dict]
) -> None:
    best = failed[1]["fit"]["largest_batch"]
    fits, told = run(folder, best)
    assert fits.code == 0, fits.err
    assert told["peak_memory_bytes"] <= 64 * MiB
    assert run(folder, best + 1)[0].code == 1


def test_parts_whose_gradients_are_added_up_need_room_one_at_a_time(folder: Path) -> None:
    told = run(folder, 64, 6)[1]
    fit, best = told["fit"], told["fit"]["largest_batch"]
    assert told["batch"]["samples"] == 6 * 64
    assert (fit["batch"], fit["micro_batches"]) == (64, 6)
    assert fit["sentence"].startswith(f"largest micro-batch that fits: {best}, 6 a step (fixed ")


@pytest.mark.slow
def test_the_recommended_part_fits_and_a_larger_one_does_not(folder: Path) -> None:
    best = run(folder, 64, 6)[1]["fit"]["largest_batch"]
    assert run(folder, best, 6)[1]["peak_memory_bytes"] <= 64 * MiB
    assert run(folder, round(1.02 * best), 6)[0].code == 1
