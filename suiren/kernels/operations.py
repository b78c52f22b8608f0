"""The elementwise operations by name, each as its chain.

A row is `name | tensors and scalars | results | chain`. Tensors come in the order of the
kernel's arguments, with a format after a colon if they have their own; a scalar has its usual
value. Lines that start with spaces go on with the row above. `g` is the gradient of a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from suiren.kernels.chain import Chain


@dataclass(frozen=True, slots=True)
class Operation:
    """One elementwise operation."""

    name: str
    tensors: tuple[tuple[str, str], ...]
    """Names and formats; `T` is the common one."""
    scalars: tuple[tuple[str, float], ...]
    results: tuple[tuple[str, str], ...]
    chain: Chain


_ROWS = """
# one tensor
copy        | x | y | y = x
neg         | x | y | y = -x
abs         | x | y | y = abs(x)
sign        | x | y | y = sign(x)
floor       | x | y | y = floor(x)
ceil        | x | y | y = ceil(x)
round       | x | y | y = round(x)
trunc       | x | y | y = trunc(x)
square      | x | y | y = x * x
exp         | x | y | y = exp(x)
exp2        | x | y | y = exp2(x)
expm1       | x | y | y = exp(x) - 1
log         | x | y | y = log(x)
log2        | x | y | y = log(x) * 1.4426950408889634
log1p       | x | y | y = log(x + 1)
sqrt        | x | y | y = sqrt(x)
rsqrt       | x | y | y = rsqrt(x)
reciprocal  | x | y | y = reciprocal(x)
sin         | x | y | y = sin(x)
cos         | x | y | y = cos(x)
tan         | x | y | y = sin(x) / cos(x)
atan        | x | y | y = atan(x)
tanh        | x | y | y = tanh(x)
sigmoid     | x | y | y = sigmoid(x)
erf         | x | y | y = erf(x)
relu        | x | y | y = maximum(x, 0)
leaky_relu  | x slope=0.01 | y | y = x if x > 0 else x * slope
elu         | x alpha=1 | y | y = x if x > 0 else (exp(x) - 1) * alpha
clamp       | x low=-1 high=1 | y | y = minimum(maximum(x, low), high)
softplus    | x | y | y = maximum(x, 0) + log(exp(-abs(x)) + 1)
silu        | x | y | y = x * sigmoid(x)
mish        | x | y | y = x * tanh(maximum(x, 0) + log(exp(-abs(x)) + 1))
hardsigmoid | x | y | y = minimum(maximum(x * 0.16666666666666666 + 0.5, 0), 1)
hardswish   | x | y | y = x * minimum(maximum(x * 0.16666666666666666 + 0.5, 0), 1)
gelu        | x | y | y = x * (erf(x * 0.7071067811865476) * 0.5 + 0.5)
gelu_tanh   | x | y | y = x * sigmoid((x * x * 0.0713548162726 + 1.5957691216057308) * x)
isnan       | x | y:b8 | y = x != x
isfinite    | x | y:b8 | y = x - x == 0
logical_not | x | y:b8 | y = not x
# a tensor and a number
add_scalar  | x value=1 | y | y = x + value
mul_scalar  | x value=2 | y | y = x * value
rsub_scalar | x value=1 | y | y = value - x
pow_scalar  | x value=2 | y | y = x ** value
fill        | value=0 | y | y = value
masked_fill | x mask:b8 value=0 | y | y = value if mask else x
# two tensors
add         | a b alpha=1 | y | y = a + b * alpha
sub         | a b alpha=1 | y | y = a - b * alpha
mul         | a b | y | y = a * b
div         | a b | y | y = a / b
floor_divide| a b | y | y = a // b
remainder   | a b | y | y = a % b
pow         | a b | y | y = a ** b
maximum     | a b | y | y = maximum(a, b)
minimum     | a b | y | y = minimum(a, b)
eq          | a b | y:b8 | y = a == b
ne          | a b | y:b8 | y = a != b
lt          | a b | y:b8 | y = a < b
le          | a b | y:b8 | y = a <= b
gt          | a b | y:b8 | y = a > b
ge          | a b | y:b8 | y = a >= b
logical_and | a b | y:b8 | y = a and b
logical_or  | a b | y:b8 | y = a or b
logical_xor | a b | y:b8 | y = (a != 0) != (b != 0)
# three tensors
where       | mask:b8 a b | y | y = a if mask else b
addcmul     | x a b value=1 | y | y = x + a * b * value
addcdiv     | x a b value=1 | y | y = x + a / b * value
lerp        | a b weight | y | y = a + weight * (b - a)
swiglu      | gate up | y | y = gate * sigmoid(gate) * up
geglu       | gate up | y | y = gate * (erf(gate * 0.7071067811865476) * 0.5 + 0.5) * up
# gradients; `out` is the result of the operation
relu_backward        | g x | y | y = g if x > 0 else 0
leaky_relu_backward  | g x slope=0.01 | y | y = g if x > 0 else g * slope
elu_backward         | g x alpha=1 | y | y = g if x > 0 else g * alpha * exp(x)
clamp_backward       | g x low=-1 high=1 | y | y = g if x >= low and x <= high else 0
softplus_backward    | g x | y | y = g * sigmoid(x)
sigmoid_backward     | g out | y | y = g * out * (1 - out)
tanh_backward        | g out | y | y = g * (1 - out * out)
silu_backward        | g x | y | s = sigmoid(x)
                                 y = g * s * (x * (1 - s) + 1)
