"""Work of factorisations, Fourier transforms and sparse ops: what must grow, grows."""

from __future__ import annotations

import pytest

from suiren.hw.load import resolve_card
from suiren.mapper.families import work_of
from suiren.mapper.price import price
from suiren.trace.call import parse_call

T21 = resolve_card("t21")


def cholesky(n: int) -> str:
    return f"aten::linalg_cholesky_ex(self=f32[{n},{n}],upper=false)->(f32[{n},{n}],i32[])"


def test_cholesky_counts_a_third_of_a_cube() -> None:
    assert work_of(parse_call(cholesky(3000))).product_flop == pytest.approx(3000**3 / 3, rel=0.01)


def test_a_factorisation_takes_a_launch_chain_and_says_it_is_approximated() -> None:
    found = price(parse_call(cholesky(640)), T21)
    assert found.launches > 10 * 3
    assert found.approximated
    assert found.total_s >= found.roofline_s


def test_a_larger_factorisation_takes_longer() -> None:
    times = [price(parse_call(cholesky(n)), T21).total_s for n in (128, 512, 2048)]
    assert times == sorted(times)


def test_eigenvalues_take_a_launch_a_column() -> None:
    call = parse_call("aten::_linalg_eigh(A=f32[100,100],UPLO=\"L\",compute_v=true)"
                      "->(f32[100],f32[100,100])")  # fmt: skip
    assert price(call, T21).launches >= 300


def test_a_transform_of_two_dimensions_is_two_kernels() -> None:
    call = parse_call(
        "aten::_fft_c2c(self=c64[8,64,64],dim=[1,2],normalization=0,forward=true)->(c64[8,64,64])"
    )
    work = work_of(call)
    assert work.family == "fourier"
    assert len(work.kernels) == 2
    assert work.kernels[0].lane_ops == pytest.approx(2.5 * 8 * 64 * 64 * 6)


def spmm(nnz: int, columns: int = 64) -> str:
    stored, dense = f"[i64[2,{nnz}],f32[{nnz}]]", f"f32[1000,{columns}]"
    return f"sparse::mm(self={stored},mat2={dense})->({dense})"


def test_a_sparse_product_reads_what_is_stored() -> None:
    (kernel,) = work_of(parse_call(spmm(500))).kernels
    assert kernel.read_bytes == 500 * (2 * 8 + 4) + 500 * 64 * 4
    assert kernel.lane_ops == 2 * 500 * 64


def test_more_stored_values_take_longer() -> None:
    assert (
        price(parse_call(spmm(10**6)), T21).busy_s > 5 * price(parse_call(spmm(10**5)), T21).busy_s
    )


def test_making_a_sparse_tensor_of_its_members_moves_nothing() -> None:
    call = parse_call(
        "sparse::_sparse_coo_tensor_with_dims_and_tensors(sparse_dim=2,dense_dim=0,size=[4,5],"
        "indices=i64[2,9],values=f32[9])->([i64[2,9],f32[9]])"
    )
    assert price(call, T21).total_s == 0.0
