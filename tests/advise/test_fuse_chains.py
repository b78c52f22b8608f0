"""Fusing neighbours: the arithmetic stays, the traffic of what stays inside goes."""

from __future__ import annotations

from asked_lines import asked
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.advise.asked import Asked
from suiren.advise.rewrite import MAX_FUSED, fuse_chains

LAW = settings(derandomize=True, deadline=None, max_examples=200)
N = 1000
X = f"f32[{N}]"
ADD = f"forward add.Tensor(self={X},other={X},alpha=1)->({X})"
RELU = f"forward relu(self={X})->({X})"
EXP = f"forward exp(self={X})->({X})"


def lanes(step: Asked) -> tuple[float, float]:
    kernels = [k for ask in step.ops() for k in ask.work.kernels]
    return sum(k.lane_ops for k in kernels), sum(k.special_ops for k in kernels)


def moved(step: Asked) -> float:
    return sum(ask.work.bytes for ask in step.ops())


def fused(text: str) -> Asked:
    found = fuse_chains(asked(text))
    assert found is not None
    return found


def test_an_intermediate_that_dies_stays_in_the_core() -> None:
    step = fused(f"alloc 2\n{ADD} : 1 5 2\nalloc 3\n{RELU} : 2 3\nfree 2\n{RELU} : 9 10")
    chain = step.ops()[0]
    assert chain.work.kernels[0].read_bytes == 2 * 4 * N
    assert chain.work.kernels[0].write_bytes == 4 * N
    assert len(step.ops()) == 2


def test_an_intermediate_that_is_read_later_is_written() -> None:
    mm = "forward mm(self=f32[1,1000],mat2=f32[1000,1])->(f32[1,1])"
    step = fused(f"alloc 2\n{ADD} : 1 5 2\nalloc 3\n{RELU} : 2 3\n{mm} : 2 7 8\nfree 2")
    assert step.ops()[0].work.kernels[0].write_bytes == 2 * 4 * N


def test_what_outlives_the_step_is_written() -> None:
    step = fused(f"alloc 2\n{ADD} : 1 5 2\n{EXP} : 2 3")
    assert step.ops()[0].work.kernels[0].write_bytes == 2 * 4 * N


def test_an_operand_that_is_read_twice_is_read_once() -> None:
    step = fused(f"{ADD} : 1 1 2\n{ADD} : 1 2 3")
    assert step.ops()[0].work.kernels[0].read_bytes == 4 * N


def test_one_launch_is_left() -> None:
    step = fused("\n".join(f"{EXP} : {i} {i + 1}" for i in range(1, 8)))
    assert len(step.ops()) == 1
    assert step.ops()[0].work.kernels[0].launches == 1
    assert lanes(step) == (7 * 2 * N, 7 * N)


def test_a_kernel_holds_a_bounded_number_of_ops() -> None:
    step = fused("\n".join(f"{EXP} : {i} {i + 1}" for i in range(1, 2 * MAX_FUSED + 2)))
    assert len(step.ops()) == 3


def test_strangers_phases_products_and_waits_part_a_chain() -> None:
    mm = "forward mm(self=f32[1,1000],mat2=f32[1000,1])->(f32[1,1])"
    backward = RELU.replace("forward", "backward")
    optimizer = RELU.replace("forward", "optimizer")
    for text in (
        f"{RELU} : 1 2\n{RELU} : 8 9",
        f"{RELU} : 1 2\n{backward} : 2 3",
        f"{RELU} : 1 2\nsync\n{RELU} : 2 3",
        f"{RELU} : 1 2\n{mm} : 2 3 4",
        f"{optimizer} : 1 2\n{optimizer} : 2 3",
    ):
        assert fuse_chains(asked(text)) is None, text


@st.composite
def chains(draw: st.DrawFn) -> str:
    """Random ops over a few storages, in place and not, some freed when they are done."""
    known, lines = [1, 2, 3], []
    for number in range(4, 4 + draw(st.integers(2, 14))):
        a, b = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        line = draw(st.sampled_from([
            f"alloc {number}\n{ADD} : {a} {b} {number}",
            f"alloc {number}\n{EXP} : {a} {number}",
            f"alloc {number}\nforward sum(self={X},dtype=none)->(f32[]) : {a} {number}",
            f"alloc {number}\nforward native_dropout(input={X},p=~,train=true)->({X},b8[{N}])"
            f" : {a} {number} {number + 100}",
            f"forward add_.Tensor(self={X},other={X},alpha=1)->({X}) : {a} {b} {a}",
            f"forward fill_.Scalar(self={X},value=~)->({X}) : {a} {a}",
            f"forward copy_(self={X},src={X},non_blocking=false)->({X}) : {a} {b} {a}",
            f"forward uniform_(self={X},from=~,to=~,generator=none)->({X}) : {a} {a}",
            f"forward add_.Tensor(self={X},other=cpu:f64[],alpha=1)->({X}) : {a} 0 {a}",
        ]))  # fmt: skip
        lines.append(line)
        if f"alloc {number}" in line and "sum" not in line:
            known.append(number)
        if len(known) > 3 and draw(st.booleans()):
            gone = known.pop()
            lines.append(f"free {gone}")
    return "\n".join(lines)


@LAW
@given(text=chains())
def test_fusing_keeps_the_arithmetic_and_never_adds_traffic(text: str) -> None:
    before = asked(text)
    after = fuse_chains(before) or before
    assert lanes(after) == lanes(before)
    assert moved(after) <= moved(before)
    assert len(after.ops()) <= len(before.ops())


@LAW
@given(text=chains())
def test_fusing_still_writes_what_lives_on(text: str) -> None:
    """The last write to every storage that is not freed reaches memory."""
    before = asked(text)
    after = fuse_chains(before) or before
    freed = {line.split()[1] for line in text.splitlines() if line.startswith("free")}
    written = {
        ids.split()[-1]
        for line in text.splitlines()
        if " : " in line and "native_dropout" not in line and "sum" not in line
        for ids in [line.rpartition(" : ")[2]]
    }
    stays = written - freed
    assert sum(k.write_bytes for a in after.ops() for k in a.work.kernels) >= 4 * N * len(stays)


def test_a_fill_inside_a_chain_reads_nothing() -> None:
    fill = f"forward fill_.Scalar(self={X},value=~)->({X})"
    step = fused(f"{fill} : 1 1\n{ADD} : 1 2 3")
    assert step.ops()[0].work.kernels[0].read_bytes == 4 * N
