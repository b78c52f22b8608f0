// The boxed hand-over: an op on the card runs the host's kernel over the same memory.
//
// Arguments become host (or meta) tensors over the same storage, the host's kernel runs,
// and its results become tensors on the card, accounted to the card's memory.
#pragma once
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "formats.h"
#include "generator.h"
#include "signature.h"

namespace suiren {

// What the shim needs to know of an op, worked out once from its schema.
struct OpCard {
  std::string name;
  std::string sparse_name;  // as the record calls it where a tensor is sparse
  bool view = false;        // returns a view: a metadata kernel runs on the tensor itself
  bool host_mixes = false;  // takes host tensors with dimensions beside device ones
  bool device_mixes = false;
  bool is_copy = false;
  MatrixOp matrix = MatrixOp::none;
  bool widens = false;  // the host lacks formats that the card has, or sums in them
  std::vector<int> returns_argument;  // per return: the argument it writes to, or -1
  int generator_argument = -1;
};

inline MatrixOp matrix_op(const std::string& name) {
  static const std::unordered_map<std::string, MatrixOp> ops{
      {"aten::mm", MatrixOp::matmul}, {"aten::mm.out", MatrixOp::matmul},
      {"aten::bmm", MatrixOp::matmul}, {"aten::bmm.out", MatrixOp::matmul},
      {"aten::addmm", MatrixOp::matmul}, {"aten::addmm.out", MatrixOp::matmul},
      {"aten::baddbmm", MatrixOp::matmul}, {"aten::baddbmm.out", MatrixOp::matmul},
      {"aten::addmm_", MatrixOp::matmul}, {"aten::baddbmm_", MatrixOp::matmul},
      {"aten::addbmm", MatrixOp::matmul},
      {"aten::_addmm_activation", MatrixOp::matmul},
      {"aten::convolution", MatrixOp::convolution},
      {"aten::convolution_overrideable", MatrixOp::convolution},
      {"aten::convolution_backward", MatrixOp::convolution},
      {"aten::convolution_backward_overrideable", MatrixOp::convolution}};
  auto found = ops.find(name);
  return found == ops.end() ? MatrixOp::none : found->second;
}

inline OpCard* make_op_card(const c10::FunctionSchema& schema) {
  auto* card = new OpCard;
  card->name = schema.name();
  if (!schema.overload_name().empty()) card->name += "." + schema.overload_name();
  for (const auto& r : schema.returns()) {
    int argument = -1;
    if (auto* alias = r.alias_info()) {
      if (!alias->isWrite()) card->view = true;
      for (size_t i = 0; alias->isWrite() && i < schema.arguments().size(); i++)
        if (auto* a = schema.arguments()[i].alias_info())
          if (a->isWrite() && a->beforeSets() == alias->beforeSets()) argument = i;
    }
    card->returns_argument.push_back(argument);
  }
  for (size_t i = 0; i < schema.arguments().size(); i++)
    if (schema.arguments()[i].name() == "generator") card->generator_argument = i;
  card->sparse_name = "sparse::" + card->name.substr(card->name.find("::") + 2);
  card->is_copy = card->name == "aten::copy_" || card->name == "aten::_copy_from";
  card->device_mixes = card->is_copy;
  static const std::unordered_map<std::string, bool> mixes{
      {"aten::index.Tensor", 1}, {"aten::index_put_", 1}, {"aten::_index_put_impl_", 1},
      {"aten::_fused_adamw_", 1}, {"aten::_fused_adam_", 1}, {"aten::_fused_sgd_", 1}};
  card->host_mixes = card->is_copy || mixes.count(card->name);
  card->matrix = matrix_op(card->name);
  static const std::unordered_map<std::string, bool> gaps{
      {"aten::avg_pool3d", 1}, {"aten::avg_pool3d_backward", 1}, {"aten::_upsample_bilinear2d_aa", 1},
      {"aten::_upsample_bilinear2d_aa_backward", 1}, {"aten::_upsample_bicubic2d_aa", 1},
      {"aten::_upsample_bicubic2d_aa_backward", 1}, {"aten::multi_margin_loss", 1},
      {"aten::multi_margin_loss_backward", 1}, {"aten::multilabel_margin_loss_forward", 1},
      {"aten::multilabel_margin_loss_backward", 1}, {"aten::round.decimals", 1},
      {"aten::polygamma", 1}, {"aten::histc", 1},
      // sums of many rows, which the chip keeps in FP32
      {"aten::embedding_dense_backward", 1}, {"aten::_embedding_bag_dense_backward", 1}};
  card->widens = gaps.count(card->name);
  return card;
}

inline const OpCard& op_card(const c10::OperatorHandle& op) {
  static thread_local std::unordered_map<const void*, const OpCard*> mine;
  static std::unordered_map<std::string, OpCard*> all;  // one card an op: its name is its identity
  auto& entry = mine[&op.schema()];
  if (entry) return *entry;
  std::lock_guard<std::mutex> guard(lock);
  auto key = op.schema().name() + "." + op.schema().overload_name();
  auto& shared = all[key];
  if (!shared) shared = make_op_card(op.schema());
  return *(entry = shared);
}

// The tensors of one call: each device tensor with the alias that the host's kernel sees.
struct Frame {
  struct Pair {
    c10::TensorImpl *original, *alias;
    c10::StorageImpl* alias_storage;
    at::Tensor keep_original, keep_alias;
  };
  c10::SmallVector<Pair, 6> pairs;
  struct Sparse {
    at::Tensor original, alias;
    Members members;  // of the alias, as the kernel was given them
  };
  c10::SmallVector<Sparse, 1> sparse;
  int device = -1;
  bool meta = false;
  bool keeps_grad = false;  // the host's sparse kernels keep more for a backward where one will come
};

inline void check_host_tensor(const at::Tensor& t, const Frame& frame, const OpCard& card) {
  TORCH_CHECK(t.dim() == 0 || card.host_mixes,
              "Expected all tensors to be on the same device, but found at least two devices, gcu:",
              int(index_or_current(frame.device)), " and cpu! (op ", card.name, ")");
}

// Tensors that share a storage share its alias, so that kernels see what overlaps.
inline c10::Storage alias_of_storage(c10::StorageImpl* s, const Frame& frame) {
  for (auto& p : frame.pairs)
    if (p.alias_storage && p.original->unsafe_storage().unsafeGetStorageImpl() == s) return p.keep_alias.storage();
  c10::Device where(frame.meta ? c10::DeviceType::Meta : c10::DeviceType::CPU);
  c10::DataPtr data(frame.meta ? nullptr : s->mutable_data(), nullptr, &c10::detail::deleteNothing, where);
  return c10::Storage(c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), s->nbytes(), std::move(data),
      frame.meta ? c10::GetAllocator(c10::kMeta) : c10::GetCPUAllocator(), true));
}

