"""Work of matrix products, convolutions and attention: FLOP and bytes by the textbook."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.mapper.families import work_of
from suiren.mapper.work import Work
from suiren.trace.call import parse_call

LAW = settings(derandomize=True, deadline=None, max_examples=60)
n = st.integers(1, 300)
few = st.integers(1, 9)
SIZES = {"f32": 4, "bf16": 2, "f16": 2, "f64": 8}
dtypes = st.sampled_from(sorted(SIZES))


def work(line: str) -> Work:
    return work_of(parse_call(line))


@LAW
@given(m=n, n=n, k=n, d=dtypes)
def test_mm(m: int, n: int, k: int, d: str) -> None:
    found = work(f"aten::mm(self={d}[{m},{k}],mat2={d}[{k},{n}])->({d}[{m},{n}])")
    assert found.family == "matmul"
    assert found.product_flop == 2 * m * n * k
    assert found.bytes == SIZES[d] * (m * k + k * n + m * n)
    assert len(found.kernels) == 1


@LAW
@given(m=n, n=n, k=n, d=dtypes)
def test_addmm_reads_its_bias_once_and_adds_it_to_every_element(
    m: int, n: int, k: int, d: str
) -> None:
    found = work(
        f"aten::addmm(self={d}[{n}],mat1={d}[{m},{k}],mat2={d}[{k},{n}]{{1,{k}}},beta=1,alpha=1)"
        f"->({d}[{m},{n}])"
    )
    assert found.product_flop == 2 * m * n * k
    assert found.bytes == SIZES[d] * (m * k + k * n + m * n + n)
    assert found.kernels[0].lane_ops == m * n


@LAW
@given(b=few, m=n, n=n, k=n)
def test_bmm_and_baddbmm(b: int, m: int, n: int, k: int) -> None:
    two = f"f32[{b},{m},{k}]", f"f32[{b},{k},{n}]"
    found = work(f"aten::bmm(self={two[0]},mat2={two[1]})->(f32[{b},{m},{n}])")
    assert found.product_flop == 2 * b * m * n * k
    assert found.bytes == 4 * b * (m * k + k * n + m * n)
    added = work(
        f"aten::baddbmm(self=f32[{b},{m},{n}],batch1={two[0]},batch2={two[1]},beta=1,alpha=1)"
        f"->(f32[{b},{m},{n}])"
    )
    assert added.product_flop == found.product_flop
    assert added.bytes == found.bytes + 4 * b * m * n


@pytest.mark.parametrize(("line", "flop"), [
    ("aten::mv(self=f32[30,50],vec=f32[50])->(f32[30])", 2 * 30 * 50),
    ("aten::addmv_(self=f32[30],mat=f32[30,50],vec=f32[50],beta=0,alpha=1)->(f32[30])",
     2 * 30 * 50),
    ("aten::dot(self=f32[50],tensor=f32[50])->(f32[])", 2 * 50),
    ("aten::ger(self=f32[3],vec2=f32[5])->(f32[3,5])", 2 * 3 * 5),
    ("aten::addr(self=f32[3,5],vec1=f32[3],vec2=f32[5],beta=1,alpha=1)->(f32[3,5])", 2 * 3 * 5),
    ("aten::linear(input=f32[4,7,32],weight=f32[64,32],bias=f32[64])->(f32[4,7,64])",
     2 * 28 * 32 * 64),
    ("aten::addbmm(self=f32[3,5],batch1=f32[2,3,4],batch2=f32[2,4,5],beta=1,alpha=1)->(f32[3,5])",
     2 * 2 * 3 * 4 * 5),
])  # fmt: skip
def test_relatives_of_mm(line: str, flop: int) -> None:
    assert work(line).product_flop == flop


def test_a_broadcast_operand_is_read_once() -> None:
    found = work("aten::bmm(self=f32[8,4,16],mat2=f32[8,16,32]{0,32,1})->(f32[8,4,32])")
    assert found.product_flop == 2 * 8 * 4 * 16 * 32
    assert found.kernels[0].read_bytes == 4 * (8 * 4 * 16 + 16 * 32)


def conv(shapes: str, groups: int = 1, transposed: bool = False, mask: str = "") -> Work:
    op, _, rest = shapes.partition(" ")
    inputs, _, outputs = rest.partition(" -> ")
    end = f",output_mask={mask}" if mask else ""
    return work(
        f"aten::{op}({inputs},stride=[1,1],padding=[0,0],dilation=[1,1],"
        f"transposed={str(transposed).lower()},output_padding=[0,0],groups={groups}{end})->({outputs})"
    )


def macs(images: int, out: int, cin_of_group: int, cout: int, window: int) -> int:
    """Every output pixel of every output channel meets a window of its group's channels."""
    return images * out * cout * cin_of_group * window


@LAW
@given(images=few, size=st.integers(5, 20), cin=few, cout=few, groups=st.integers(1, 4),
       window=st.sampled_from([1, 3, 5]), stride=st.integers(1, 3))  # fmt: skip
