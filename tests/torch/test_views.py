"""Indexing, views, in-place ops and storages of the card behave as on the host."""

from __future__ import annotations

import pytest
import torch
from device_helpers import cases, on_both
from torch import nn

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