inline at::Tensor alias_of(const at::Tensor& t, Frame& frame, const OpCard& card);

inline at::Tensor sparse_alias_of(const at::Tensor& t, Frame& frame, const OpCard& card) {
  for (auto& s : frame.sparse)
    if (s.original.is_same(t)) return s.alias;
  Members members;
  for (const at::Tensor& member : members_of(t)) members.push_back(alias_of(member, frame, card));
  at::Tensor alias = over_members(t, members, false);
  if (t.requires_grad()) alias.set_requires_grad(true);
  frame.sparse.push_back({t, alias, members_of(alias)});
  return alias;
}

inline at::Tensor alias_of(const at::Tensor& t, Frame& frame, const OpCard& card) {
  if (!t.defined()) return t;
  auto* impl = t.unsafeGetTensorImpl();
  if (t.device().type() != GCU) {
    if (t.device().type() != c10::DeviceType::CPU) return t;
    check_host_tensor(t, frame, card);
    if (!frame.meta || !t.dim()) return t;
    at::Tensor a = at::detail::empty_strided_meta(t.sizes(), t.strides(), t.scalar_type());
    frame.pairs.push_back({impl, a.unsafeGetTensorImpl(), nullptr, t, a});
    return a;
  }
  if (has_members(t)) return sparse_alias_of(t, frame, card);
  for (auto& p : frame.pairs)
    if (p.original == impl) return p.keep_alias;
  int device = t.device().index();
  if (frame.device < 0) frame.device = device;
  TORCH_CHECK(frame.device == device || card.device_mixes,
              "Expected all tensors to be on the same device, but found at least two devices, gcu:",
              frame.device, " and gcu:", device, "! (op ", card.name, ")");
  c10::Storage storage = alias_of_storage(impl->unsafe_storage().unsafeGetStorageImpl(), frame);
  auto* alias_storage = storage.unsafeGetStorageImpl();
  at::Tensor a = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), frame.meta ? META_KEY : CPU_KEY, t.dtype());
  a.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (impl->is_wrapped_number()) a.unsafeGetTensorImpl()->set_wrapped_number(true);
  if (t.is_conj()) a._set_conj(true);
  if (t.is_neg()) a._set_neg(true);
  if (frame.keeps_grad && t.requires_grad()) a.set_requires_grad(true);
  frame.pairs.push_back({impl, a.unsafeGetTensorImpl(), alias_storage, t, a});
  return a;
}

