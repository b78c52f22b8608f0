"""Random numbers: seeded alike they repeat, and the host's generator knows nothing of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from device_helpers import cases
from torch import nn

DRAWS = {
    "rand": lambda **o: torch.rand(16, device="gcu", **o),
    "randn": lambda **o: torch.randn(16, device="gcu", **o),
    "randint": lambda **o: torch.randint(0, 1000, (16,), device="gcu", **o),
    "randperm": lambda **o: torch.randperm(32, device="gcu", **o),
    "normal_": lambda **o: torch.empty(16, device="gcu").normal_(1, 2, **o),
    "uniform_": lambda **o: torch.empty(16, device="gcu").uniform_(1, 2, **o),
    "bernoulli_": lambda **o: torch.empty(64, device="gcu").bernoulli_(0.5, **o),
    "bernoulli": lambda **o: torch.full((64,), 0.5, device="gcu").bernoulli(**o),
    "exponential_": lambda **o: torch.empty(16, device="gcu").exponential_(**o),
    "multinomial": lambda **o: torch.multinomial(
        torch.ones(50, device="gcu"), 20, replacement=True, **o
    ),
    "half": lambda **o: torch.randn(16, device="gcu", dtype=torch.bfloat16, **o),
}


@pytest.mark.parametrize("draw", cases(DRAWS))
def test_the_same_seed_gives_the_same_numbers(draw):
    torch.manual_seed(5)
    first, second = draw(), draw()
    torch.manual_seed(5)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("draw", cases(DRAWS))
def test_a_generator_of_one_s_own_repeats_and_leaves_the_default_one_alone(draw):
    state = torch.gcu.get_rng_state()
    generator = torch.Generator(device="gcu").manual_seed(3)
    first = draw(generator=generator)
    generator.manual_seed(3)
    assert torch.equal(draw(generator=generator), first)
    assert torch.equal(torch.gcu.get_rng_state(), state)


LIKE_DRAWS = {
    "rand_like": torch.rand_like,
    "randn_like": torch.randn_like,
    "dropout": lambda x: F.dropout(x, 0.5),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, training=True),
    "dropout2d": lambda x: F.dropout2d(x.view(1, 8, 8, 4), 0.5),
    "feature dropout of a module": lambda x: nn.Dropout1d(0.5)(x.view(8, 8, 4)),
    "rrelu": lambda x: F.rrelu(-x, training=True),
    "gumbel_softmax": lambda x: F.gumbel_softmax(x.view(4, 64)),
    "trunc_normal_": lambda x: nn.init.trunc_normal_(torch.empty_like(x)),
    "kaiming_uniform_": lambda x: nn.init.kaiming_uniform_(torch.empty_like(x.view(16, 16))),
    "attention dropout": lambda x: F.scaled_dot_product_attention(
        *[x.view(1, 1, 32, 8)] * 3, dropout_p=0.5
    ),
}


@pytest.mark.parametrize("draw", cases(LIKE_DRAWS))
def test_random_layers_repeat_with_the_seed_and_do_not_touch_the_host_s_generator(draw):
    x = torch.ones(256, device="gcu")
    torch.manual_seed(5)
    first = draw(x)
    torch.manual_seed(5)
    host = torch.get_rng_state()
    assert torch.equal(draw(x), first)
    assert not torch.equal(draw(x), first)
    assert torch.equal(torch.get_rng_state(), host)


def test_the_host_s_numbers_do_not_depend_on_the_card():
    torch.manual_seed(1)
    expected = torch.randn(3)
    torch.manual_seed(1)
    torch.randn(5, device="gcu")
    F.dropout(torch.ones(10, device="gcu"))
    assert torch.equal(torch.randn(3), expected)


def test_the_card_s_numbers_do_not_depend_on_the_host():
    torch.manual_seed(1)
    expected = torch.randn(3, device="gcu")
    torch.manual_seed(1)
    torch.randn(5)
    assert torch.equal(torch.randn(3, device="gcu"), expected)


def test_every_card_has_a_generator_of_its_own():
    torch.gcu.manual_seed_all(4)
    numbers = torch.randn(3, device="gcu:0")
    torch.randn(7, device="gcu:0")
    assert torch.equal(torch.randn(3, device="gcu:5").cpu(), numbers.cpu())
    torch.gcu.set_device(2)
    torch.gcu.manual_seed(9)
    assert torch.gcu.initial_seed() == 9
    assert len(torch.gcu.default_generators) == torch.gcu.device_count()


def test_a_state_brings_the_same_numbers_back():
    state = torch.gcu.get_rng_state()
    numbers = torch.randn(3, device="gcu")
    torch.gcu.set_rng_state(state)
    assert torch.equal(torch.randn(3, device="gcu"), numbers)
    states = torch.gcu.get_rng_state_all()
    assert len(states) == 8
    one = torch.randn(3, device="gcu:1")
    torch.gcu.set_rng_state_all(states)
    assert torch.equal(torch.randn(3, device="gcu:1"), one)
    assert torch.equal(torch.gcu.get_rng_state("gcu:3"), states[3])


def test_generator_objects_know_their_card_and_can_be_copied():
    generator = torch.Generator(device="gcu:1")
    assert generator.device == torch.device("gcu:1")
    generator.manual_seed(11)
    assert generator.initial_seed() == 11
    twin = generator.clone_state()
    torch.rand(3, device="gcu:1", generator=generator)
    other = torch.Generator(device="gcu:1")
    other.set_state(twin.get_state())
    generator.manual_seed(11)
    a, b = (torch.rand(3, device="gcu:1", generator=g) for g in (generator, other))
    assert torch.equal(a, b)


@pytest.mark.parametrize("device", ["cpu", "gcu:1"])
def test_a_generator_of_another_device_is_refused(device):
    generator = torch.Generator(device=device)
    with pytest.raises(RuntimeError, match=r"[Gg]enerator"):
        torch.rand(3, device="gcu:0", generator=generator)


def test_fork_rng_gives_the_card_s_state_back():
    state = torch.gcu.get_rng_state()
    with torch.random.fork_rng(range(8), device_type="gcu"):
        torch.randn(3, device="gcu")
    assert torch.equal(torch.gcu.get_rng_state(), state)


def test_seeding_from_entropy_differs():
    torch.gcu.seed()
    first = torch.gcu.initial_seed()
    torch.gcu.seed_all()
    assert torch.gcu.initial_seed() != first


# ---- distributions


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_dropout_drops_that_share_and_scales_the_rest(p):
    x = torch.ones(100_000, device="gcu", requires_grad=True)
    y = F.dropout(x, p)
    dropped = (y == 0).float().mean().item()
    assert dropped == pytest.approx(p, abs=0.01)
    kept = y[y != 0]
    if p < 1:
        assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - p)))
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_dropout_does_nothing_in_evaluation():
    x = torch.randn(100, device="gcu")
    assert torch.equal(nn.Dropout(0.5).eval()(x), x)
    assert not torch.equal(nn.Dropout(0.5).train()(x), x)


def test_normal_numbers_have_their_mean_and_deviation():
    x = torch.randn(100_000, device="gcu") * 2 + 1
    assert x.mean().item() == pytest.approx(1, abs=0.03)
    assert x.std().item() == pytest.approx(2, abs=0.03)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_attention_dropout_keeps_the_mean_and_its_gradient_uses_the_same_mask(p):
    q = torch.zeros(4, 4, 64, 16, device="gcu")
    v = torch.ones(4, 4, 64, 16, device="gcu", requires_grad=True)
    y = F.scaled_dot_product_attention(q, q, v, dropout_p=p)
    assert y.mean().item() == pytest.approx(1, abs=0.03)
    assert y.std().item() > 0
    y.sum().backward()
    assert v.grad.sum().item() == pytest.approx(y.sum().item(), rel=1e-3)
