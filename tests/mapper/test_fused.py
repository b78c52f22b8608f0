"""A fused call's work: its members' arithmetic, its own inputs and results as traffic."""

from __future__ import annotations

from suiren.advise.rewrite import map_tensors
from suiren.mapper.families import work_of
from suiren.mapper.families.fused import in_tf32, members, recipe_of
from suiren.trace.call import Call, Tensor, parse_call

X, W, H = "f32[8,4]", "f32[4,16]", "f32[8,16]"
ADDMM = f"addmm(self=f32[16],mat1={X},mat2={W})->({H})"
GELU = f"gelu(self={H})->({H})"
ADD = f"add(self={H},other={H})->({H})"
SOFTMAX = f"_softmax(self={H},dim=1,half_to_float=false)->({H})"


def fused(inputs: str, outputs: str, *lines: str) -> Call:
    recipe = "; ".join(lines)
    return parse_call(f'suiren::fused(inputs=[{inputs}],recipe="{recipe}",key="k")->([{outputs}])')


EPILOGUE = fused(f"f32[16],{X},{W},{H}", H, ADDMM, GELU, ADD)
CHAIN = fused(f"{H},{H}", H, ADD, GELU, SOFTMAX)


def test_arithmetic_is_the_sum_of_the_members() -> None:
    for call in (EPILOGUE, CHAIN):
        recipe = call.arguments["recipe"]
        assert isinstance(recipe, str)
        kernels = [k for m in members(recipe) for k in work_of(m).kernels]
        found = work_of(call).kernels
        assert len(found) == 1
        assert found[0].launches == 1
        assert found[0].lane_ops == sum(k.lane_ops for k in kernels)
        assert found[0].special_ops == sum(k.special_ops for k in kernels)


def test_inputs_are_read_once_and_results_written_once() -> None:
    kernel = work_of(CHAIN).kernels[0]
    assert (kernel.read_bytes, kernel.write_bytes) == (2 * 8 * 16 * 4, 8 * 16 * 4)


def test_a_product_keeps_its_flop() -> None:
    assert work_of(EPILOGUE).product_flop == 2 * 8 * 16 * 4
    assert work_of(CHAIN).product_flop == 0


def test_a_channel_norm_still_reads_its_input_twice() -> None:
    image, channel = "f32[2,3,4,4]", "f32[3]"
    norm = (
        f"native_batch_norm(input={image},weight={channel},bias={channel})"
        f"->({image},{channel},{channel})"
    )
    relu = f"relu(self={image})->({image})"
    kernel = work_of(fused(f"{image},{channel},{channel}", image, norm, relu)).kernels[0]
    assert kernel.read_bytes == 2 * 96 * 4 + 2 * 3 * 4


def test_a_recipe_prints_and_reads_back() -> None:
    recipe = EPILOGUE.arguments["recipe"]
    assert isinstance(recipe, str)
    assert recipe_of(members(recipe)) == recipe
    assert str(parse_call(str(EPILOGUE))) == str(EPILOGUE)


def test_a_call_without_a_recipe_counts_its_traffic_and_says_so() -> None:
    found = work_of(fused(X, X))
    assert found.approximated
    assert found.bytes == 2 * 8 * 4 * 4


def test_a_fused_product_may_run_in_tf32_once() -> None:
    fast = in_tf32(EPILOGUE)
    assert fast is not None
    product = work_of(fast).kernels[0].product
    assert product is not None and product.tf32
    assert in_tf32(fast) is None
    assert in_tf32(CHAIN) is None


def test_other_formats_reach_the_members() -> None:
    changed = map_tensors(EPILOGUE, lambda t: t.with_dtype("bf16"))
    product = work_of(changed).kernels[0].product
    assert product is not None and product.dtype == "bf16"
    assert "f32[" not in str(changed).replace("bf16[", "")


def test_a_larger_batch_reaches_the_members() -> None:
    def grown(tensor: Tensor) -> Tensor:
        batch = tensor.shape[0] == 8
        return Tensor(tensor.dtype, (16, *tensor.shape[1:])) if batch else tensor

    changed = map_tensors(EPILOGUE, grown)
    assert work_of(changed).product_flop == 2 * work_of(EPILOGUE).product_flop
    assert work_of(changed).kernels[0].special_ops == 2 * work_of(EPILOGUE).kernels[0].special_ops
