// Sparse ops: the host's sparse kernels run over the members' memory.
#pragma once
#include "capture.h"

namespace suiren {

// Questions about a sparse tensor itself, answered without looking at values.
inline void on_sparse_metadata(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
  bool coo = keys.has(c10::DispatchKey::SparsePrivateUse1);
  op.redispatchBoxed(c10::DispatchKeySet(coo ? c10::DispatchKey::SparseCPU : c10::DispatchKey::SparseCsrCPU), stack);
}

inline void sparse_fallback(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  size_t from = stack->size() - op.schema().arguments().size();
  bool real = true;
  for_tensors(*stack, from, [&](const at::Tensor& t) { real = real && is_real(t); });
  TORCH_CHECK(real, op_card(op).name, " on a sparse tensor needs values that --no-numerics does not have; "
              "run with numerics, or use dense tensors (Embedding(sparse=False))");
  hand_over(op, stack, false, true, true);
}

}  // namespace suiren