inline c10::DataPtr adopt(c10::StorageImpl* host, const Frame& frame, size_t size, int device) {
  if (frame.meta) return take_nowhere(size, device);
  return own(host->set_data_ptr(c10::DataPtr()), device, size);
}

// What a tensor says of its values beside their bits: conjugated, negated.
inline at::Tensor marked_like(at::Tensor t, const at::Tensor& r) {
  if (r.is_conj()) t._set_conj(true);
  if (r.is_neg()) t._set_neg(true);
  return t;
}

inline at::Tensor to_card(const at::Tensor& r, Frame& frame, int device) {
  if (!r.defined() || r.device().type() == GCU) return r;
  if (has_members(r)) {
    for (auto& s : frame.sparse)
      if (s.alias.is_same(r)) return s.original;
    Members members;
    for (const at::Tensor& member : members_of(r)) members.push_back(to_card(member, frame, device));
    return over_members(r, members, true);
  }
  if (r.layout() != at::kStrided) return r;
  auto* impl = r.unsafeGetTensorImpl();
  for (auto& p : frame.pairs)
    if (p.alias == impl) return p.keep_original;
  auto* host = impl->unsafe_storage().unsafeGetStorageImpl();
  for (auto& p : frame.pairs)
    if (p.alias_storage && p.alias_storage == host)
      return marked_like(
          tensor_over(p.keep_original.storage(), r.dtype(), r.sizes(), r.strides(), r.storage_offset()), r);
  size_t size = host->nbytes();
  return marked_like(tensor_over(storage_over(adopt(host, frame, size, device), size), r.dtype(), r.sizes(),
                                 r.strides(), r.storage_offset()), r);
}

// An argument that the kernel resized (out=) gets its new storage and shape.
inline void bring_back_resized(Frame& frame) {
  for (auto& p : frame.pairs) {
    if (!p.alias_storage) continue;
    auto* s = p.keep_original.storage().unsafeGetStorageImpl();
    size_t size = p.alias_storage->nbytes();
    bool moved = frame.meta ? size != s->nbytes() : p.alias_storage->data() != s->data();
    if (moved) {
      s->set_data_ptr_noswap(adopt(p.alias_storage, frame, size, std::max(frame.device, 0)));
      s->set_nbytes(size);
    }
    if (p.alias->sizes() != p.original->sizes())
      p.original->set_sizes_and_strides(p.alias->sizes(), p.alias->strides(), p.alias->storage_offset());
  }
}

// A sparse argument that the kernel wrote into gets the members it was given.
inline void bring_back_members(Frame& frame, int device) {
  for (auto& s : frame.sparse) {
    Members now = members_of(s.alias), moved;
    bool same = s.alias.sizes() == s.original.sizes();
    for (size_t i = 0; i < now.size(); i++) same = same && now[i].is_same(s.members[i]);
    if (s.alias.is_sparse()) same = same && s.alias.is_coalesced() == at::sparse::get_sparse_impl(s.original)->coalesced();
    if (same) continue;
    for (const at::Tensor& member : now) moved.push_back(to_card(member, frame, device));
    set_members(s.original, moved, s.alias);
  }
}

