"""The card that samples run on, in a process that other tests of the device share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from suiren.hw.load import resolve_card
from suiren.torch import device
from suiren.torch.how import UNLIMITED_BYTES


@pytest.fixture(scope="module", autouse=True)
def card() -> Iterator[None]:
    """A T21 without a limit, products in FP32; the toy card of other tests comes back after."""
    device.start()
    device.configure(resolve_card("t21"), tf32="off", memory_bytes=UNLIMITED_BYTES)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    device.configure(resolve_card("toy"))
