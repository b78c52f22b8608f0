"""What cannot be launched is said in one sentence; what is launched looks like torchrun."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from launched import launch

from suiren.torch.distributed.launch import CannotLaunch, Launching, check_devices, run_devices
from suiren.torch.distributed.processes import how_it_died
from suiren.torch.runner import How

SPAWNS = """
import os
import sys
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

def train(rank, world_size):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ["MASTER_PORT"] = sys.argv[1]
    dist.init_process_group("nccl", rank=rank, world_size=world_size)
    torch.cuda.set_device(rank)
    x = torch.ones(2, device=rank)
    dist.all_reduce(x)
    print("rank", rank, "of", world_size, x.tolist(), dist.get_backend())
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(train, args=(torch.cuda.device_count(),), nprocs=torch.cuda.device_count())
"""


@pytest.mark.parametrize(("number", "words"), [
    (0, "give 1 to 64"),
    (100, "give 1 to 64"),
    (12, "whole nodes: 8 or 16"),
])  # fmt: skip
def test_a_number_of_devices_that_is_not_possible_says_what_is(number, words):
    with pytest.raises(CannotLaunch, match=words) as said:
        check_devices(number)
    assert f"--devices {number}" in str(said.value) and "\n" not in str(said.value)


def test_a_missing_script_is_said_before_anything_starts(tmp_path):
    with pytest.raises(CannotLaunch, match="no script"):
        run_devices(tmp_path / "none.py", [], "toy", 2, How())


def test_a_port_in_use_is_one_sentence():
    script = Path(__file__)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotLaunch, match=f"port {port} of this machine is in use"):
            run_devices(script, [], "toy", 2, How(), Launching(master_port=port))


def test_how_a_process_died_is_said_in_words():
    assert how_it_died(-9) == "was killed by SIGKILL (by hand, or because memory ran out)"
    assert how_it_died(-11) == "was killed by SIGSEGV"
    assert how_it_died(3) == "ended with status 3"


def test_a_script_that_spawns_its_ranks_is_launched_once_a_rank(tmp_path, capfd):
    script = tmp_path / "spawns.py"
    script.write_text(SPAWNS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ran = launch(script, port)
    assert ran.ended == ["finished", "finished"], ran.outcomes[0].error
    out = capfd.readouterr().out
    assert "rank 0 of 2 [2.0, 2.0] nccl\n" in out
    assert "[rank 1] rank 1 of 2 [2.0, 2.0] nccl\n" in out
    for rank, outcome in enumerate(ran.outcomes):
        facts = outcome.program.facts
        assert (facts["rank"], facts["world_size"]) == (rank, 2)
        assert facts["groups"][0]["ranks"] == {"list": [0, 1]}
        assert any(call.op.startswith("eccl::all_reduce") for call in outcome.program.calls)