def test_convolution(
    images: int, size: int, cin: int, cout: int, groups: int, window: int, stride: int
) -> None:
    out = (size - window) // stride + 1
    x, w = (
        f"f32[{images},{cin * groups},{size},{size}]",
        f"f32[{cout * groups},{cin},{window},{window}]",
    )
    y = f"f32[{images},{cout * groups},{out},{out}]"
    found = conv(f"convolution input={x},weight={w},bias=f32[{cout * groups}] -> {y}", groups)
    flop = 2 * macs(images, out * out, cin, cout * groups, window * window)
    assert found.product_flop == flop
    read = images * cin * groups * size**2 + cout * groups * cin * window**2 + cout * groups
    assert found.kernels[0].read_bytes == 4 * read
    assert found.kernels[0].write_bytes == 4 * images * cout * groups * out**2
    back = (
        f"convolution_backward grad_output={y},input={x},weight={w},bias_sizes=none -> {x},{w},none"
    )
    for mask, times in (
        ("[true,true,false]", 2),
        ("[false,true,false]", 1),
        ("[true,false,false]", 1),
    ):
        assert conv(back, groups, mask=mask).product_flop == times * flop


@LAW
@given(images=few, size=st.integers(2, 12), cin=few, cout=few, groups=st.integers(1, 3))
def test_transposed_convolution(images: int, size: int, cin: int, cout: int, groups: int) -> None:
    """Every input pixel spreads into a window of its group's output channels."""
    x, w = f"f32[{images},{cin * groups},{size},{size}]", f"f32[{cin * groups},{cout},3,3]"
    y = f"f32[{images},{cout * groups},{size + 2},{size + 2}]"
    flop = 2 * images * size**2 * cin * groups * cout * 9
    found = conv(f"convolution input={x},weight={w},bias=none -> {y}", groups, transposed=True)
    assert found.product_flop == flop
    back = f"convolution_backward grad_output={y},input={x},weight={w},bias_sizes=[1]"
    back += f" -> {x},{w},f32[1]"
    both = conv(back, groups, transposed=True, mask="[true,true,true]")
    assert both.product_flop == 2 * flop
    assert both.kernels[2].write_bytes == 4 * cout * groups


@pytest.mark.parametrize("d", ["f32", "bf16"])
def test_the_gradient_of_a_bias_is_as_wide_as_its_format(d: str) -> None:
    back = f"convolution_backward grad_output={d}[2,6,5,5],input={d}[2,4,5,5],weight={d}[6,4,1,1]"
    found = conv(f"{back},bias_sizes=[6] -> none,none,{d}[6]", mask="[false,false,true]")
    assert found.product_flop == 0
    assert found.bytes == SIZES[d] * (2 * 6 * 25 + 6)
    assert found.kernels[0].lane_ops == 2 * 6 * 25


ATTENTION = "aten::_scaled_dot_product_fused_attention_overrideable"


def attention(b: int, heads: int, kv: int, s: int, t: int, d: int, dv: int, causal: bool) -> Work:
    shapes = (
        f"query=f32[{b},{heads},{s},{d}],key=f32[{b},{kv},{t},{d}],value=f32[{b},{kv},{t},{dv}]"
    )
    flag = f"attn_bias=none,dropout_p=~,is_causal={str(causal).lower()}"
    return work(f"{ATTENTION}({shapes},{flag})->(f32[{b},{heads},{s},{dv}],f32[{b},{heads},{s}])")


def kept_scores(s: int, t: int, causal: bool) -> int:
    return sum(min(row + 1, t) for row in range(s)) if causal else s * t


@LAW
@given(b=few, kv=few, share=st.integers(1, 4), s=n, t=n, d=few, dv=few, causal=st.booleans())
def test_attention(
    b: int, kv: int, share: int, s: int, t: int, d: int, dv: int, causal: bool
) -> None:
    """Grouped queries share keys; what lies above the diagonal is skipped."""
    heads = kv * share
    found = attention(b, heads, kv, s, t, d, dv, causal)
    scores = b * heads * kept_scores(s, t, causal)
    assert found.product_flop == pytest.approx(2 * scores * (d + dv), rel=1e-12, abs=1)
    assert found.kernels[0].special_ops == pytest.approx(scores, rel=1e-12, abs=1)
    read, written = b * heads * s * d + b * kv * t * (d + dv), b * heads * s * (dv + 1)
    assert found.bytes == 4 * (read + written)


@pytest.mark.parametrize(("s", "t"), [(8192, 1024), (5000, 10000), (4097, 4097)])
def test_long_causal_attention(s: int, t: int) -> None:
    expected = 2 * kept_scores(s, t, True) * (8 + 8)
    assert attention(1, 1, 1, s, t, 8, 8, True).product_flop == pytest.approx(expected, rel=1e-12)


def test_attention_backward_makes_five_products_of_two() -> None:
    q = "f32[2,4,64,32]"
    found = work(
        f"{ATTENTION}_backward(grad_out={q},query={q},key={q},value={q},attn_bias=none,out={q},"
        f"logsumexp=f32[2,4,64],is_causal=false)->({q},{q},{q})"
    )
    forward = attention(2, 4, 4, 64, 64, 32, 32, False)
    assert found.product_flop == 5 * forward.product_flop / 2
    assert found.bytes == 4 * (8 * 2 * 4 * 64 * 32 + 2 * 4 * 64)
