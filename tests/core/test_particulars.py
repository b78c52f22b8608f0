"""The DTU's published particulars: padding takes no time, copies may be compressed, broadcasts."""

from __future__ import annotations

import pytest

from suiren.core.check import check_compression
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor
from suiren.core.timing import time_program
from suiren.hw.catalog import CARDS
from suiren.kernels.matmul import matmul_nn

TILES = {"tm": 128, "tn": 128, "tk": 64}


def macs(card: str, m: int) -> float:
    program = matmul_nn.build({"M": m, "N": 128, "K": 512}, **TILES)
    return time_program(program, CARDS[card]).macs


def test_a_dtu_does_not_compute_padding_and_a_gpu_does() -> None:
    assert macs("t21", 32) == 32 * 128 * 512
    assert macs("h100", 32) == 128 * 128 * 512


def test_a_broadcast_takes_less_of_the_shared_level() -> None:
    sizes = {"M": 8192, "N": 8192, "K": 512}
    one = time_program(matmul_nn.build(sizes, **TILES), CARDS["t21"])
    group = time_program(matmul_nn.build(sizes, **TILES, multicast=True), CARDS["t21"])
    assert group.l2_bytes < one.l2_bytes / 3
    assert group.seconds <= one.seconds


@kernel("x bf16[N] -> y bf16[N]", N=1 << 22)
def sparse(core: Core, x: Tensor, y: Tensor, share: float = 0.25) -> None:
    near, out = core.scratchpad((8192,), "bf16", 4), core.scratchpad((8192,), "bf16", 2)
    for i in core.grid((x.shape[0], 8192)):
        core.load(near, x[i], compressed=share)
        core.wait(near)
        core.acquire(out)
        core.cast(out, near)
        core.release(near)
        core.store(y[i], out)


def test_a_compressed_copy_moves_its_share_of_the_bytes() -> None:
    dense, packed = (time_program(sparse.build(share=s), CARDS["t21"]) for s in (1.0, 0.25))
    assert packed.l2_bytes == pytest.approx(dense.l2_bytes * (0.25 + 1) / 2)
    assert packed.seconds < dense.seconds


def test_compression_is_refused_where_the_copy_engines_cannot() -> None:
    check_compression(sparse.build(), CARDS["t21"])
    with pytest.raises(KernelMistake, match="do not compress"):
        check_compression(sparse.build(), CARDS["h100"])


@pytest.mark.parametrize("card", ["t10", "t11", "t20", "t21"])
def test_every_particular_names_its_source(card: str) -> None:
    assert {"padding", "zeros", "compression"} <= CARDS[card].chip.skips.keys()
    assert all(len(source) > 20 for source in CARDS[card].chip.skips.values())
