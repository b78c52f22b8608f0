"""Memory of the card: counted to the byte in blocks of 512."""

from __future__ import annotations

import gc

import pytest
import torch
from device_helpers import cases
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
