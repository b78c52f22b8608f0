"""Random numbers of sharded tensors: shards differ, copies are equal, the seed decides."""

from __future__ import annotations

import json
from pathlib import Path

from suiren.torch.distributed.launch import run_devices
from suiren.torch.runner import How

SCRIPT = """
import json, os, sys, torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
dist.init_process_group("nccl")
rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
mesh = init_device_mesh("cuda", (2,))
def drawn():
    torch.manual_seed(5)
    shards = distribute_tensor(torch.zeros(4, 4, device="cuda"), mesh, [Shard(0)])
    copies = distribute_tensor(torch.zeros(4, device="cuda"), mesh, [Replicate()])
    made = [shards.normal_(), copies.uniform_(), torch.nn.functional.dropout(shards, 0.5)]
    return [t.to_local().flatten().tolist() for t in made] + [torch.rand(2).tolist()]
first, second = drawn(), drawn()
open(f"{sys.argv[1]}/{rank}.json", "w").write(json.dumps([first, second]))
dist.destroy_process_group()
"""


def test_shards_differ_and_copies_agree(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    outcomes = run_devices(script, [str(tmp_path)], "toy", 2, How())
    assert [o.ended for o in outcomes] == ["finished"] * 2, outcomes[0].error
    (one, again), (other, _) = (
        json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)
    )
    assert one == again
    assert one[0] != other[0]
    assert one[1] == other[1]
    assert one[2] != other[2]
    assert one[3] == other[3]
