"""Memory of the card: counted to the byte in blocks of 512, and an error that says who holds it."""

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


# ---- counting


@pytest.mark.parametrize(
    ("numel", "dtype", "counted"),
    [
        (1, torch.float32, 512),
        (128, torch.float32, 512),
        (129, torch.float32, 1024),
        (512, torch.bool, 512),
        (513, torch.uint8, 1024),
        (1 << 20, torch.float32, 4 * MiB),
        ((1 << 20) + 1, torch.bfloat16, 2 * MiB + 512),
        (3, torch.float64, 512),
        (0, torch.float32, 0),
    ],
)
def test_a_tensor_counts_its_bytes_in_blocks_of_512(numel, dtype, counted):
    before = allocated()
    x = torch.empty(numel, dtype=dtype, device="gcu")
    assert allocated() - before == counted
    del x
    assert allocated() == before


HOW_TENSORS_COME = {
    "created": lambda: torch.zeros(MiB, device="gcu"),
    "strided": lambda: torch.empty_strided((1024, 1024), (1, 1024), device="gcu"),
    "moved": lambda: torch.zeros(MiB).to("gcu"),
    "computed": lambda: torch.zeros(1024, 1, device="gcu").expand(1024, 1024) + 0.0,
    "random": lambda: torch.randn(MiB, device="gcu"),
    "cloned": lambda: torch.zeros(1024, 1, device="gcu").expand(1024, 1024).contiguous(),
    "multiplied": lambda: torch.ones(1024, 1, device="gcu").expand(1024, 1024).mul(2.0),
    "like": lambda: torch.zeros_like(torch.empty(MiB, device="meta"), device="gcu"),
    "converted": lambda: torch.zeros(MiB, dtype=torch.int16, device="gcu").float(),
    "storage": lambda: torch.UntypedStorage(4 * MiB, device="gcu"),
    "product": lambda: torch.ones(1024, 1, device="gcu") @ torch.ones(1, 1024, device="gcu"),
}


@pytest.mark.parametrize("make", cases(HOW_TENSORS_COME))
def test_every_way_to_make_a_tensor_counts_and_gives_back(make):
    before = allocated()
    x = make()
    assert allocated() - before == 4 * MiB
    del x
    assert allocated() == before


def test_views_and_in_place_ops_take_no_memory_and_keep_their_base():
    before = allocated()
    x = torch.zeros(1024, 1024, device="gcu")
    view = x[1:].t()
    view.add_(1).mul_(2)
    assert allocated() - before == 4 * MiB
    del x
    assert allocated() - before == 4 * MiB
    del view
    assert allocated() == before


def test_a_resized_storage_counts_what_it_holds_now():
    before = allocated()
    x = torch.zeros(MiB, device="gcu")
    x.untyped_storage().resize_(0)
    assert allocated() == before
    x.untyped_storage().resize_(8 * MiB)
    assert allocated() - before == 8 * MiB
    del x
    assert allocated() == before


def test_an_out_argument_that_grows_is_counted_anew():
    before = allocated()
    out = torch.empty(0, device="gcu")
    x = torch.zeros(MiB, device="gcu")
    torch.add(x, 1, out=out)
    assert allocated() - before == 8 * MiB
    del x, out
    assert allocated() == before


def test_each_card_counts_for_itself():
    before = [torch.gcu.memory_allocated(i) for i in range(8)]
    x = torch.zeros(MiB, device="gcu:3")
    after = [torch.gcu.memory_allocated(i) for i in range(8)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 0, 0, 4 * MiB, 0, 0, 0, 0]
    assert torch.gcu.memory_allocated("gcu:3") == torch.gcu.memory_allocated(torch.device("gcu:3"))
    del x


