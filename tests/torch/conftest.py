"""One process, one card: the device is started once and every test here shares it.

No `__init__.py` may stand in this folder: a package called `torch` would shadow PyTorch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
import torch
from recorded_steps import Net, ops_of

from suiren.hw.load import resolve_card
from suiren.torch import _shim
from suiren.torch import device as gcu_device
from suiren.torch.session import Session


@pytest.fixture(scope="session")
def session() -> Session:
    """The recording session on the toy card (16 GiB, with TF32)."""
    session = Session(resolve_card("toy"))
    session.begin()
    gc.collect()
    gc.freeze()  # the many `gc.collect()` of the memory tests then look at little
    return session


@pytest.fixture(autouse=True)
def fresh(session: Session) -> Iterator[None]:
    """Every test starts on gcu:0, seeded, with plain FP32 products."""
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.gcu.set_device(0)
    torch.gcu.set_stream(torch.gcu.default_stream(0))
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True


@pytest.fixture
def set_capacity(session: Session) -> Iterator[Callable[[int], None]]:
    """Gives the card so many bytes beyond what is allocated; the test's end takes it back."""

    def so_much_more(extra_bytes: int) -> None:
        gc.collect()
        total = torch.gcu.memory_allocated() + extra_bytes
        gcu_device.configure(session.card, memory_bytes=total)

    yield so_much_more
    gcu_device.configure(session.card)


@pytest.fixture
def train(session):
    """Trains a model some steps; returns the program and the numbers of those steps."""
    gc.collect()  # optimizers of other tests must not lead the steps of this one

    def run(model, batches, make_optimizer=lambda p: torch.optim.AdamW(p, 0.01)):
        optimizer = make_optimizer(model.parameters())
        before = len(_shim.steps())
        for batch in batches:
            optimizer.zero_grad()
            model(batch.to("gcu")).pow(2).mean().backward()
            optimizer.step()
        program = session.program()
        return program, program.order[before:]

    return run


@pytest.fixture
def net_step(train):
    """The ops of a plain training step of `Net`."""
    program, order = train(Net().to("gcu"), [torch.randn(4, 8)] * 3)
    assert len(order) == 3
    return ops_of(program, program.distinct[order[-1]])


@pytest.fixture
def every_step(train, session):
    """All steps recorded in this process so far, by every test before."""
    train(Net().to("gcu"), [torch.randn(4, 8)] * 2)
    program = session.program()
    return program, [*program.distinct, program.rest]
