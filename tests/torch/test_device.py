"""The device `gcu` behaves as any device of PyTorch: tensors, views, ordinals, saving."""

from __future__ import annotations

import copy
import io
import pickle
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, on_both, same
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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


# ---- indexing


def _indexed(device, change):
    x = torch.arange(24.0, device=device).view(4, 6)
    answer = change(x)
    return x if answer is None else answer


def _assign(place, value):
    def change(x):
        index = place(x.device)
        x[index] = value(x.device) if callable(value) else value

    return change


INDEXINGS = {
    "row": lambda x: x[1],
    "ellipsis": lambda x: x[..., -1],
    "step": lambda x: x[::2, 1:5:3],
    "none": lambda x: x[None, :, None],
    "mask": lambda x: x[x > 5],
    "row mask": lambda x: x[torch.tensor([True, False, True, False], device=x.device)],
    "indices": lambda x: x[torch.tensor([2, 0], device=x.device)],
    "host indices": lambda x: x[torch.tensor([2, 0])],
    "list": lambda x: x[[3, 1], [0, 5]],
    "gather": lambda x: x.gather(1, torch.tensor([[1], [0], [2], [5]], device=x.device)),
    "take": lambda x: x.take(torch.tensor([0, 23], device=x.device)),
    "index_select": lambda x: x.index_select(1, torch.tensor([5, 5, 0], device=x.device)),
    "set row": _assign(lambda d: 0, 7.0),
    "set column": _assign(lambda d: (slice(None), 1), lambda d: torch.ones(4, device=d)),
    "set from the host": _assign(lambda d: 2, lambda d: torch.ones(6)),
    "set indices": _assign(lambda d: torch.tensor([0, 2], device=d), 1.0),
    "set by host indices": _assign(lambda d: torch.tensor([1]), 2.0),
    "set mask": lambda x: x.masked_fill_(x > 10, -1),
    "index_put": lambda x: x.index_put_(
        (torch.tensor([1, 1], device=x.device),), torch.ones(6, device=x.device), accumulate=True
    ),
    "scatter_add": lambda x: x.scatter_add_(
        1, torch.zeros(4, 2, dtype=torch.long, device=x.device), torch.ones(4, 2, device=x.device)
    ),
    "index_add": lambda x: x.index_add_(
        0, torch.tensor([3, 3], device=x.device), torch.ones(2, 6, device=x.device)
    ),
}


@pytest.mark.parametrize("change", cases(INDEXINGS))
def test_indexing_answers_as_on_the_host(change):
    on_both(lambda device: _indexed(device, change))


# ---- views and in-place ops


def test_views_share_the_storage_of_their_base():
    x = torch.zeros(4, 4, device="gcu")
    view = x[1:3].t()
    view.add_(1)
    assert x.sum().item() == 8
    assert view._base is x
    assert view.storage_offset() == 4
    assert view.untyped_storage()._cdata == x.untyped_storage()._cdata
    assert view.data_ptr() == x.data_ptr() + 16


