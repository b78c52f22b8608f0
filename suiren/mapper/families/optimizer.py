"""Optimizers: fused steps, foreach lists and the gradient scaler.

A list is worked through in launches of a limited number of tensors each, because a launch
carries the addresses of its tensors as arguments.
"""

from __future__ import annotations

from suiren.mapper.work import Kernel, Work, traffic
from suiren.trace.call import Call, Tensor

OPS = frozenset(
    """
_fused_adam _fused_adamw _fused_sgd _fused_adagrad _amp_foreach_non_finite_check_and_unscale
_amp_update_scale _foreach_norm _foreach_max
""".split()
)

#: Tensors that fit into the arguments of one launch, by how many lists it takes.
TENSORS_A_LAUNCH = {1: 110, 2: 64, 3: 48, 4: 36, 5: 30}
_LANES = {"_fused_adam": 14.0, "_fused_adamw": 15.0, "_fused_sgd": 5.0, "_fused_adagrad": 8.0}


def work(call: Call) -> Work:
    """Every listed tensor streams through once; what is updated in place is written back."""
    lists = [v for v in call.arguments.values() if isinstance(v, tuple) and any(
        isinstance(t, Tensor) and t.shape for t in v)]  # fmt: skip
    longest = max((len(v) for v in lists), default=1)
    limit = TENSORS_A_LAUNCH[min(5, max(1, len(lists)))]
    launches = -(-longest // limit)
    read, written = traffic(call)
    name = call.name.rstrip("_")
    n = sum(t.numel for t in call.tensors("self"))
    if name in _LANES:
        written = sum(t.bytes for key in _UPDATED for t in call.tensors(key))
    elif name == "_amp_update_scale":
        launches = 1
    elif call.name.endswith("_") and not call.outputs:
        written = sum(t.bytes for t in call.tensors("self"))
    special = float(n) if name in ("_fused_adam", "_fused_adamw") or "sqrt" in name else 0.0
    kernel = Kernel(None, _LANES.get(name, 2.0) * n, special, read, written, launches=launches)
    return Work("optimizer", (kernel,))


_UPDATED = (
    "self",
    "exp_avgs",
    "exp_avg_sqs",
    "max_exp_avg_sqs",
    "momentum_buffer_list",
    "state_sums",
)
