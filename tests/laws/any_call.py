"""Random calls of every family and random cards: what the laws of this folder are held against."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from hypothesis import settings
from hypothesis import strategies as st

from suiren.hw.catalog import CARDS
from suiren.hw.spec import Card

LAW = settings(derandomize=True, deadline=None, max_examples=150)
SMALL = settings(derandomize=True, deadline=None, max_examples=40)

side = st.sampled_from([1, 2, 3, 7, 16, 31, 64, 100, 129, 256, 500, 1024, 2048, 4097, 8192])
short = st.sampled_from([1, 2, 3, 8, 17, 32, 64])
dtype = st.sampled_from(["f32", "bf16", "f16"])


@st.composite
def products(draw: st.DrawFn) -> str:
    m, n, k, d = draw(side), draw(side), draw(side), draw(dtype)
    math = ',math="tf32"' if d == "f32" and draw(st.booleans()) else ""
    kind = draw(st.sampled_from(["mm", "addmm", "bmm"]))
    if kind == "mm":
        return f"aten::mm(self={d}[{m},{k}],mat2={d}[{k},{n}]{math})->({d}[{m},{n}])"
    if kind == "addmm":
        return (
            f"aten::addmm(self={d}[{n}],mat1={d}[{m},{k}],mat2={d}[{k},{n}],beta=1,alpha=1{math})"
            f"->({d}[{m},{n}])"
        )
    b, m, n = draw(short), min(m, 1024), min(n, 1024)
    return f"aten::bmm(self={d}[{b},{m},{k}],mat2={d}[{b},{k},{n}]{math})->({d}[{b},{m},{n}])"


@st.composite
def convolutions(draw: st.DrawFn) -> str:
    n, size, d = draw(st.sampled_from([1, 4, 32])), draw(st.sampled_from([7, 14, 56])), draw(dtype)
    groups, cin, cout = draw(st.sampled_from([1, 2, 4])), draw(short), draw(short)
    window = draw(st.sampled_from([1, 3, 5]))
    x = f"{d}[{n},{cin * groups},{size},{size}]"
    w = f"{d}[{cout * groups},{cin},{window},{window}]"
    y = f"{d}[{n},{cout * groups},{size},{size}]"
    pad = window // 2
    rest = f"stride=[1,1],padding=[{pad},{pad}],dilation=[1,1],transposed=false,groups={groups}"
    if draw(st.booleans()):
        return f"aten::convolution(input={x},weight={w},bias=none,{rest})->({y})"
    return (
        f"aten::convolution_backward(grad_output={y},input={x},weight={w},bias_sizes=none,{rest},"
        f"output_mask=[true,true,false])->({x},{w},none)"
    )


@st.composite
def attentions(draw: st.DrawFn) -> str:
    b, h, d = draw(st.sampled_from([1, 4])), draw(short), draw(dtype)
    s, size = draw(st.sampled_from([1, 17, 128, 1024])), draw(st.sampled_from([32, 64, 128]))
    causal = str(draw(st.booleans())).lower()
    t = f"{d}[{b},{h},{s},{size}]"
    name = "aten::_scaled_dot_product_fused_attention_overrideable"
    return f"{name}(query={t},key={t},value={t},is_causal={causal})->({t},f32[{b},{h},{s}])"


@st.composite
def streams(draw: st.DrawFn) -> str:
    rows, n, d = draw(side), draw(side), draw(dtype)
    t = f"{d}[{rows},{n}]"
    return draw(
        st.sampled_from(
            [
                f"aten::add.Tensor(self={t},other={d}[{n}],alpha=1)->({t})",
                f"aten::gelu(self={t},approximate=none)->({t})",
                f"aten::_softmax(self={t},dim=-1,half_to_float=false)->({t})",
                f"aten::native_layer_norm(input={t},normalized_shape=[{n}],weight={d}[{n}],"
                f"bias={d}[{n}],eps=~)->({t},f32[{rows},1],f32[{rows},1])",
                f"aten::sum.dim_IntList(self={t},dim=[0],keepdim=false,dtype=none)->({d}[{n}])",
                f"aten::topk(self={t},k=1,dim=-1,largest=true,sorted=true)->({d}[{rows},1],i64[{rows},1])",
                f"aten::copy_(self={t},src=cpu:{t},non_blocking=false)->({t})",
                f"aten::clone(self={t},memory_format=none)->({t})",
                f"aten::embedding(weight={t},indices=i64[{n}],padding_idx=-1)->({d}[{n},{n}])",
                f"aten::uniform_(self={t},from=~,to=~,generator=none)->({t})",
                f"aten::_fused_adamw_(self=[{t}],grads=[{t}],exp_avgs=[{t}],exp_avg_sqs=[{t}])->()",
                f"aten::_foreach_add_.List(self=[{t},{d}[{n}]],other=[{t},{d}[{n}]],alpha=~)->()",
                f"aten::unheard_of(self={t})->({t})",
            ]
        )
    )


calls = st.one_of(products(), products(), convolutions(), attentions(), streams(), streams())
"""As text, so that a counterexample reads well."""

TIMED = [n for n, c in CARDS.items() if c.can_time and (c.memory_bytes or c.l2_bytes)]
MOVED = ("clock_hz", "memory_bytes_per_s", "l2_bytes", "l2_bytes_per_s")


def scaled(card: Card, **factors: float) -> Card:
    """The card with some of its own facts multiplied."""
    facts = {name: getattr(card, name) for name in factors if getattr(card, name) is not None}
    return replace(card, **{n: fact.at(fact * factors[n]) for n, fact in facts.items()})


@lru_cache(maxsize=None)
def card_of(text: str) -> Card:
    """`t21` from the catalogue, or `t21 clock_hz 2.0`: the same with one fact moved."""
    name, *change = text.split()
    return scaled(CARDS[name], **{change[0]: float(change[1])}) if change else CARDS[name]


#: A card of the catalogue, as it is or with one fact moved.
cards = st.one_of(
    st.sampled_from(TIMED),
    st.builds("{} {} {}".format, st.sampled_from(TIMED), st.sampled_from(MOVED),
              st.sampled_from([0.25, 0.5, 2.0, 8.0])),
)  # fmt: skip
