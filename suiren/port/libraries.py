"""Libraries that bring kernels for CUDA, by the name they are imported and installed under."""

from __future__ import annotations

import ast
import re

from suiren.port.names import last_word, text_of
from suiren.port.sight import Hit, Hits, Sight, keyword

_ROWS = {
    "triton-kernel": "triton",
    "flash-attention": "flash_attn flash_attn_interface flash_attn_2_cuda flash_attn_3",
    "apex": "apex amp_C apex_C fused_layer_norm_cuda fused_weight_gradient_mlp_cuda",
    "xformers": "xformers",
    "bitsandbytes": "bitsandbytes",
    "deepspeed": "deepspeed",
    "kernel-library": """transformer_engine transformer_engine_torch mamba_ssm causal_conv1d
flashinfer sageattention liger_kernel unsloth fbgemm_gpu spconv MinkowskiEngine torchsparse
nvdiffrast tinycudann gsplat diff_gaussian_rasterization simple_knn kaolin dropout_layer_norm
fused_dense_lib rotary_emb xentropy_cuda_lib awq awq_ext auto_gptq gptqmodel exllamav2 exllama
grouped_gemm megablocks stk natten quant_cuda torch_cluster_cuda fla cutlass torchao_cuda
deep_gemm deep_ep cuequivariance_torch cuequivariance_ops_torch cudnn nvidia thunderkittens
apex_fused scaled_masked_softmax_cuda tilelang lightseq colossal_C correlation_cuda pynccl""",
    "cuda-array-library": """cupy cupyx pycuda numba.cuda cudf cuml cugraph cuspatial cucim
dask_cudf dask_cuda rmm skcuda cuda nvmath cuvs cudf.pandas raft_dask pylibraft warp jax_cuda""",
    "serving-library": """vllm tensorrt torch_tensorrt tensorrt_llm trt_llm sglang lmdeploy
faster_whisper""",
    "nvml": "pynvml nvidia_smi GPUtil gpustat py3nvml nvitop nvidia_ml_py nvsmi",
}  # fmt: skip
LIBRARIES = {name: tie for tie, names in _ROWS.items() for name in names.split()}
#: Installed under another name than they are imported.
WHEELS = re.compile(
    r"^(flash[-_]attn|apex|nvidia[-_]apex|xformers|bitsandbytes|triton|deepspeed|mamba[-_]ssm|"
    r"causal[-_]conv1d|flashinfer[-_\w]*|transformer[-_]engine[-_\w]*|vllm|tensorrt[-_\w]*|"
    r"torch[-_]tensorrt|auto[-_]gptq|autoawq|liger[-_]kernel|unsloth|sageattention|natten|"
    r"spconv[-_]cu\d+|gsplat|tilelang|sglang|fbgemm[-_]gpu|megablocks|pytorch[-_]triton)"
    r"(?![-_\w])",
    re.IGNORECASE,
)
NVIDIA_WHEELS = re.compile(
    r"^(nvidia[-_](?!apex)[\w-]+|cupy(-cuda\w+)?|pycuda|pynvml|cuda-python|cud?f-cu\d+|"
    r"cuml-cu\d+|cugraph-cu\d+|rmm-cu\d+|faiss-gpu[\w-]*|onnxruntime-gpu|gputil|gpustat|"
    r"scikit-cuda|numba-cuda|jax\[cuda\w*\]|tensorflow-gpu|dgl-cu\w+|mxnet-cu\w+)(?![-_\w])",
    re.IGNORECASE,
)


