"""The eight cards of a node hold their own tensors, refuse to mix them and copy between them."""

from __future__ import annotations

import threading

import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases, same
from torch import nn


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
