"""One process, one card: the device is started once and every test here shares it."""

from __future__ import annotations

import pytest
import torch

from suiren.hw.load import resolve_card
from suiren.hw.spec import Card
from suiren.torch.session import UNLIMITED_BYTES, Session


@pytest.fixture(scope="session", autouse=True)
def card() -> Card:
    """The card all samples run on."""
    session = Session(resolve_card("t21"))
    session.begin(tf32="off", memory_bytes=UNLIMITED_BYTES)
    torch.set_num_threads(1)
    return session.card
