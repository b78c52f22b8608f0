"""Dense factorisations and solves: blocked algorithms, panel after panel.

Nothing here was measured or is a kernel of the library, so the work says that it is approximated.
FLOP as LAPACK counts them (Golub and Van Loan, Matrix Computations). All but the panels are
products; a panel of 64 columns runs on the vector engine, one launch after the other, and that is
why small factorisations are slow on every accelerator.
"""

from __future__ import annotations

from collections.abc import Callable

from suiren.mapper.work import Kernel, Product, Work, main_dtype, traffic
from suiren.trace.call import Call, Tensor

#: FLOP of an [m, n] matrix with k right-hand sides.
_FLOP: dict[str, Callable[[int, int, int], float]] = {
    "linalg_cholesky_ex": lambda m, n, k: n**3 / 3,
    "cholesky_inverse": lambda m, n, k: 2 * n**3 / 3,
    "cholesky_solve": lambda m, n, k: 2 * n * n * k,
    "linalg_lu_factor_ex": lambda m, n, k: 2 * n**3 / 3,
    "linalg_lu": lambda m, n, k: 2 * n**3 / 3,
    "_linalg_det": lambda m, n, k: 2 * n**3 / 3,
    "_linalg_slogdet": lambda m, n, k: 2 * n**3 / 3,
    "linalg_lu_solve": lambda m, n, k: 2 * n * n * k,
    "_linalg_solve_ex": lambda m, n, k: 2 * n**3 / 3 + 2 * n * n * k,
    "linalg_solve_triangular": lambda m, n, k: n * n * k,
    "triangular_solve": lambda m, n, k: n * n * k,
    "linalg_inv_ex": lambda m, n, k: 2 * n**3,
    "linalg_ldl_factor_ex": lambda m, n, k: n**3 / 3,
    "linalg_ldl_solve": lambda m, n, k: 2 * n * n * k,
    "linalg_qr": lambda m, n, k: 2 * m * n * n - 2 * n**3 / 3,
    "geqrf": lambda m, n, k: 2 * m * n * n - 2 * n**3 / 3,
    "linalg_householder_product": lambda m, n, k: 4 * m * n * n / 3,
    "ormqr": lambda m, n, k: 4 * m * n * k,
    "linalg_lstsq": lambda m, n, k: 2 * m * n * n + 2 * m * n * k,
    "_linalg_eigh": lambda m, n, k: 9 * n**3,
    "linalg_eig": lambda m, n, k: 25 * n**3,
    "_linalg_eigvals": lambda m, n, k: 10 * n**3,
    "_linalg_svd": lambda m, n, k: 14 * m * n * n + 8 * n**3,
    "linalg_matrix_exp": lambda m, n, k: 16 * n**3,
}
OPS = frozenset(_FLOP)
#: Reduced column by column: a chain of launches as long as the matrix is wide.
_ITERATIVE = frozenset("_linalg_eigh linalg_eig _linalg_eigvals _linalg_svd".split())
PANEL = 64
LAUNCHES_A_PANEL = 3


def work(call: Call) -> Work:
    """One product that holds the FLOP, and a launch chain along the panels."""
    matrix, right = _operands(call)
    m, n = max(matrix.shape[-2:]), min(matrix.shape[-2:])
    flop = _FLOP[call.name](m, n, right)
    batch = max(1, matrix.numel // max(1, m * n))
    read, written = traffic(call, frozenset({"out"}))
    dtype = {"c64": "f32", "c128": "f64"}.get(matrix.dtype, main_dtype(call))
    if not flop:
        return Work("factorisation", (Kernel(read_bytes=read, write_bytes=written),), True)
    depth = max(1, round(flop / (2 * max(1, m) * max(1, n))))
    product = Product(batch, m, n, depth, dtype, a_bytes=read, c_bytes=written)
    panels = n if call.name in _ITERATIVE else -(-n // PANEL)
    chain = Kernel(
        None, 2.0 * batch * m * n, batch * n, read, written, dtype=dtype,
        launches=panels * LAUNCHES_A_PANEL,
    )  # fmt: skip
    return Work("factorisation", (Kernel(product, dtype=dtype), chain), True)


def _operands(call: Call) -> tuple[Tensor, int]:
    """The factorised matrix and the number of right-hand sides."""
    tensors = [t for t in call.inputs() if len(t.shape) >= 2] or [Tensor("f32", (1, 1))]
    right = tensors[1].shape[-1] if len(tensors) > 1 else 1
    return tensors[0], right
