"""The examples for thousands of ranks run, small, and fall into the classes they should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suiren.hw.load import resolve_card
from suiren.torch.distributed.alone import run_ranks
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import How

EXAMPLES = Path(__file__).parents[3] / "examples" / "thousands"
CARD = resolve_card("h100")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(EXAMPLES / "megatron.py") as started:
        yield started


@pytest.mark.parametrize(("script", "options", "sizes"), [
    ("megatron.py", "--num-micro-batches 2", {0: 8, 8: 7, 15: 1}),
    ("moe.py", "--seq-len 64", {0: 1, 1: 15}),
    pytest.param("megatron.py", "--model tiny-llama --virtual 2 --layers 4 --cp 2",
                 {0: 4, 2: 4, 8: 4, 10: 3, 15: 1}, marks=pytest.mark.slow),
    pytest.param("fsdp_llama.py", "--seq-len 64", {0: 1, 1: 15}, marks=pytest.mark.slow),
    pytest.param("fsdp_llama.py", "--seq-len 64 --tp 2 --recompute", {0: 1, 1: 15},
                 marks=pytest.mark.slow),
    pytest.param("ddp_llama.py", "--seq-len 64", {0: 1, 1: 15}, marks=pytest.mark.slow),
])  # fmt: skip
def test_an_example_runs_as_sixteen_ranks(
    warm: Warm, script: str, options: str, sizes: dict[int, int]
) -> None:
    outcomes = run_ranks(
        EXAMPLES / script, options.split(), CARD, 16, How(numerics=False), warm=warm
    )
    assert [o.error for o in outcomes if o.error] == []
    assert {min(o.ranks): len(o.ranks) for o in outcomes} == sizes
