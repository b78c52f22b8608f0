"""Parallel linear layers computed directly ask for what PyTorch's sharded tensors ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suiren.hw.load import resolve_card
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Job, Ran
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import How

SCRIPT = Path(__file__).parent / "scripts" / "parallel_linears.py"


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(SCRIPT) as started:
        yield started


def ran(warm: Warm, *options: str) -> Ran:
    job = Job(SCRIPT, options, resolve_card("t21"), 8, How(numerics=False), 8)
    with Hub(warm, job) as hub:
        return hub.run([5])[0]


@pytest.mark.parametrize("way", ["sharded+summed+again", *(
    pytest.param(way, marks=pytest.mark.slow) for way in ("plain", "frozen", "flat+half", "again")
)])  # fmt: skip
def test_the_trace_is_pytorchs(warm: Warm, way: str) -> None:
    mine, theirs = ran(warm, "direct", way), ran(warm, "hooked", way)
    assert (mine.outcome.error, theirs.outcome.error) == ("", "")
    assert mine.digest == theirs.digest
    (ours, its) = (
        [str(call) for call in one.outcome.program.calls] for one in (mine, theirs)
    )  # fmt: skip
    assert ours == its
