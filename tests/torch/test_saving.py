"""What lives on the card is copied, pickled, saved and loaded."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from device_helpers import same
from torch import nn


def test_a_module_moves_while_a_graph_of_it_lives():
    layer = nn.Linear(3, 3)
    kept = layer(torch.ones(1, 3))
    layer.to("gcu")
    assert layer.weight.is_gcu and not kept.is_gcu


def test_deepcopy_gives_an_equal_module_with_its_own_memory():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).to("gcu:1")
    twin = copy.deepcopy(model)
    for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        same(a, b)
        assert b.device == torch.device("gcu:1")
        assert a.data_ptr() != b.data_ptr()


def test_deepcopy_keeps_tensors_that_share_memory_sharing_it():
    x = torch.zeros(4, device="gcu")
    y, z = copy.deepcopy([x, x[1:]])
    y.add_(1)
    assert z.tolist() == [1, 1, 1] and x.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("index", [0, 2])
def test_pickle_brings_a_tensor_back_to_its_card(index):
    x = torch.arange(6.0, device=f"gcu:{index}").view(2, 3).t()
    y = pickle.loads(pickle.dumps(x))
    assert y.device == x.device and y.stride() == x.stride()
    same(y, x)


def _saved(thing):
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    ("map_location", "lands_on"),
    [
        (None, "gcu:1"),
        ("cpu", "cpu"),
        ("gcu", "gcu:0"),
        ("gcu:2", "gcu:2"),
        ({"gcu:1": "gcu:4"}, "gcu:4"),
        (lambda storage, _: storage, "cpu"),
        (lambda storage, _: storage.gcu(5), "gcu:5"),
    ],
    ids=["none", "cpu", "gcu", "gcu:2", "dict", "function", "function to a card"],
)
def test_a_saved_tensor_lands_where_map_location_says(map_location, lands_on):
    x = torch.randn(4, device="gcu:1")
    y = torch.load(_saved(x), map_location=map_location)
    assert y.device == torch.device(lands_on)
    same(y, x)


@pytest.mark.parametrize("wrap", [str, torch.device])
def test_a_host_checkpoint_loads_to_the_card(wrap):
    loaded = torch.load(_saved({"w": torch.arange(3)}), map_location=wrap("gcu:3"))
    assert loaded["w"].device.index == 3 and loaded["w"].tolist() == [0, 1, 2]


def test_training_goes_on_from_a_saved_state():
    def step(model, optimizer):
        optimizer.zero_grad()
        model(torch.ones(2, 3, device="gcu")).pow(2).sum().backward()
        optimizer.step()

    model = nn.Linear(3, 3).to("gcu")
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    step(model, optimizer)
    saved = _saved({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    step(model, optimizer)
    for where in ("gcu", "cpu", None):
        saved.seek(0)
        state = torch.load(saved, map_location=where)
        twin = nn.Linear(3, 3).to("gcu")
        twin_optimizer = torch.optim.AdamW(twin.parameters(), 0.1)
        twin.load_state_dict(state["model"])
        twin_optimizer.load_state_dict(state["optimizer"])
        step(twin, twin_optimizer)
        same(twin.weight, model.weight)


def test_a_state_dict_names_and_holds_the_card_s_tensors():
    model = nn.BatchNorm1d(3).to("gcu")
    state = model.state_dict()
    assert list(state) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert all(value.is_gcu for value in state.values())
    host = nn.BatchNorm1d(3)
    host.load_state_dict(state)
    assert not host.weight.is_gcu


def test_a_profiler_and_a_dispatch_mode_see_the_ops():
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            seen.append(str(function))
            return function(*arguments, **(keywords or {}))

    with Watch():
        torch.ones(2, device="gcu") + 1
    assert "aten.add.Tensor" in seen
    with torch.profiler.profile() as profile:
        torch.ones(2, device="gcu") + 1
    assert any("add" in row.key for row in profile.key_averages())