template <class F>
inline c10::List<at::Tensor> map_list(const c10::List<at::Tensor>& list, F&& f) {
  c10::List<at::Tensor> out;
  out.reserve(list.size());
  for (const at::Tensor& t : list) out.push_back(f(t));
  return out;
}

inline void alias_arguments(Stack* stack, size_t from, Frame& frame, const OpCard& card) {
  c10::Device target(frame.meta ? c10::DeviceType::Meta : c10::DeviceType::CPU);
  for (size_t i = from; i < stack->size(); i++) {
    c10::IValue& v = (*stack)[i];
    if (v.isTensor()) {
      v = alias_of(v.toTensor(), frame, card);
    } else if (v.isTensorList()) {
      v = map_list(v.toTensorList(), [&](const at::Tensor& t) { return alias_of(t, frame, card); });
    } else if (v.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> out;
      for (const std::optional<at::Tensor>& t : v.toOptionalTensorList())
        out.push_back(t.has_value() ? std::optional<at::Tensor>(alias_of(*t, frame, card)) : std::nullopt);
      v = std::move(out);
    } else if (v.isDevice() && v.toDevice().type() == GCU) {
      if (frame.device < 0) frame.device = index_or_current(v.toDevice().index());
      v = target;
    } else if (v.isGenerator()) {
      TORCH_CHECK(v.toGenerator().device().type() == GCU, "Expected a 'gcu' device type for generator but found 'cpu'");
      TORCH_CHECK(frame.device < 0 || v.toGenerator().device().index() == frame.device, "Expected a 'gcu:", frame.device,
                  "' generator device but found '", v.toGenerator().device().str(), "'");
      v = host_generator(v.toGenerator());
    }
  }
  int g = card.generator_argument;
  if (g >= 0 && (*stack)[from + g].isNone())
    (*stack)[from + g] = host_generator(devices[index_or_current(frame.device)]->generator);
}

// Names the way an op multiplies where its operands' format does not say it.
inline const char* math_of(const OpCard& card, const Stack& stack, size_t from) {
  if (card.matrix == MatrixOp::none || !multiplies_in_tf32(card.matrix)) return nullptr;
  for (size_t i = from; i < stack.size(); i++)
    if (stack[i].isTensor() && stack[i].toTensor().defined())
      return stack[i].toTensor().scalar_type() == at::kFloat ? "tf32" : nullptr;
  return nullptr;
}

// Float32 operands of a matrix op enter the engine in TF32; the sum stays float32.
inline void round_operands(Stack* stack, size_t from, const OpCard& card) {
  size_t skip = card.name.rfind("aten::addmm", 0) == 0 || card.name.rfind("aten::baddbmm", 0) == 0 ? 1 : 0;
  size_t seen = 0, last = card.name.find("convolution_backward") != std::string::npos ? 3 : 2 + skip;
  for (size_t i = from; i < stack->size() && seen < last; i++) {
    c10::IValue& v = (*stack)[i];
    if (!v.isTensor()) continue;
    if (seen++ < skip || !v.toTensor().defined() || v.toTensor().scalar_type() != at::kFloat) continue;
    v = tf32_copy(v.toTensor());
  }
}

// The wider format the host computes in where the card has a kernel and the host has none, or a
// slow one: it multiplies FP16 slowly, and the chip sums it in FP32.
inline at::ScalarType wider(at::ScalarType type, const OpCard& card) {
  if (type == at::kHalf) return at::kFloat;
  if (card.matrix != MatrixOp::none) return type;
  if (type == at::kBFloat16) return at::kFloat;
  bool counts = card.name == "aten::histc" && at::isIntegralType(type, false);
  return counts ? at::kDouble : type;
}

