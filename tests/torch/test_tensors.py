"""Tensors of the card are made, read, promoted and computed with as on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, on_both
from torch import nn

# ---- creation


CREATIONS = {
    "zeros": lambda d: torch.zeros(3, 4, device=d),
    "ones": lambda d: torch.ones(3, dtype=torch.int16, device=d),
    "full": lambda d: torch.full((2, 3), 2.5, device=d),
    "tensor": lambda d: torch.tensor([[1, 2], [3, 4]], device=d),
    "as_tensor": lambda d: torch.as_tensor(np.arange(4), device=d),
    "arange": lambda d: torch.arange(2, 11, 3, device=d),
    "linspace": lambda d: torch.linspace(0, 1, 7, device=d),
    "logspace": lambda d: torch.logspace(0, 2, 5, device=d),
    "eye": lambda d: torch.eye(3, 5, device=d),
    "tril": lambda d: torch.ones(4, 4, device=d).tril(),
    "triu_indices": lambda d: torch.triu_indices(3, 3, device=d),
    "new_full": lambda d: torch.zeros(2, device=d).new_full((2, 2), 7),
    "full_like": lambda d: torch.full_like(torch.zeros(2, 3, device=d), 4, dtype=torch.int64),
    "complex": lambda d: torch.tensor([1 + 2j], device=d),
    "empty": lambda d: torch.empty(0, 4, device=d),
    "scalar": lambda d: torch.tensor(3.0, device=d),
    "bool": lambda d: torch.tensor([True, False], device=d),
    "double": lambda d: torch.ones(3, dtype=torch.float64, device=d),
    "float8": lambda d: torch.tensor([0.3, 2.0], device=d).to(torch.float8_e4m3fn).float(),
}


@pytest.mark.parametrize("make", cases(CREATIONS))
def test_a_tensor_created_on_the_card_equals_the_host_s(make):
    assert make("gcu").device == torch.device("gcu:0")
    assert make("gcu").is_gcu
    on_both(make)


def test_creation_follows_the_default_dtype():
    torch.set_default_dtype(torch.bfloat16)
    assert torch.empty(3, device="gcu").dtype == torch.bfloat16
    assert torch.empty_strided((3,), (1,), device="gcu").dtype == torch.bfloat16


def test_a_device_context_and_a_default_device_create_on_the_card():
    with torch.device("gcu"):
        assert nn.Linear(2, 2).weight.is_gcu
    torch.set_default_device("gcu:2")
    try:
        assert torch.ones(2).device == torch.device("gcu:2")
    finally:
        torch.set_default_device(None)
    assert torch.ones(2).device.type == "cpu"


def test_a_meta_module_gets_memory_by_to_empty():
    with torch.device("meta"):
        layer = nn.Linear(2, 3)
    layer.to_empty(device="gcu")
    assert layer.weight.is_gcu and layer.weight.shape == (3, 2)


def test_shapes_strides_and_memory_formats_are_those_of_the_host():
    def layout(device):
        x = torch.empty(2, 3, 4, 5, device=device, memory_format=torch.channels_last)
        y = torch.empty_strided((2, 3), (1, 2), device=device)
        return [x.stride(), y.stride(), x.contiguous().stride(), x.transpose(1, 2).stride()]

    assert layout("gcu") == layout("cpu")


# ---- reading values


def test_printing_shows_values_and_the_device():
    text = repr(torch.arange(3.0, device="gcu:1"))
    assert text == "tensor([0., 1., 2.], device='gcu:1')"


def test_scalars_come_to_the_host_as_python_numbers():
    x = torch.tensor([1.5, -2.0], device="gcu")
    assert x[0].item() == 1.5
    assert float(x[1]) == -2.0
    assert int(torch.tensor(7, device="gcu")) == 7
    assert bool(torch.tensor(True, device="gcu"))
    assert x.tolist() == [1.5, -2.0]
    assert f"{x.sum():.2f}" == "-0.50"
    assert x.cpu().numpy().tolist() == [1.5, -2.0]


def test_numpy_of_a_card_s_tensor_is_refused():
    with pytest.raises(TypeError, match="gcu"):
        torch.ones(2, device="gcu").numpy()


def test_data_dependent_shapes_are_read_from_the_card():
    x = torch.tensor([3, 0, 3, 1], device="gcu")
    assert x.nonzero().flatten().tolist() == [0, 2, 3]
    assert torch.unique(x).tolist() == [0, 1, 3]
    assert x[x > 0].tolist() == [3, 3, 1]
    assert torch.repeat_interleave(x, x).shape == (7,)


# ---- promotion


PROMOTIONS = {
    "int and float": (torch.int32, 1.5),
    "int and int": (torch.int32, 2),
    "half and float scalar": (torch.float16, 2.5),
    "bool and int": (torch.bool, 3),
    "bf16 and float": (torch.bfloat16, torch.float32),
    "half and bf16": (torch.float16, torch.bfloat16),
    "int and half": (torch.int64, torch.float16),
    "u8 and i8": (torch.uint8, torch.int8),
    "float and double": (torch.float32, torch.float64),
    "float and complex": (torch.float32, 1j),
}


@pytest.mark.parametrize(("one", "other"), cases(PROMOTIONS))
def test_formats_promote_as_on_the_host(one, other):
    def result(device):
        second = torch.ones(3, dtype=other, device=device) if hasattr(other, "itemsize") else other
        return torch.ones(3, dtype=one, device=device) * second

    on_both(result)


def test_a_host_scalar_tensor_mixes_with_a_card_s_tensor_and_does_not_widen_it():
    x = torch.ones(3, dtype=torch.float16, device="gcu")
    assert (x + torch.tensor(2.0)).dtype == torch.float16
    assert (torch.tensor(2.0) * x).tolist() == [2, 2, 2]


# ---- ops against the host


OPS = {
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
    "softmax": lambda x: x.softmax(-1),
    "topk": lambda x: x.topk(2),
    "sort": lambda x: x.sort(1, descending=True),
    "cumsum": lambda x: x.cumsum(0),
    "where": lambda x: torch.where(x > 0, x, -x),
    "max": lambda x: x.max(1),
    "argmax": lambda x: x.argmax(),
    "cat": lambda x: torch.cat([x, x * 2], 1),
    "stack": lambda x: torch.stack([x, x], 1),
    "roll": lambda x: x.roll(1, 0),
    "flip": lambda x: x.flip(0, 1),
    "pad": lambda x: F.pad(x, (1, 2), value=3.0),
    "one_hot": lambda x: F.one_hot(x.argmax(1), 7),
    "std": lambda x: x.std(1),
    "norm": lambda x: x.norm(dim=0),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "lerp": lambda x: x.lerp(x + 1, 0.25),
    "histc": lambda x: x.histc(4, -2, 2),
    "bincount": lambda x: torch.bincount((x > 0).long().flatten()),
    "searchsorted": lambda x: torch.searchsorted(x[0].sort()[0], x[1].contiguous()),
    "interpolate": lambda x: F.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
    "meshgrid": lambda x: list(torch.meshgrid(x[0], x[1], indexing="ij")),
    "fft": lambda x: torch.fft.rfft(x).abs(),
    "svd": lambda x: torch.linalg.svdvals(x),
    "inverse": lambda x: torch.linalg.inv(x[:, :4] + 5 * torch.eye(4, device=x.device)),
    "complex": lambda x: (torch.complex(x, x).conj() * torch.complex(x, -x)).real,
    "logsumexp": lambda x: x.logsumexp(1),
    "scalar out of a reduction": lambda x: x.mean() + x.var(),
    "integer matrix product": lambda x: torch._int_mm(
        torch.ones(32, 32, dtype=torch.int8, device=x.device),
        torch.ones(32, 32, dtype=torch.int8, device=x.device),
    ),
    "sparse to dense": lambda x: torch.sparse_coo_tensor(
        torch.tensor([[0, 1]], device=x.device), torch.ones(2, device=x.device), (3,)
    ).to_dense(),
    "cdist": lambda x: torch.cdist(x, x),
    "allclose": lambda x: torch.tensor(torch.allclose(x, x) and torch.equal(x, x)),
    "foreach": lambda x: torch._foreach_add([x, x[0]], 1.0),
    "kthvalue": lambda x: x.kthvalue(2, 1),
    "grid_sample": lambda x: F.grid_sample(
        x[None, None], torch.zeros(1, 2, 2, 2, device=x.device), align_corners=False
    ),
}


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("op", cases(OPS))
def test_an_op_answers_as_on_the_host(op):
    torch.manual_seed(5)
    x = torch.randn(4, 6)
    on_both(lambda device: op(x.to(device)))


def test_jagged_tensors_can_be_made_on_the_card():
    parts = [torch.ones(2, 3), torch.ones(4, 3)]
    jagged = torch.nested.nested_tensor(parts, layout=torch.jagged, device="gcu")
    assert jagged.device.type == "gcu" and jagged.values().shape == (6, 3)