mish_backward        | g x | y | t = tanh(maximum(x, 0) + log(exp(-abs(x)) + 1))
                                 y = g * (x * sigmoid(x) * (1 - t * t) + t)
hardsigmoid_backward | g x | y | y = g * 0.16666666666666666 if abs(x) < 3 else 0
hardswish_backward   | g x | y | inner = x * 0.3333333333333333 + 0.5 if x > -3 else 0
                                 y = g if x >= 3 else g * inner
gelu_backward        | g x | y | density = exp(x * x * -0.5) * 0.3989422804014327
                                 y = g * (x * density + (erf(x * 0.7071067811865476) * 0.5 + 0.5))
gelu_tanh_backward   | g x | y | q = x * x
                                 s = sigmoid((q * 0.0713548162726 + 1.5957691216057308) * x)
                                 slope = (q * 0.2140644488178 + 1.5957691216057308) * x
                                 y = g * s * (slope * (1 - s) + 1)
reciprocal_backward  | g out | y | y = -(g * out * out)
rsqrt_backward       | g out | y | y = g * out * out * out * -0.5
sqrt_backward        | g out | y | y = g / out * 0.5
pow_scalar_backward  | g x value=2 | y | y = g * value * x ** (value - 1)
mul_backward         | g a b | da db | da = g * b
                                       db = g * a
div_backward         | g a b | da db | da = g / b
                                       db = -(da * a / b)
maximum_backward     | g a b | da db | p = a >= b
                                       da = g if p else 0
                                       db = 0 if p else g
swiglu_backward      | g gate up | dgate dup | s = sigmoid(gate)
                                               dup = g * gate * s
                                               dgate = g * up * s * (gate * (1 - s) + 1)
# positions and random numbers; `keep` is the share of numbers that stay
arange       | start=0 step=1 | y | y = position * step + start
tril         | x diagonal=0 | y | y = x if position_N <= position_M + diagonal else 0
triu         | x diagonal=0 | y | y = x if position_N >= position_M + diagonal else 0
dropout      | x keep=0.5 seed=0 | y mask:b8 | mask = random(position, seed) < keep
                                               y = x * (1 / keep) if mask else 0
dropout_backward | g mask:b8 keep=0.5 | y | y = g * (1 / keep) if mask else 0
bernoulli    | p=0.5 seed=0 | y | y = random(position, seed) < p
uniform      | low=0 high=1 seed=0 | y | y = random(position, seed) * (high - low) + low
normal       | mean=0 std=1 seed=0 | y | radius = sqrt(log(1 - random(position, seed)) * -2)
                                         angle = random(position, seed + 1) * 6.283185307179586
                                         y = radius * cos(angle) * std + mean
"""


def _rows() -> list[str]:
    rows: list[str] = []
    for line in _ROWS.strip().splitlines():
        if line.startswith(" "):
            rows[-1] += "\n" + line
        elif not line.startswith("#"):
            rows.append(line)
    return rows


def _operation(row: str) -> Operation:
    name, takes, makes, chain = (part.strip() for part in row.split("|"))
    words = takes.split()
    return Operation(
        name,
        tuple(_formatted(w) for w in words if "=" not in w),
        tuple((w.split("=")[0], float(w.split("=")[1])) for w in words if "=" in w),
        tuple(_formatted(w) for w in makes.split()),
        Chain.parse(chain),
    )


def _formatted(word: str) -> tuple[str, str]:
    name, _, form = word.partition(":")
    return name, form or "T"


OPERATIONS: Mapping[str, Operation] = {o.name: o for o in map(_operation, _rows())}
