"""Work of everything that streams: bytes by what must be read and written, lanes by element."""

from __future__ import annotations

import pytest

from suiren.mapper.families import work_of
from suiren.mapper.work import Kernel, Work
from suiren.trace.call import parse_call


def work(line: str) -> Work:
    return work_of(parse_call("aten::" + line))


def kernel(line: str) -> Kernel:
    found = work(line)
    assert len(found.kernels) == 1
    return found.kernels[0]


R, C = 48, 100
X = f"f32[{R},{C}]"
N = R * C


@pytest.mark.parametrize(("line", "read", "written"), [
    # pointwise, broadcasting
    (f"add.Tensor(self={X},other=f32[{C}],alpha=1)->({X})", 4 * (N + C), 4 * N),
    (f"add.Tensor(self={X},other={X}{{0,1}},alpha=1)->({X})", 4 * (N + C), 4 * N),
    (f"add_.Tensor(self={X},other={X},alpha=1)->({X})", 8 * N, 4 * N),
    (f"mul.Tensor(self={X},other=cpu:f64[])->({X})", 4 * N, 4 * N),
    (f"relu(self=bf16[{R},{C}])->(bf16[{R},{C}])", 2 * N, 2 * N),
    (f"gt.Scalar(self={X},other=0)->(b8[{R},{C}])", 4 * N, N),
    (f"where.self(condition=b8[{R},{C}],self={X},other=f32[])->({X})", N + 4 * N + 4, 4 * N),
    (f"sub.out(self={X},other={X},alpha=1,out={X})->({X})", 8 * N, 4 * N),
    # norms and losses
    (f"_softmax(self={X},dim=-1,half_to_float=false)->({X})", 4 * N, 4 * N),
    (f"_softmax_backward_data(grad_output={X},output={X},dim=-1,input_dtype=6)->({X})",
     8 * N, 4 * N),
    (f"native_layer_norm(input={X},normalized_shape=[{C}],weight=f32[{C}],bias=f32[{C}],eps=~)"
     f"->({X},f32[{R},1],f32[{R},1])", 4 * (N + 2 * C), 4 * (N + 2 * R)),
    (f"native_layer_norm_backward(grad_out={X},input={X},normalized_shape=[{C}],mean=f32[{R},1],"
     f"rstd=f32[{R},1],weight=f32[{C}],bias=f32[{C}],output_mask=[true,true,true])"
     f"->({X},f32[{C}],f32[{C}])", 4 * (2 * N + 2 * R + 2 * C), 4 * (N + 2 * C)),
    (f"native_batch_norm(input={X},weight=f32[{C}],bias=f32[{C}],running_mean=f32[{C}],"
     f"running_var=f32[{C}],training=true,momentum=~,eps=~)->({X},f32[{C}],f32[{C}])",
     4 * (2 * N + 4 * C), 4 * (N + 2 * C)),
    # reductions
    (f"sum.dim_IntList(self={X},dim=[0],keepdim=false,dtype=none)->(f32[{C}])", 4 * N, 4 * C),
    (f"mean(self={X},dtype=none)->(f32[])", 4 * N, 4),
    # copies
    (f"clone(self={X},memory_format=none)->({X})", 4 * N, 4 * N),
    (f"copy_(self=bf16[{R},{C}],src={X},non_blocking=false)->(bf16[{R},{C}])", 4 * N, 2 * N),
    (f"cat(tensors=[{X},{X}],dim=0)->(f32[{2 * R},{C}])", 8 * N, 8 * N),
    (f"zero_(self={X})->({X})", 0, 4 * N),
    (f"fill_.Scalar(self={X},value=~)->({X})", 0, 4 * N),
    ("arange.start_out(start=0,end=100,step=1,out=i64[0])->(i64[100])", 0, 800),
    (f"_foreach_copy_(self=[{X},{X}],src=[{X},{X}],non_blocking=false)->()", 8 * N, 8 * N),
    (f"_foreach_zero_(self=[{X},{X}])->()", 0, 8 * N),
    # random
    (f"uniform_(self={X},from=~,to=~,generator=none)->({X})", 0, 4 * N),
    (f"native_dropout(input={X},p=~,train=true)->({X},b8[{R},{C}])", 4 * N, 5 * N),
    # gather: rows of 100 elements are 400 B = 12.5 sectors of 32 B, fetched as 13
    (f"embedding(weight=f32[999,{C}],indices=i64[{R}],padding_idx=-1)->({X})",
     8 * R + 416 * R, 4 * N),
    ("embedding(weight=f32[999,1],indices=i64[64],padding_idx=-1)->(f32[64,1])",
     8 * 64 + 32 * 64, 256),
    # optimizers
    (f"_foreach_add_.List(self=[{X},{X}],other=[{X},{X}],alpha=~)->()", 16 * N, 8 * N),
    (f"_foreach_mul.Scalar(self=[{X}],scalar=~)->([{X}])", 4 * N, 4 * N),
    (f"_fused_adamw_(self=[{X}],grads=[{X}],exp_avgs=[{X}],exp_avg_sqs=[{X}],max_exp_avg_sqs=[],"
     "state_steps=[])->()", 16 * N, 12 * N),
    (f"_fused_sgd_(self=[{X}],grads=[{X}],momentum_buffer_list=[])->()", 8 * N, 4 * N),
    (f"_fused_sgd_(self=[{X}],grads=[{X}],momentum_buffer_list=[{X}])->()", 12 * N, 8 * N),
])  # fmt: skip
def test_bytes(line: str, read: int, written: int) -> None:
    found = kernel(line)
    assert (found.read_bytes, found.write_bytes) == (read, written)
    assert found.link_bytes == 0
    assert found.product is None