def test_training_holds_weights_gradients_and_states_and_nothing_else():
    before = allocated()
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256)).to("gcu")
    optimizer = torch.optim.AdamW(model.parameters())
    weights = sum(-(-p.numel() * 4 // 512) * 512 for p in model.parameters())
    assert allocated() - before == weights
    for _ in range(3):
        model(torch.randn(128, 256, device="gcu")).sum().backward()
        assert allocated() - before >= 2 * weights
        optimizer.step()
        optimizer.zero_grad()
        assert allocated() - before == 3 * weights
    del model, optimizer
    gc.collect()
    assert allocated() == before


def test_a_graph_keeps_its_saved_tensors_until_backward():
    before = allocated()
    x = torch.ones(MiB, device="gcu", requires_grad=True)
    y = x.exp().sin().sum()
    assert allocated() - before == 2 * 4 * MiB + 512
    y.backward()
    assert allocated() - before == 2 * 4 * MiB + 512
    del x, y
    assert allocated() == before


# ---- peaks, reserve, statistics


def test_the_peak_is_the_highest_point_since_the_reset():
    base = allocated()
    x = torch.zeros(2 * MiB, device="gcu")
    torch.gcu.reset_peak_memory_stats()
    assert torch.gcu.max_memory_allocated() == allocated() == base + 8 * MiB
    y = torch.zeros(MiB, device="gcu")
    del y
    z = torch.zeros(512 * KiB, device="gcu")
    assert torch.gcu.max_memory_allocated() == base + 12 * MiB
    del x, z
    torch.gcu.reset_peak_memory_stats()
    assert torch.gcu.max_memory_allocated() == base


def test_the_reserve_is_in_whole_segments_and_shrinks_only_when_told():
    torch.gcu.empty_cache()
    start = torch.gcu.memory_reserved()
    assert start % (2 * MiB) == 0 and start >= allocated()
    x = torch.zeros(9 * MiB // 4, device="gcu")
    held = torch.gcu.memory_reserved()
    assert held % (2 * MiB) == 0 and held >= allocated()
    del x
    assert torch.gcu.memory_reserved() == held
    assert torch.gcu.max_memory_reserved() >= held
    torch.gcu.empty_cache()
    assert torch.gcu.memory_reserved() == start


def test_free_and_total_memory_add_up():
    torch.gcu.empty_cache()
    free, total = torch.gcu.mem_get_info()
    assert total == 2**34 == torch.gcu.get_device_properties().total_memory
    assert free == total - torch.gcu.memory_reserved()
    x = torch.zeros(64 * MiB, device="gcu")
    assert free - torch.gcu.mem_get_info()[0] == 256 * MiB
    del x


def test_statistics_agree_with_the_counters():
    x = torch.zeros(MiB, device="gcu")
    stats = torch.gcu.memory_stats()
    assert stats["allocated_bytes.all.current"] == allocated()
    assert stats["allocated_bytes.all.peak"] == torch.gcu.max_memory_allocated()
    assert stats["reserved_bytes.all.current"] == torch.gcu.memory_reserved()
    assert stats["allocation.all.current"] == len(torch.gcu.memory_snapshot())
    assert sum(row["total_size"] for row in torch.gcu.memory_snapshot()) == allocated()
    assert "allocated_bytes.all.current" in torch.gcu.memory_summary()
    y = torch.zeros(1, device="gcu")
    after = torch.gcu.memory_stats()
    assert after["allocation.all.allocated"] == stats["allocation.all.allocated"] + 1
    del y
    assert torch.gcu.memory_stats()["allocation.all.freed"] == stats["allocation.all.freed"] + 1
    del x


def test_torch_accelerator_reports_the_same_memory():
    x = torch.zeros(MiB, device="gcu")
    assert torch.accelerator.memory_allocated() == allocated()
    assert torch.accelerator.max_memory_allocated() == torch.gcu.max_memory_allocated()
    assert torch.accelerator.memory_reserved() == torch.gcu.memory_reserved()
    torch.accelerator.reset_peak_memory_stats()
    assert torch.gcu.max_memory_allocated() == allocated()
    torch.accelerator.empty_cache()
    del x


# ---- out of memory


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