VIEWS = {
    "view": lambda x: x.view(2, 12),
    "reshape": lambda x: x.reshape(6, 4),
    "transpose": lambda x: x.transpose(0, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "expand": lambda x: x[:, :1].expand(2, 3, 4),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "unfold": lambda x: x.flatten().unfold(0, 4, 2),
    "diagonal": lambda x: x.diagonal(dim1=0, dim2=1),
    "as_strided": lambda x: x.as_strided((3, 2), (1, 5), 2),
    "chunk": lambda x: x.chunk(2, -1)[1],
    "split": lambda x: x.split([1, 3], -1)[1],
    "unbind": lambda x: x.unbind(1)[2],
    "squeeze": lambda x: x[:1].squeeze(),
    "as integers": lambda x: x.view(torch.int32),
    "as complex": lambda x: torch.view_as_real(torch.view_as_complex(x.view(2, 3, 2, 2))),
    "swap": lambda x: x.movedim(0, 2),
    "flatten": lambda x: x.flatten(1),
    "detach": lambda x: x.detach(),
}


@pytest.mark.parametrize("view", cases(VIEWS))
def test_a_view_reads_and_writes_the_memory_of_its_base(view):
    def written(device):
        x = torch.arange(24.0, device=device).view(2, 3, 4)
        seen = view(x)
        before = seen.clone()
        x.add_(1)
        after = seen.clone()
        seen.reshape(-1)[:0] = 0
        if not any(stride == 0 for stride in seen.stride()):
            seen.zero_()
        return before, after, x, torch.tensor(seen.stride())

    on_both(written)
    x = torch.zeros(2, 3, 4, device="gcu")
    assert view(x).untyped_storage()._cdata == x.untyped_storage()._cdata


def test_an_out_argument_is_written_and_resized():
    x = torch.arange(4.0, device="gcu")
    out = torch.empty(0, device="gcu")
    torch.add(x, x, out=out)
    assert out.tolist() == [0, 2, 4, 6]
    address = out.data_ptr()
    torch.mul(x, 3, out=out)
    assert out.tolist() == [0, 3, 6, 9] and out.data_ptr() == address
    values, order = torch.empty(0, device="gcu"), torch.empty(0, dtype=torch.long, device="gcu")
    torch.sort(x, descending=True, out=(values, order))
    assert order.tolist() == [3, 2, 1, 0]


def test_set_data_and_resize_change_what_a_tensor_holds():
    x = torch.arange(4.0, device="gcu")
    y = torch.empty(0, device="gcu").set_(x)
    y.add_(1)
    assert x.tolist() == [1, 2, 3, 4]
    y = torch.ones(3, device="gcu")
    y.resize_(8)
    assert y.shape == (8,) and y[:3].tolist() == [1, 1, 1]
    parameter = nn.Parameter(torch.ones(2, device="gcu"))
    parameter.data = torch.zeros(2, device="gcu")
    parameter.data.add_(1)
    assert parameter.tolist() == [1, 1]


def test_resize_to_a_memory_format_keeps_that_format():
    def strides(device):
        x = torch.empty(0, device=device)
        return x.resize_((2, 3, 4, 5), memory_format=torch.channels_last).stride()

    assert strides("gcu") == strides("cpu")


def test_a_storage_can_be_emptied_and_grown_again():
    x = torch.arange(4.0, device="gcu")
    storage = x.untyped_storage()
    storage.resize_(0)
    assert storage.size() == 0
    storage.resize_(16)
    x.fill_(2)
    assert x.tolist() == [2, 2, 2, 2]


def test_a_storage_can_be_made_copied_and_filled_by_itself():
    storage = torch.UntypedStorage(8, device="gcu")
    assert storage.device == torch.device("gcu:0") and storage.nbytes() == 8
    storage.fill_(1)
    assert storage.cpu().tolist() == [1] * 8
    assert storage.clone().device.type == "gcu"


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


# ---- several devices


@pytest.mark.parametrize("index", range(8))
def test_all_eight_cards_of_the_node_hold_and_compute(index):
    x = torch.ones(3, device=f"gcu:{index}")
    assert (x + x).device == torch.device("gcu", index)
    assert x.get_device() == index


def test_there_are_eight_cards():
    assert torch.gcu.device_count() == 8
    assert torch.accelerator.device_count() == 8


NINTH_CARD = {
    "create": lambda: torch.ones(1, device="gcu:8"),
    "to": lambda: torch.ones(1).to("gcu:8"),
    "to from a card": lambda: torch.ones(1, device="gcu").to("gcu:8"),
    "set_device": lambda: torch.gcu.set_device(8),
    "set_device by name": lambda: torch.gcu.set_device("gcu:8"),
    "accelerator": lambda: torch.accelerator.set_device_index(8),
    "context": lambda: torch.gcu.device(8).__enter__(),
    "generator": lambda: torch.Generator(device="gcu:8"),
    "memory_allocated": lambda: torch.gcu.memory_allocated(8),
    "properties": lambda: torch.gcu.get_device_properties(8),
    "synchronize": lambda: torch.gcu.synchronize(8),
    "current_stream": lambda: torch.gcu.current_stream(8),
    "stream": lambda: torch.gcu.Stream(device=8),
}


@pytest.mark.parametrize("use", cases(NINTH_CARD, {}))
def test_a_ninth_card_is_refused(use):
    with pytest.raises((RuntimeError, AssertionError, ValueError, IndexError)):
        use()
    assert torch.gcu.current_device() == 0


def test_the_error_of_a_missing_card_names_those_that_are_there():
    with pytest.raises(RuntimeError, match=r"invalid device ordinal 8.*gcu:0 to gcu:7"):
        torch.ones(1, device="gcu:8")
    with pytest.raises(RuntimeError, match=r"invalid device ordinal 8.*gcu:0 to gcu:7"):
        torch.gcu.set_device(8)


MISMATCHES = {
    "host and card": lambda: torch.ones(3, device="gcu") + torch.ones(3),
    "two cards": lambda: torch.ones(3, device="gcu:0") + torch.ones(3, device="gcu:1"),
    "linear": lambda: nn.Linear(3, 3).to("gcu")(torch.ones(1, 3)),
    "cat": lambda: torch.cat([torch.ones(3, device="gcu"), torch.ones(3)]),
    "embedding": lambda: nn.Embedding(3, 3).to("gcu")(torch.tensor([1])),
    "loss": lambda: F.cross_entropy(torch.ones(2, 3, device="gcu"), torch.tensor([0, 1])),
    "in place": lambda: torch.ones(3, device="gcu").add_(torch.ones(3)),
    "foreach": lambda: torch._foreach_add_(
        [torch.ones(3, device="gcu")], [torch.ones(3, device="gcu:1")]
    ),
    "attention": lambda: F.scaled_dot_product_attention(
        torch.ones(1, 1, 2, 8, device="gcu"), torch.ones(1, 1, 2, 8), torch.ones(1, 1, 2, 8)
    ),
}


@pytest.mark.parametrize("mix", cases(MISMATCHES))
def test_tensors_of_different_devices_do_not_mix(mix):
    with pytest.raises(RuntimeError, match="same device"):
        mix()


@pytest.mark.parametrize("other", ["gcu:1", "cpu"])
def test_the_error_of_a_mix_names_both_devices_and_the_op(other):
    with pytest.raises(RuntimeError) as error:
        torch.ones(3, device="gcu") + torch.ones(3, device=other)
    assert str(error.value) == (
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"gcu:0 and {other}! (op aten::add.Tensor)"
    )


def test_writing_in_place_into_a_host_tensor_from_the_card_is_refused():
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3).add_(torch.ones(3, device="gcu"))


