// Number formats that the host lacks: TF32 keeps ten bits of a float's mantissa.
#pragma once
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include "state.h"

namespace suiren {

// Round to nearest even on ten mantissa bits; NaN and infinity pass.
inline uint32_t round_to_tf32(uint32_t x) {
  if ((x & 0x7F800000u) == 0x7F800000u) return x;
  return (x + 0xFFFu + ((x >> 13) & 1u)) & ~0x1FFFu;
}

// A contiguous host copy of a dense float tensor with every element rounded to TF32.
inline at::Tensor tf32_copy(const at::Tensor& t) {
  at::Tensor out = t.clone();
  auto* p = reinterpret_cast<uint32_t*>(out.data_ptr<float>());
  int64_t n = out.storage().nbytes() / 4 - out.storage_offset();
  at::parallel_for(0, n, 65536, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) p[i] = round_to_tf32(p[i]);
  });
  return out;
}

enum class MatrixOp : int { none, matmul, convolution };

// Does this op multiply float32 in TF32 now? Follows the script's PyTorch flags, as CUDA does.
inline bool multiplies_in_tf32(MatrixOp op) {
  if (op == MatrixOp::none || !settings.chip_has_tf32 || settings.tf32 == Tf32::off) return false;
  if (settings.tf32 == Tf32::on) return true;
  auto& context = at::globalContext();
  if (op == MatrixOp::convolution) return context.allowTF32CuDNN(at::Float32Op::CONV);
  return context.float32Precision(at::Float32Backend::CUDA, at::Float32Op::MATMUL) == at::Float32Precision::TF32;
}

}  // namespace suiren
