// Ops the card answers itself instead of handing them to the host's kernel.
#pragma once
#include <ATen/EmptyTensor.h>
#include <ATen/native/DispatchStub.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/native/transformers/sdp_utils_cpp.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scalar_tensor.h>

#include "capture.h"
#include "hollow.h"

namespace suiren {

// A custom op that a script gave a kernel for CUDA alone: that kernel runs, on the card's tensors.
inline bool runs_as_cuda(const c10::OperatorHandle& op) {
  static thread_local std::unordered_map<const void*, bool> known;
  auto found = known.find(&op.schema());
  if (found != known.end()) return found->second;
  bool custom = op.schema().name().rfind("aten::", 0) != 0;
  bool answer = custom && op.hasKernelForDispatchKey(c10::DispatchKey::CUDA) &&
                !op.hasKernelForDispatchKey(c10::DispatchKey::CPU);
  if (custom && !answer) return false;  // a kernel may be registered later
  return known[&op.schema()] = answer;
}

inline void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  const OpCard& card = op_card(op);
  if (card.view) return op.redispatchBoxed(settings.numerics ? CPU_KEY : META_KEY, stack);
  if (runs_as_cuda(op)) return op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CUDA), stack);
  if (settings.numerics) return hand_over(op, stack);
  capture(op, stack);
}

// Metadata kernels run on the card's tensor itself, so that views share its storage.
inline void on_metadata(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  op.redispatchBoxed(settings.numerics ? CPU_KEY : META_KEY, stack);
}

// A script that says "cuda" means the card: devices are renamed and the op goes on.
inline void from_cuda(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  size_t from = stack->size() - op.schema().arguments().size();
  for (size_t i = from; i < stack->size(); i++) {
    auto& v = (*stack)[i];
    if (v.isDevice() && v.toDevice().type() == c10::DeviceType::CUDA)
      v = c10::Device(GCU, index_or_current(v.toDevice().index()));
  }
  op.redispatchBoxed(GCU_KEY, stack);
}

// ---- memory

inline at::Tensor make_empty(c10::IntArrayRef sizes, std::optional<c10::IntArrayRef> strides,
                             at::ScalarType type, std::optional<c10::Device> device,
                             std::optional<at::MemoryFormat> format) {
  c10::DeviceIndex i = index_or_current(device ? device->index() : -1);
  check_ordinal(i);
  struct Restore {
    c10::DeviceIndex old = current_device;
    ~Restore() { current_device = old; }
  } restore;
  current_device = i;
  if (strides) return at::Tensor(at::detail::empty_strided_generic(sizes, *strides, &gcu_allocator, GCU_KEY, type));
  return at::Tensor(at::detail::empty_generic(sizes, &gcu_allocator, GCU_KEY, type, format));
}
inline at::Tensor empty_memory_format(c10::IntArrayRef sizes, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                                      std::optional<c10::Device> d, std::optional<bool>, std::optional<at::MemoryFormat> f) {
  return make_empty(sizes, std::nullopt, type.value_or(c10::get_default_dtype_as_scalartype()), d, f);
}
inline at::Tensor empty_strided(c10::IntArrayRef sizes, c10::IntArrayRef strides, std::optional<at::ScalarType> type,
                                std::optional<at::Layout>, std::optional<c10::Device> d, std::optional<bool>) {
  return make_empty(sizes, strides, type.value_or(c10::get_default_dtype_as_scalartype()), d, std::nullopt);
}
// Zeros that take no memory elsewhere are plain zeros here.
inline at::Tensor efficient_zeros(c10::IntArrayRef sizes, std::optional<at::ScalarType> type, std::optional<at::Layout> l,
                                  std::optional<c10::Device> d, std::optional<bool> pin) {
  return empty_memory_format(sizes, type, l, d, pin, std::nullopt).zero_();
}
inline const at::Tensor& resize_(const at::Tensor& self, c10::IntArrayRef sizes, std::optional<at::MemoryFormat> format) {
  auto* impl = self.unsafeGetTensorImpl();
  int64_t n = c10::multiply_integers(sizes);
  size_t need = (n + impl->storage_offset()) * impl->itemsize();
  auto storage = impl->unsafe_storage();
  if (need > storage.nbytes()) at::detail::getPrivateUse1Hooks().resizePrivateUse1Bytes(storage, need);
  impl->set_sizes_contiguous(sizes);
  if (format.has_value() && *format != at::MemoryFormat::Preserve) impl->empty_tensor_restride(*format);
  return self;
}