def test_set_device_says_where_new_tensors_go():
    torch.gcu.set_device(2)
    assert torch.gcu.current_device() == 2
    assert torch.accelerator.current_device_index() == 2
    assert torch.ones(2, device="gcu").device.index == 2
    assert torch.ones(2).to("gcu").device.index == 2
    assert torch.ones(2).gcu().device.index == 2
    with torch.gcu.device(3):
        assert torch.zeros(2, device="gcu").device.index == 3
    assert torch.gcu.current_device() == 2
    with torch.gcu.device_of(torch.ones(1, device="gcu:5")):
        assert torch.gcu.current_device() == 5


def test_another_thread_starts_on_the_first_card():
    torch.gcu.set_device(3)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.ones(1, device="gcu").device.index))
    thread.start()
    thread.join()
    assert seen == [0]


def test_ops_on_another_card_do_not_change_the_current_one():
    x = torch.ones(3, device="gcu:4")
    (x * 2).sum().item()
    assert torch.gcu.current_device() == 0


def test_backward_runs_on_the_card_of_its_forward():
    x = torch.randn(4, 4, device="gcu:1", requires_grad=True)
    (x @ x).relu().sum().backward()
    host = x.detach().cpu().requires_grad_()
    (host @ host).relu().sum().backward()
    assert x.grad.device == torch.device("gcu:1")
    same(x.grad, host.grad)


def test_backward_crosses_from_card_to_card():
    x = torch.ones(3, device="gcu:0", requires_grad=True)
    y = (x * 2).to("gcu:3") * 5
    y.sum().backward()
    assert x.grad.device.index == 0 and x.grad.tolist() == [10, 10, 10]


def test_backward_works_from_several_threads():
    grads = []

    def work():
        x = torch.ones(3, device="gcu", requires_grad=True)
        (x * x).sum().backward()
        grads.append(x.grad.tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert grads == [[2, 2, 2]] * 4


def test_copies_between_cards_and_host_keep_the_values():
    a = torch.arange(3.0, device="gcu:0")
    b = a.to("gcu:1")
    host = torch.zeros(3)
    host.copy_(b)
    b.copy_(host * 2)
    a.copy_(b)
    assert a.tolist() == [0, 2, 4]
    assert b.to("gcu:1") is b
    assert b.to("gcu:1", copy=True) is not b
    assert torch.ones(2).to(a).device == a.device
    assert a.to("cpu", torch.float64).dtype == torch.float64


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


# ---- copying and saving


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
