// Sparse tensors on the card: their dense members are ordinary tensors on the card.
#pragma once
#include <ATen/SparseCsrTensorImpl.h>
#include <ATen/SparseCsrTensorUtils.h>
#include <ATen/SparseTensorImpl.h>
#include <ATen/native/SparseTensorUtils.h>

#include "state.h"

namespace suiren {

using Members = c10::SmallVector<at::Tensor, 3>;

inline bool is_compressed(const at::Tensor& t) { return at::sparse_csr::is_sparse_compressed(t); }
inline bool has_members(const at::Tensor& t) {
  return t.defined() && t.layout() != at::kStrided && (t.is_sparse() || is_compressed(t));
}

// Indices and values of a sparse tensor: COO two, compressed layouts three.
inline Members members_of(const at::Tensor& t) {
  if (t.is_sparse()) {
    auto* impl = at::sparse::get_sparse_impl(t);
    return {impl->indices(), impl->values()};
  }
  auto* impl = at::sparse_csr::get_sparse_csr_impl(t);
  return {impl->compressed_indices(), impl->plain_indices(), impl->values()};
}

inline void set_members(const at::Tensor& t, const Members& members, const at::Tensor& like) {
  if (t.is_sparse()) {
    auto *impl = at::sparse::get_sparse_impl(t), *other = at::sparse::get_sparse_impl(like);
    impl->raw_resize_(other->sparse_dim(), other->dense_dim(), like.sizes());
    impl->set_indices_and_values_unsafe(members[0], members[1]);
    impl->set_coalesced(other->coalesced());
  } else {
    at::sparse_csr::get_sparse_csr_impl(t)->set_member_tensors(members[0], members[1], members[2], like.sizes());
  }
}

// A sparse tensor of the same layout over other members: on the card, or on the host.
inline at::Tensor over_members(const at::Tensor& like, const Members& members, bool on_card) {
  using c10::DispatchKey;
  at::Tensor made;
  if (like.is_sparse()) {
    c10::DispatchKeySet key(on_card ? DispatchKey::SparsePrivateUse1 : DispatchKey::SparseCPU);
    made = at::detail::make_tensor<at::SparseTensorImpl>(key, like.dtype());
  } else {
    c10::DispatchKeySet key(on_card ? DispatchKey::SparseCsrPrivateUse1 : DispatchKey::SparseCsrCPU);
    made = at::detail::make_tensor<at::SparseCsrTensorImpl>(key, members.back().device(), like.layout(), like.dtype());
  }
  set_members(made, members, like);
  return made;
}

}  // namespace suiren
