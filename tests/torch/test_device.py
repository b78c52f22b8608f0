"""The device `gcu` behaves as any accelerator of PyTorch: module, moves, pinned memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# ---- the accelerator and the module


def test_torch_accelerator_finds_the_card():
    assert torch.accelerator.is_available()
    assert torch.accelerator.current_accelerator().type == "gcu"
    torch.accelerator.set_device_index(1)
    assert torch.accelerator.current_device_index() == 1
    torch.accelerator.synchronize()
    assert torch.accelerator.current_stream().device_index == 1
    assert torch.accelerator.memory_allocated() == torch.gcu.memory_allocated(1)
    with torch.accelerator.device_index(2):
        assert torch.gcu.current_device() == 2
    assert torch.get_device_module() is torch.gcu


def test_the_card_says_what_it_is(session):
    assert torch.gcu.is_available() and torch.gcu.is_initialized()
    assert torch.gcu.get_device_name() == "Toy card (virtual)"
    properties = torch.gcu.get_device_properties(0)
    assert properties.total_memory == 2**34
    assert properties.multi_processor_count == 16
    assert "Toy card" in repr(properties)
    assert torch.gcu.get_device_capability() == (1, 0)
    assert torch.gcu.is_bf16_supported()
    assert torch.gcu.get_arch_list() == ["toy"]


def test_a_module_moves_to_the_card_and_back():
    layer = nn.Linear(3, 3)
    layer.to("gcu")
    assert layer.weight.is_gcu and type(layer.weight) is nn.Parameter
    layer.half().float().cpu()
    assert not layer.weight.is_gcu
    layer.gcu(1)
    assert layer.weight.device.index == 1
    layer = nn.Linear(3, 3, device="gcu", dtype=torch.bfloat16)
    assert layer.weight.dtype == torch.bfloat16


def test_moving_to_where_a_module_is_does_not_copy():
    layer = nn.Linear(3, 3).to("gcu")
    address, parameter = layer.weight.data_ptr(), layer.weight
    layer.to("gcu").to("gcu:0").gcu()
    assert layer.weight is parameter and layer.weight.data_ptr() == address


def test_inference_mode_and_no_grad_compute():
    layer = nn.Linear(3, 3).to("gcu")
    with torch.inference_mode():
        y = layer(torch.ones(2, 3, device="gcu"))
        y[0] = 1
        assert y.view(6).is_inference()
    with torch.no_grad():
        assert not layer(torch.ones(2, 3, device="gcu")).requires_grad


# ---- pinned memory and data


def test_pinned_memory_is_remembered():
    assert torch.empty(3, pin_memory=True).is_pinned()
    assert torch.ones(3).pin_memory().is_pinned()
    assert torch.ones(3).pin_memory().tolist() == [1, 1, 1]
    assert not torch.ones(3).is_pinned()
    assert torch.ones(3).pin_memory().to("gcu", non_blocking=True).tolist() == [1, 1, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_pins_its_batches(workers):
    data = TensorDataset(torch.arange(16.0).view(16, 1), torch.arange(16))
    loader = DataLoader(data, 4, pin_memory=True, num_workers=workers)
    seen = []
    for x, y in loader:
        assert x.is_pinned() and y.is_pinned()
        x = x.to("gcu", non_blocking=True)
        seen += x.flatten().tolist()
    assert seen == list(range(16))
