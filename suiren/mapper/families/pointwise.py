"""Elementwise ops with broadcasting, forward and backward: every element once."""

from __future__ import annotations

from suiren.mapper.work import Kernel, Work, main_dtype, traffic
from suiren.trace.call import Call

_ARITHMETIC = """add sub rsub mul div neg abs sign sgn floor ceil round trunc frac remainder fmod
maximum minimum fmax fmin clamp clamp_min clamp_max relu threshold threshold_backward leaky_relu
leaky_relu_backward hardtanh hardtanh_backward hardswish hardswish_backward hardsigmoid
hardsigmoid_backward where masked_fill eq ne lt le gt ge logical_and logical_or logical_not
logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift
bitwise_right_shift __and__ __or__ __xor__ __lshift__ __rshift__ isnan isinf isfinite isposinf
isneginf addcmul addcdiv lerp square reciprocal floor_divide true_divide div_rn relu6 prelu
_prelu_kernel _prelu_kernel_backward mse_loss_backward l1_loss_backward smooth_l1_loss_backward
huber_loss_backward native_dropout_backward nan_to_num heaviside copysign signbit conj
conj_physical _conj frexp ldexp nextafter real imag positive tril triu soft_margin_loss
rrelu_with_noise softshrink hardshrink softshrink_backward hardshrink_backward masked_fill_
complex polar view_as_complex _to_copy_pointwise logit_backward gcd lcm
fake_quantize_per_tensor_affine""".split()
_SPECIAL = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt pow sin cos tan asin acos atan atan2
sinh cosh tanh asinh acosh atanh sigmoid log_sigmoid_forward log_sigmoid_backward silu
silu_backward gelu gelu_backward mish mish_backward softplus softplus_backward elu elu_backward
celu selu tanh_backward sigmoid_backward erf erfc erfinv lgamma digamma polygamma xlogy logit
binary_cross_entropy_backward glu glu_backward sinc hypot i0 special_i0 special_i1 special_ndtri
special_log_ndtr special_erfcx special_entr special_xlog1py logaddexp2 angle
kl_div_backward float_power glu_jvp silu_and_mul igamma igammac special_airy_ai special_bessel_j0
special_bessel_j1 special_bessel_y0 special_bessel_y1 special_modified_bessel_i0
special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1
special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_spherical_bessel_j0
special_i0e special_i1e special_zeta special_hermite_polynomial_h special_hermite_polynomial_he
special_laguerre_polynomial_l special_legendre_polynomial_p special_chebyshev_polynomial_t
special_chebyshev_polynomial_u special_chebyshev_polynomial_v special_chebyshev_polynomial_w
special_shifted_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_u
special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w mvlgamma""".split()

_WEIGHT = {"gelu": (10, 1), "gelu_backward": (16, 2), "silu": (3, 2), "silu_backward": (6, 2),
           "tanh_backward": (3, 0), "sigmoid_backward": (3, 0), "pow": (4, 1), "sqrt": (1, 1),
           "addcmul": (2, 0), "addcdiv": (3, 0), "glu": (3, 2), "glu_backward": (7, 2)}  # fmt: skip
OPS = frozenset(_ARITHMETIC) | frozenset(_SPECIAL)
_SPECIAL_SET = frozenset(_SPECIAL)


def work(call: Call) -> Work:
    """Lane operations by op, and one trip of every operand through memory."""
    name = call.name if call.name in OPS else call.name.rstrip("_")
    lanes, special = _WEIGHT.get(name, (2, 1) if name in _SPECIAL_SET else (1, 0))
    n = max((t.numel for t in call.results()), default=0)
    if n == 0:
        n = max((t.numel for t in call.inputs()), default=0)
    read, written = traffic(call, _unread(call))
    kernel = Kernel(None, lanes * n, special * n, read, written, dtype=main_dtype(call))
    return Work("pointwise", (kernel,))


def _unread(call: Call) -> frozenset[str]:
    """An `out=` argument is written, not read."""
    return frozenset({"out"}) if "out" in call.arguments else frozenset()