def library_of(module: str) -> str:
    """The kind of tie that importing a module is; empty for none."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        tie = LIBRARIES.get(".".join(parts[:count]))
        if tie:
            return tie
    return ""


def look_at_imports(node: ast.AST, sight: Sight) -> Hits:
    """Imports of libraries and of names that only CUDA has."""
    if isinstance(node, ast.Import):
        tie = next((t for a in node.names if (t := library_of(a.name))), "")
        if tie:
            yield Hit(tie, node)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        tie = library_of(node.module) or next(
            (t for a in node.names if (t := library_of(f"{node.module}.{a.name}"))), ""
        )
        names = {a.name for a in node.names}
        if tie:
            yield Hit(tie, node)
        elif node.module == "torch.utils.cpp_extension" and "CUDAExtension" in names:
            yield Hit("cuda-extension", node)
        elif "transformers" in node.module and "BitsAndBytesConfig" in names:
            yield Hit("quantised-option", node)
        elif node.module == "faiss" and any("Gpu" in n for n in names):
            yield Hit("cuda-array-library", node)
    elif isinstance(node, ast.Call) and last_word(node.func) in ("import_module", "__import__"):
        tie = library_of(text_of(node.args[0])) if node.args else ""
        if tie:
            yield Hit(tie, node)


def look_at_kernels(node: ast.AST, sight: Sight) -> Hits:
    """Kernels in Triton and CUDA C++, compiled libraries loaded by hand."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            full = sight.names.full(call)
            if full == "triton.jit":
                yield Hit("triton-kernel", decorator)
            elif full.startswith(("numba.cuda.jit", "cupyx.jit.")):
                yield Hit("cuda-array-library", decorator)
        return
    if not isinstance(node, ast.Call):
        return
    full, last = sight.names.full(node.func), last_word(node.func)
    extension = full.startswith("torch.utils.cpp_extension.")
    if full == "torch.utils.cpp_extension.CUDAExtension" or (
        extension and last in ("load", "load_inline") and _has_cuda(node)
    ):
        yield Hit("cuda-extension", node)
    elif full in ("torch.ops.load_library", "torch.classes.load_library"):
        yield Hit("native-library", node)
    elif last in ("CDLL", "LoadLibrary", "find_library", "PyDLL") and node.args:
        if re.search(r"cuda|nccl|cublas|cudnn|nvrtc|nvidia|cufft|nvml", text_of(node.args[0])):
            yield Hit("native-library", node)
    elif last in ("StandardGpuResources", "index_cpu_to_gpu", "index_cpu_to_all_gpus"):
        yield Hit("cuda-array-library", node)


def _has_cuda(node: ast.Call) -> bool:
    if any(k.arg in ("cuda_sources", "extra_cuda_cflags", "with_cuda") for k in node.keywords):
        return True
    return bool(re.search(r"\.cuh?'", ast.dump(node)))


def look_at_options(node: ast.AST, sight: Sight) -> Hits:
    """Options of model and training libraries that choose kernels for CUDA."""
    if isinstance(node, ast.Call):
        for name in ("load_in_8bit", "load_in_4bit"):
            value = keyword(node, name)
            if isinstance(value, ast.Constant) and value.value is True:
                yield Hit("quantised-option", value)
        for name in ("use_flash_attention_2", "use_flash_attn"):
            value = keyword(node, name)
            if isinstance(value, ast.Constant) and value.value is True:
                yield Hit("flash-option", value)
        gpus = keyword(node, "gpus")
        if last_word(node.func) == "Trainer" and gpus is not None:
            yield Hit("trainer-gpu", gpus)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _option_text(node, sight)


def _option_text(node: ast.Constant, sight: Sight) -> Hits:
    text, name = str(node.value), _name_of_value(node, sight.parent)
    if name.endswith("attn_implementation") and text.startswith("flash_attention"):
        yield Hit("flash-option", node, "sdpa")
    elif name == "accelerator" and text in ("gpu", "cuda", "ddp"):
        yield Hit("trainer-gpu", node, "auto" if text != "ddp" else "")
    elif name == "optim" and re.search(r"bnb|8bit|apex|paged", text):
        yield Hit("quantised-option", node)


def _name_of_value(node: ast.AST, parent: ast.AST) -> str:
    """The keyword, key or target that a value is given to."""
    if isinstance(parent, ast.keyword):
        return parent.arg or ""
    if isinstance(parent, ast.Dict):
        for key, value in zip(parent.keys, parent.values, strict=True):
            if value is node and key is not None:
                return text_of(key)
    if isinstance(parent, ast.Assign):
        return last_word(parent.targets[0])
    return ""
