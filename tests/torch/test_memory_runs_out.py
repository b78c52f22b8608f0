"""The error when memory runs out: size, free, capacity, owners; a script may go on after it."""

from __future__ import annotations

import gc
import re

import pytest
import torch
from device_helpers import cases, run_suiren
from torch import nn

KiB, MiB = 2**10, 2**20


@pytest.fixture(autouse=True)
def collected():
    """Garbage of other tests is gone before anything is counted."""
    gc.collect()


def allocated() -> int:
    return torch.gcu.memory_allocated()


def test_out_of_memory_says_size_free_capacity_and_owners(set_capacity):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Linear(512, 1024, bias=False)

        def forward(self, x):
            return self.up(x).relu()

    model = Block().to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(4, 512, device="gcu")).sum().backward()
    optimizer.step()
    kept = model(torch.ones(1024, 512, device="gcu"))
    set_capacity(3 * MiB)
    used, total = allocated(), torch.gcu.mem_get_info()[1]
    with pytest.raises(torch.OutOfMemoryError) as error:
        torch.zeros(MiB, device="gcu")
    text = str(error.value)
    assert "Tried to allocate 4.00 MiB" in text
    assert "GCU 0 (Toy card)" in text
    assert f"total capacity of {total / MiB:.2f} MiB of which 3.00 MiB is free" in text
    assert f"{used / MiB:.2f} MiB is allocated" in text
    assert "Block.up.weight (weights) 2.00 MiB" in text
    assert "Block.up.weight (gradients) 2.00 MiB" in text
    assert "up.weight.momentum_buffer (optimizer state) 2.00 MiB" in text
    assert "Block (activations) 4.00 MiB" in text
    assert "optimizer state 2.00 MiB" in text.split("Largest owners")[0]
    del kept


def test_an_optimizer_s_state_is_named_like_its_parameter(set_capacity):
    model = nn.Sequential(nn.Linear(512, 1024, bias=False)).to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(4, 512, device="gcu")).sum().backward()
    optimizer.step()
    set_capacity(0)
    with pytest.raises(torch.OutOfMemoryError, match=r" Sequential\.0\.weight\.momentum_buffer "):
        torch.zeros(MiB, device="gcu")


def test_the_free_bytes_of_an_error_are_those_of_its_own_card(set_capacity):
    set_capacity(MiB)
    with pytest.raises(torch.OutOfMemoryError, match=r"GCU 2 .*\d B is allocated: nothing"):
        torch.zeros(2**32, device="gcu:2")


WAYS_TO_RUN_OUT = {
    "creation": lambda: torch.empty(1 << 40, device="gcu"),
    "an op": lambda: torch.ones(MiB, 1, device="gcu") + torch.ones(1, MiB, device="gcu"),
    "a product": lambda: torch.ones(MiB, 1, device="gcu") @ torch.ones(1, MiB, device="gcu"),
    "a storage": lambda: torch.UntypedStorage(1 << 40, device="gcu"),
    "growing": lambda: torch.empty(4, device="gcu").untyped_storage().resize_(1 << 40),
    "resize_": lambda: torch.empty(4, device="gcu").resize_(1 << 40),
}


_HOST_FULL = dict.fromkeys(("an op", "a product"), "B7: the host is full before the card is asked")


@pytest.mark.parametrize("run_out", cases(WAYS_TO_RUN_OUT, _HOST_FULL))
def test_memory_runs_out_and_the_script_goes_on(run_out):
    before, ooms = allocated(), torch.gcu.memory_stats()["num_ooms"]
    with pytest.raises(torch.gcu.OutOfMemoryError) as error:
        run_out()
    assert isinstance(error.value, torch.OutOfMemoryError)
    del error
    gc.collect()
    assert allocated() == before
    assert torch.gcu.memory_stats()["num_ooms"] == ooms + 1
    assert torch.ones(3, device="gcu").sum().item() == 3


def test_a_tensor_that_fits_exactly_fits(set_capacity):
    set_capacity(4 * MiB)
    x = torch.empty(MiB, device="gcu")
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(1, device="gcu")
    del x
    assert torch.empty(MiB, device="gcu").numel() == MiB


def test_memory_may_run_out_in_backward_and_training_goes_on(set_capacity):
    model = nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024)).to("gcu")
    loss = model(torch.ones(2, 1024, device="gcu")).sum()
    before = allocated()
    set_capacity(MiB)
    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 4.00 MiB"):
        loss.backward()
    del loss
    model.zero_grad()
    gc.collect()
    assert allocated() <= before
    set_capacity(64 * MiB)
    model(torch.ones(2, 1024, device="gcu")).sum().backward()
    assert model[0].weight.grad is not None


def test_a_smaller_batch_is_found_by_catching_the_error(set_capacity):
    set_capacity(8 * MiB)
    batch = 4096
    while True:
        try:
            x = torch.zeros(batch, 1024, device="gcu")
            break
        except torch.OutOfMemoryError:
            batch //= 2
    assert batch == 2048 and x.shape == (2048, 1024)


def test_a_script_that_runs_out_ends_with_its_error_and_what_would_fit(tmp_path):
    script = tmp_path / "big.py"
    script.write_text(
        "import torch\n"
        "from torch import nn\n"
        "model = nn.Linear(1024, 1024).to('gcu')\n"
        "optimizer = torch.optim.SGD(model.parameters(), 0.1)\n"
        "x = torch.zeros(4096, 1024, device='gcu')\n"
        "model(x).sum().backward()\n"
        "optimizer.step()\n"
    )
    ran = run_suiren(script, "--memory", "24MiB")
    assert ran.returncode == 1
    said = re.sub(r"\s+", " ", ran.stdout + ran.stderr)
    assert "OutOfMemoryError: GCU out of memory. Tried to allocate 16.00 MiB." in said
    assert "total capacity of 24.00 MiB" in said
    assert "batch" in said and "16.00 MiB" in said
    assert 'big.py", line 6' in said
    assert "runpy" not in said
