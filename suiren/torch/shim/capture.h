// Without numerics: tensors have shapes and addresses but no storage.
//
// A functional op takes its output shapes from the Meta kernel, remembered per call. Small
// tensors whose inputs all hold values stay real, because scripts steer by them (masks,
// position ids, bucket indices). An op that writes into a tensor without storage is only
// recorded. A value that a script asks of such a tensor follows one policy: floats are 1,
// integers 0, and a boolean is what the same question would answer for ones: isnan false,
// isfinite true, x > 0 true. Scripts so stay on their usual path.
#pragma once
#include <ATen/ops/empty.h>

#include "handover.h"

namespace suiren {

struct OutputShape {
  bool defined, in_list;
  at::ScalarType type;
  std::vector<int64_t> sizes, strides;
  int64_t bytes() const {
    return defined ? at::detail::computeStorageNbytes(sizes, strides, c10::elementSize(type)) : 0;
  }
};
inline std::unordered_map<Hash, std::vector<OutputShape>, HashOfHash> shapes_of;

template <class F>
inline void for_tensors(const Stack& stack, size_t from, F&& f) {
  for (size_t i = from; i < stack.size(); i++) {
    const auto& v = stack[i];
    if (v.isTensor()) f(v.toTensor());
    else if (v.isTensorList()) for (const at::Tensor& t : v.toTensorList()) f(t);
    else if (v.isOptionalTensorList())
      for (const std::optional<at::Tensor>& t : v.toOptionalTensorList()) if (t.has_value()) f(*t);
  }
}

// Every tensor holds values, and together they are small enough to compute with.
inline bool all_real(const Stack& stack, size_t from) {
  bool real = true;
  int64_t bytes = 0;
  for_tensors(stack, from, [&](const at::Tensor& t) {
    if (!t.defined()) return;
    real = real && is_real(t);
    if (t.layout() == at::kStrided) bytes += t.nbytes();
  });
  return real && bytes <= 4 * int64_t(SMALL_BYTES);
}

// Stands for the op where the shim itself looks into a tensor, on the card or on the host.
inline const OpCard& inner_card() {
  static const OpCard card = [] {
    OpCard c;
    c.name = "a question of the shim";
    c.host_mixes = true;
    return c;
  }();
  return card;
}

// The value a tensor answers with: its first element, or what stands for a missing one.
inline double stands_for(const at::Tensor& t) {
  if (!is_real(t)) {
    if (t.scalar_type() != at::kBool) return at::isFloatingType(t.scalar_type()) ? 1.0 : 0.0;
    Block* b = block_of(t);
    return b ? b->stands_for : 0.0;
  }
  if (!t.defined() || t.numel() == 0) return 0.0;
  Frame frame;
  return alias_of(t, frame, inner_card()).flatten()[0].to(at::kDouble).item<double>();
}

inline double stands_for(const c10::IValue& v) {
  if (v.isTensor()) return stands_for(v.toTensor());
  if (v.isScalar()) return v.toScalar().toDouble();
  return 0.0;
}

// What a boolean answer would be for the values that stand for the arguments.
inline double boolean_answer(const std::string& name, const Stack& stack, size_t from) {
  auto dot = name.find('.');
  std::string op = name.substr(6, dot == std::string::npos ? dot : dot - 6);
  auto a = [&] { return stands_for(stack[from]); };
  auto b = [&] { return stack.size() > from + 1 ? stands_for(stack[from + 1]) : 0.0; };
  if (op == "isnan") return std::isnan(a());
  if (op == "isinf") return std::isinf(a());
  if (op == "isfinite") return std::isfinite(a());
  if (op == "eq") return a() == b();
  if (op == "ne") return a() != b();
  if (op == "lt") return a() < b();
  if (op == "le") return a() <= b();
  if (op == "gt") return a() > b();
  if (op == "ge") return a() >= b();
  if (op == "logical_not" || op == "bitwise_not") return a() == 0;
  if (op == "logical_and" || op == "bitwise_and" || op == "mul") return a() != 0 && b() != 0;
  if (op == "logical_or" || op == "bitwise_or") return a() != 0 || b() != 0;
  if (op == "logical_xor" || op == "bitwise_xor") return (a() != 0) != (b() != 0);
  if (op == "isneginf" || op == "isposinf") return 0;
  return stack.size() > from && stack[from].isTensor() ? a() != 0 : 0;  // any, all, clone, to, cat …
}

inline at::Tensor tensor_nowhere(const OutputShape& shape, int device) {
  if (!shape.defined) return {};
  int64_t size = shape.bytes();
  auto type = c10::scalarTypeToTypeMeta(shape.type);
  return tensor_over(storage_over(take_nowhere(size, device), size), type, shape.sizes, shape.strides);
}

// A tensor that holds values and is written from one that does not takes the policy's value.
inline void fill_written(const OpCard& card, const Stack& stack, size_t from) {
  if (!stack[from].isTensor()) return;
  at::Tensor self = stack[from].toTensor();
  if (!self.defined() || self.device().type() != GCU || !is_real(self)) return;
  double value = self.scalar_type() == at::kBool ? boolean_answer(card.name, stack, from)
                 : at::isFloatingType(self.scalar_type()) ? 1.0 : 0.0;
  Frame frame;
  alias_of(self, frame, inner_card()).fill_(value);
}

inline void record_only(const c10::OperatorHandle& op, const OpCard& card, Stack* stack, size_t from,
                        size_t num_kept, int device) {
  Call call;
  if (tape.on) begin_call(call, op, card.name, *stack, from, math_of(card, *stack, from));
  if (num_kept == 1) fill_written(card, *stack, from);
  stack->resize(from + num_kept);
  if (tape.on) end_call(call, *stack, num_kept, stream_number(device), card.is_copy);
}

inline int64_t num_selected(const at::Tensor& mask) {
  if (!is_real(mask)) return mask.numel();
  Frame frame;
  return alias_of(mask, frame, inner_card()).count_nonzero().item<int64_t>();
}

// A mask without values selects everything: the largest answer it could give.
inline void masks_to_indices(const OpCard& card, Stack* stack, size_t from) {
  if (card.name != "aten::index.Tensor") return;
  c10::List<std::optional<at::Tensor>> out;
  bool changed = false;
  for (const std::optional<at::Tensor>& t : (*stack)[from + 1].toOptionalTensorList()) {
    if (!t.has_value() || (t->scalar_type() != at::kBool && t->scalar_type() != at::kByte)) {
      out.push_back(t);
      continue;
    }
    changed = true;
    int device = t->device().type() == GCU ? t->device().index() : current_device;
    int64_t selected = num_selected(*t);
    for (int64_t d = 0; d < t->dim(); d++)
      out.push_back(tensor_nowhere({true, false, at::kLong, {selected}, {1}}, device));
  }
  if (changed) (*stack)[from + 1] = std::move(out);
}

inline bool fixed_answer(const c10::OperatorHandle& op, const OpCard& card, Stack* stack, size_t from, int device) {
  if (card.name == "aten::equal") {
    record_only(op, card, stack, from, 0, device);
    stack->push_back(true);  // ones equal ones
    return true;
  }
  if (card.name != "aten::nonzero" && card.name != "aten::masked_select") return false;
  at::Tensor self = (*stack)[from].toTensor();
  Call call;
  if (tape.on) begin_call(call, op, card.name, *stack, from, math_of(card, *stack, from));
  int64_t n = self.numel(), dim = self.dim();
  stack->resize(from);
  if (card.name == "aten::nonzero")
    stack->push_back(tensor_nowhere({true, false, at::kLong, {n, dim}, {dim, 1}}, device));
  else
    stack->push_back(tensor_nowhere({true, false, self.scalar_type(), {n}, {1}}, device));
  if (tape.on) end_call(call, *stack, 1, stream_number(device));
  return true;
}

// Runs the Meta kernel once for a call never seen and remembers the shapes it answers.
inline bool learn_shapes(const c10::OperatorHandle& op, Stack* stack, size_t from, const Hash& key) {
  size_t num_returns = op.schema().returns().size();
  Stack saved(stack->begin() + from, stack->end());
  auto put_back = [&] {
    stack->resize(from);
    for (auto& v : saved) stack->push_back(v);
  };
  try {
    hand_over(op, stack, true, false);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception&) {
    put_back();
    return false;
  }
  std::vector<OutputShape> shapes;
  bool simple = true;
  auto add = [&](const at::Tensor& t, bool in_list) {
    if (t.defined()) shapes.push_back({true, in_list, t.scalar_type(), t.sizes().vec(), t.strides().vec()});
    else shapes.push_back({false, in_list, at::kFloat, {}, {}});
  };
  for (size_t i = stack->size() - num_returns; i < stack->size(); i++) {
    auto& v = (*stack)[i];
    if (v.isTensor()) add(v.toTensor(), false);
    else if (v.isTensorList() && num_returns == 1) for (const at::Tensor& t : v.toTensorList()) add(t, true);
    else simple = false;
  }
  put_back();
  if (simple) shapes_of.emplace(key, std::move(shapes));
  return simple;
}

inline void answer_with_shapes(const c10::OperatorHandle& op, const OpCard& card, Stack* stack, size_t from,
                               const std::vector<OutputShape>& shapes, int device) {
  Call call;
  if (tape.on) begin_call(call, op, card.name, *stack, from, math_of(card, *stack, from));
  c10::List<at::Tensor> list;
  bool in_list = op.schema().returns().size() == 1 && op.schema().returns()[0].type()->kind() == c10::TypeKind::ListType;
  c10::SmallVector<at::Tensor, 4> outputs;
  for (auto& s : shapes) {
    at::Tensor t = tensor_nowhere(s, device);
    if (s.defined && s.type == at::kBool)
      if (Block* b = block_of(t)) b->stands_for = boolean_answer(card.name, *stack, from);
    if (in_list) list.push_back(t);
    else outputs.push_back(std::move(t));
  }
  stack->resize(from);
  if (in_list) stack->push_back(std::move(list));
  for (auto& t : outputs) stack->push_back(std::move(t));
  if (tape.on) end_call(call, *stack, op.schema().returns().size(), stream_number(device), card.is_copy);
}

inline int device_of(const Stack& stack, size_t from) {
  int device = -1;
  for_tensors(stack, from, [&](const at::Tensor& t) {
    if (device < 0 && t.defined() && t.device().type() == GCU) device = t.device().index();
  });
  for (size_t i = from; device < 0 && i < stack.size(); i++)
    if (stack[i].isDevice() && stack[i].toDevice().type() == GCU) device = stack[i].toDevice().index();
  return index_or_current(device);
}

inline bool shape_depends_on_values(const OpCard& card, const Stack& stack, size_t from) {
  static const std::unordered_map<std::string, bool> names{
      {"aten::nonzero", 1}, {"aten::masked_select", 1}, {"aten::_unique2", 1}, {"aten::unique_dim", 1},
      {"aten::unique_consecutive", 1}, {"aten::repeat_interleave.Tensor", 1}, {"aten::bincount", 1}};
  if (names.count(card.name)) return true;
  if (card.name != "aten::index.Tensor") return false;
  for (const std::optional<at::Tensor>& t : stack[from + 1].toOptionalTensorList())
    if (t.has_value() && (t->scalar_type() == at::kBool || t->scalar_type() == at::kByte)) return true;
  return false;
}

inline void capture(const c10::OperatorHandle& op, Stack* stack) {
  const OpCard& card = op_card(op);
  size_t from = stack->size() - op.schema().arguments().size();
  const auto& writes = card.returns_argument;
  bool real = all_real(*stack, from), any_write = false, in_place = !writes.empty();
  for (size_t i = 0; i < writes.size(); i++) {
    any_write = any_write || writes[i] >= 0;
    in_place = in_place && writes[i] == int(i);
  }
  int device = device_of(*stack, from);
  if (real && (any_write || writes.empty())) return hand_over(op, stack);
  if (writes.empty()) return record_only(op, card, stack, from, 0, device);
  if (in_place && writes.size() == 1) return record_only(op, card, stack, from, 1, device);
  if (any_write) return hand_over(op, stack, true);
  if (real && shape_depends_on_values(card, *stack, from)) return hand_over(op, stack);
  if (!real && fixed_answer(op, card, stack, from, device)) return;
  if (!real) masks_to_indices(card, stack, from);
  Hash key;
  Storages unused;
  key.add(reinterpret_cast<uintptr_t>(card.name.data()));
  for (size_t i = from; i < stack->size(); i++) hash_value(key, (*stack)[i], unused);
  auto found = shapes_of.find(key);
  if (found == shapes_of.end()) {
    if (!learn_shapes(op, stack, from, key)) {
      TORCH_CHECK(real, card.name, " needs values that --no-numerics does not have: it has no Meta kernel; "
                  "run with numerics, or replace the op");
      return hand_over(op, stack);
    }
    found = shapes_of.find(key);
  }
  int64_t bytes = 0;
  for (auto& s : found->second) bytes += s.bytes();
  if (real && bytes <= int64_t(SMALL_BYTES)) return hand_over(op, stack);
  answer_with_shapes(op, card, stack, from, found->second, device);
}

}  // namespace suiren