@pytest.mark.parametrize(("line", "lanes", "special"), [
    (f"add.Tensor(self={X},other=f32[{C}],alpha=1)->({X})", N, 0),
    (f"exp(self={X})->({X})", 2 * N, N),
    (f"_softmax(self={X},dim=-1,half_to_float=false)->({X})", 4 * N, N),
    (f"sum.dim_IntList(self={X},dim=[0],keepdim=false,dtype=none)->(f32[{C}])", 2 * N, 0),
    (f"uniform_(self={X},from=~,to=~,generator=none)->({X})", 10 * N, 0),
])  # fmt: skip
def test_lane_operations(line: str, lanes: int, special: int) -> None:
    found = kernel(line)
    assert (found.lane_ops, found.special_ops) == (lanes, special)


def test_the_loss_reads_one_column_a_row() -> None:
    found = kernel("nll_loss_forward(self=f32[512,50000],target=i64[512],weight=none,reduction=1,"
                   "ignore_index=-100)->(f32[],f32[])")  # fmt: skip
    assert found.read_bytes <= 512 * (8 + 64)


def test_an_integer_table_is_not_swept() -> None:
    found = kernel("index.Tensor(self=i64[1000000],indices=[i64[4]])->(i64[4])")
    assert found.bytes <= 4 * (8 + 32 + 32)


def test_storing_rows_moves_the_rows_alone() -> None:
    rows, all_of_them = 3, "f32[4000,64]"
    line = f"index_put_(self={all_of_them},indices=[i64[{rows}]],values=f32[{rows},64],accumulate="
    plain, added = kernel(f"{line}false)->({all_of_them})"), kernel(f"{line}true)->({all_of_them})")
    assert plain.write_bytes == added.write_bytes == rows * 64 * 4
    assert plain.read_bytes == rows * (8 + 64 * 4)
    assert added.read_bytes == plain.read_bytes + rows * 64 * 4


def test_scattering_one_value_moves_as_many_elements_as_indices() -> None:
    found = kernel(
        "scatter_.value(self=f32[4000,4000],dim=0,index=i64[1,3],value=~)->(f32[4000,4000])"
    )
    assert found.bytes <= 3 * (8 + 2 * 32)


def test_the_gradient_of_a_table_is_written_whole() -> None:
    found = kernel("embedding_dense_backward(grad_output=f32[16,64],indices=i64[16],"
                   "num_weights=999,"
                   "padding_idx=-1,scale_grad_by_freq=false)->(f32[999,64])")  # fmt: skip
    assert found.write_bytes == 999 * 64 * 4
    assert found.read_bytes == 16 * 8 + 2 * 16 * 64 * 4


@pytest.mark.parametrize(("num_tensors", "lists", "launches"), [
    (1, 2, 1), (64, 2, 1), (65, 2, 2), (129, 2, 3), (36, 4, 1), (37, 4, 2),
    (110, 1, 1), (111, 1, 2),
])  # fmt: skip
def test_lists_go_in_launches_of_so_many_tensors(
    num_tensors: int, lists: int, launches: int
) -> None:
    tensors = "[" + ",".join(["f32[8]"] * num_tensors) + "]"
    names = ("self", "grads", "exp_avgs", "exp_avg_sqs")[:lists]
    op = "_foreach_neg_" if lists == 1 else "_foreach_add_.List" if lists == 2 else "_fused_adamw_"
    found = kernel(f"{op}({','.join(f'{name}={tensors}' for name in names)})->()")
    assert found.launches == launches


@pytest.mark.parametrize("line", [
    f"copy_(self={X},src=cpu:{X},non_blocking=false)->({X})",
    f"copy_(self=cpu:{X},src={X},non_blocking=false)->(cpu:{X})",
])  # fmt: skip
def test_a_copy_from_or_to_the_host_goes_over_the_link(line: str) -> None:
    found = kernel(line)
    assert work(line).family == "transfer"
    assert (found.link_bytes, found.bytes) == (4 * N, 0)


def test_reading_one_value_takes_the_link_and_no_launch() -> None:
    found = kernel("_local_scalar_dense(self=f32[])->(~)")
    assert (found.link_bytes, found.launches) == (8, 0)