// Widens the arguments; the format they had, or Undefined if nothing had to be done.
inline at::ScalarType widen(Stack* stack, size_t from, const OpCard& card) {
  at::ScalarType had = at::ScalarType::Undefined;
  if (card.matrix == MatrixOp::none && !card.widens) return had;
  if (card.name.find("out") != std::string::npos || card.name.back() == '_') return had;
  for (size_t i = from; i < stack->size(); i++) {
    c10::IValue& v = (*stack)[i];
    if (!v.isTensor() || !v.toTensor().defined()) continue;
    at::ScalarType type = v.toTensor().scalar_type(), wide = wider(type, card);
    if (wide == type) continue;
    v = v.toTensor().to(wide);
    had = type;
  }
  return had;
}
inline void narrow(Stack* stack, size_t num_returns, at::ScalarType had) {
  for (size_t i = stack->size() - num_returns; i < stack->size(); i++) {
    c10::IValue& v = (*stack)[i];
    if (!v.isTensor() || !v.toTensor().defined()) continue;
    at::ScalarType type = v.toTensor().scalar_type();
    if (type == at::kFloat || type == at::kDouble) v = v.toTensor().to(had);
  }
}

// The host could not hold a result: the card's own error if the card could not either.
[[noreturn]] inline void host_is_full(const c10::Error& e, int device) {
  std::string text = e.what_without_backtrace();
  auto at = text.find("tried to allocate ");
  int64_t bytes = at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + 18, nullptr, 10);
  if (devices[device]->allocated_bytes + bytes > settings.capacity_bytes) out_of_memory(device, bytes);
  TORCH_CHECK(false, "this machine ran out of its own memory while holding the card's values; "
              "run with --no-numerics to trace without values. (", e.what_without_backtrace(), ")");
}

// Runs the host's (or meta) kernel. Which sparse one it is only the dispatcher knows.
inline void run_kernel(const c10::OperatorHandle& op, Stack* stack, bool meta, bool sparse) {
  if (!sparse) return op.redispatchBoxed(meta ? META_KEY : CPU_KEY, stack);
  at::AutoDispatchBelowADInplaceOrView below;
  op.callBoxed(stack);
}

inline void hand_over(const c10::OperatorHandle& op, Stack* stack, bool meta = false, bool keep = true,
                      bool sparse = false) {
  const OpCard& card = op_card(op);
  const auto& schema = op.schema();
  size_t from = stack->size() - schema.arguments().size();
  Frame frame;
  frame.meta = meta;
  frame.keeps_grad = sparse;
  c10::SmallVector<c10::IValue, 3> written;
  for (int a : card.returns_argument)
    if (a >= 0) written.push_back((*stack)[from + a]);
  const char* math = math_of(card, *stack, from);
  Call call;
  keep = keep && tape.on;
  if (keep) begin_call(call, op, sparse ? card.sparse_name : card.name, *stack, from, math);
  alias_arguments(stack, from, frame, card);
  if (math && !meta && !sparse) round_operands(stack, from, card);
  at::ScalarType had = meta || sparse ? at::ScalarType::Undefined : widen(stack, from, card);
  int device = index_or_current(frame.device);
  try {
    run_kernel(op, stack, meta, sparse);
    if (had != at::ScalarType::Undefined) narrow(stack, schema.returns().size(), had);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& e) {
    if (std::string(e.what_without_backtrace()).find("DefaultCPUAllocator") != std::string::npos) host_is_full(e, device);
    throw;
  }
  bring_back_resized(frame);
  bring_back_members(frame, device);
  size_t num_returns = schema.returns().size(), first = stack->size() - num_returns, next = 0;
  for (size_t i = first; i < stack->size(); i++) {
    c10::IValue& v = (*stack)[i];
    if (card.returns_argument[i - first] >= 0) v = written[next++];
    else if (v.isTensor()) v = to_card(v.toTensor(), frame, device);
    else if (v.isTensorList())
      v = map_list(v.toTensorList(), [&](const at::Tensor& t) { return to_card(t, frame, device); });
  }
  if (keep) end_call(call, *stack, num_returns, stream_number(device), card.is_copy);
}

}  // namespace suiren