// ---- values that cross to the host

inline void item(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  at::Tensor t = stack->back().toTensor();
  int device = t.device().index();
  if (settings.numerics || is_real(t)) {
    hand_over(op, stack, false, true);
  } else {
    TORCH_WARN_ONCE("a value was asked of a tensor without storage (--no-numerics): floats answer 1, integers 0, "
                    "isnan false, isfinite true");
    double value = stands_for(t);
    record_only(op, op_card(op), stack, stack->size() - 1, 0, device);
    if (t.scalar_type() == at::kBool) stack->push_back(at::Scalar(value != 0));
    else if (at::isFloatingType(t.scalar_type())) stack->push_back(at::Scalar(value));
    else stack->push_back(at::Scalar(int64_t(value)));
  }
  note(SYNC, 0, device);
}

inline void copy(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  size_t from = stack->size() - op.schema().arguments().size();
  at::Tensor self = (*stack)[from].toTensor(), source = (*stack)[from + 1].toTensor();
  bool non_blocking = (*stack)[from + 2].toBool();
  bool to_host = self.device().type() == c10::DeviceType::CPU;
  int device = to_host ? source.device().index() : self.device().index();
  if (settings.numerics || (is_real(self) && is_real(source))) {
    hand_over(op, stack);
  } else {
    double value = stands_for(source);
    record_only(op, op_card(op), stack, from, 1, device);
    if (to_host) hollow::fill_hollow(self, value);
    else if (Block* b = is_real(self) ? nullptr : block_of(self))
      if (self.scalar_type() == at::kBool) b->stands_for = value;
  }
  if (to_host && !non_blocking) note(SYNC, 0, device);
}

// ---- random

inline std::tuple<at::Tensor, at::Tensor> dropout_on_host(const at::Tensor& x, double p, const at::Generator& g) {
  at::Tensor mask = at::empty(x.sizes(), x.options().dtype(at::kBool)).bernoulli_(1 - p, g);
  return {x.mul(mask).mul_(p == 1 ? 0.0 : 1.0 / (1 - p)), mask};
}

inline void native_dropout(const c10::OperatorHandle& op, c10::DispatchKeySet, Stack* stack) {
  const OpCard& card = op_card(op);
  size_t from = stack->size() - 3;
  at::Tensor x = (*stack)[from].toTensor();
  double p = (*stack)[from + 1].toDouble();
  bool train = (*stack)[from + 2].isNone() || (*stack)[from + 2].toBool();
  Call call;
  if (tape.on) begin_call(call, op, card.name, *stack, from, nullptr);
  at::Tensor result, mask;
  if (!is_real(x)) {
    result = make_empty(x.sizes(), std::nullopt, x.scalar_type(), x.device(), std::nullopt);
    mask = make_empty(x.sizes(), std::nullopt, at::kBool, x.device(), std::nullopt);
  } else {
    Frame frame;
    at::Tensor host = alias_of(x, frame, card), r, m;
    if (train) std::tie(r, m) = dropout_on_host(host, p, host_generator(devices[frame.device]->generator));
    else r = host.clone(), m = at::ones_like(host, at::kBool);
    result = to_card(r, frame, frame.device);
    mask = to_card(m, frame, frame.device);
  }
  int device = x.device().index();
  stack->resize(from);
  stack->push_back(result);
  stack->push_back(mask);
  if (tape.on) end_call(call, *stack, 2, stream_number(device));
}

}  // namespace suiren
