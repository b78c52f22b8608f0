"""Random numbers: fills, dropout, sampling. A counter-based generator costs ten lane ops a word."""

from __future__ import annotations

from suiren.mapper.work import Kernel, Work, main_dtype, traffic
from suiren.trace.call import Call

OPS = frozenset(
    """
normal uniform random bernoulli native_dropout exponential cauchy geometric log_normal randperm
randn rand randint multinomial poisson normal_functional _fused_dropout _standard_gamma binomial
_sample_dirichlet rand_like randn_like randint_like
""".split()
)

LANE_OPS_A_NUMBER = 10.0


def work(call: Call) -> Work:
    """Ten lane operations a number, and the traffic of what is read and written."""
    name = call.name if call.name in OPS else call.name.rstrip("_")
    unread = frozenset() if name in ("native_dropout", "multinomial") else frozenset({"self"})
    read, written = traffic(call, unread)
    n = max((t.numel for t in call.results()), default=0)
    special = n if name in ("normal", "randn", "exponential", "randn_like") else 0
    kernel = Kernel(None, LANE_OPS_A_NUMBER * n, special, read, written, dtype=main_dtype(call))
    return Work("random", (kernel,))
