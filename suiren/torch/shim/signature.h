// What an op was called with: a hash on the hot path, a line of text once per distinct call.
//
//   aten::addmm(self=f32[768],mat1=f32[8192,768],mat2=f32[768,768]{1,768})->(f32[8192,768])
//
// A tensor is format[shape]; strides follow in braces unless contiguous; `cpu:` before a
// host tensor. Floating scalars do not change the time of an op and print as `~`.
#pragma once
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <sstream>

#include "memory.h"

namespace suiren {

using Stack = torch::jit::Stack;

inline const char* format_name(at::ScalarType s) {
  switch (s) {
    case at::kDouble: return "f64";
    case at::kFloat: return "f32";
    case at::kHalf: return "f16";
    case at::kBFloat16: return "bf16";
    case at::kFloat8_e4m3fn: return "f8e4m3";
    case at::kFloat8_e5m2: return "f8e5m2";
    case at::kLong: return "i64";
    case at::kInt: return "i32";
    case at::kShort: return "i16";
    case at::kChar: return "i8";
    case at::kByte: return "u8";
    case at::kBool: return "b8";
    case at::kComplexFloat: return "c64";
    case at::kComplexDouble: return "c128";
    default: return c10::toString(s);
  }
}

using Storages = c10::SmallVector<int32_t, 16>;

inline void hash_tensor(Hash& h, const at::Tensor& t, Storages& storages) {
  if (!t.defined()) return h.add(1);
  if (has_members(t)) {
    h.add(uint64_t(t.layout()) + 100);
    for (const at::Tensor& member : members_of(t)) hash_tensor(h, member, storages);
    return;
  }
  storages.push_back(storage_number(t));
  auto* i = t.unsafeGetTensorImpl();
  h.add(uint64_t(t.scalar_type()) << 32 | uint64_t(t.device().type() == GCU) << 16 | t.dim());
  for (auto s : i->sizes()) h.add(s);
  for (auto s : i->strides()) h.add(s);
}

inline void hash_value(Hash& h, const c10::IValue& v, Storages& storages) {
  if (v.isTensor()) return hash_tensor(h, v.toTensor(), storages);
  if (v.isTensorList()) {
    auto list = v.toTensorList();
    h.add(list.size());
    for (const at::Tensor& t : list) hash_tensor(h, t, storages);
  } else if (v.isOptionalTensorList()) {
    auto list = v.toOptionalTensorList();
    h.add(list.size());
    for (const std::optional<at::Tensor>& t : list)
      hash_tensor(h, t.has_value() ? *t : at::Tensor(), storages);
  } else if (v.isInt()) {
    h.add(v.toInt());
  } else if (v.isBool()) {
    h.add(v.toBool() ? 3 : 2);
  } else if (v.isNone()) {
    h.add(5);
  } else if (v.isIntList()) {
    h.add(7);
    for (int64_t x : v.toIntList()) h.add(x);
  } else if (v.isBoolList()) {
    h.add(11);
    for (bool x : v.toBoolList()) h.add(x);
  } else if (v.isString()) {
    h.add(std::hash<std::string>()(v.toStringRef()));
  } else if (v.isDevice()) {
    h.add(v.toDevice().type() == c10::DeviceType::CPU ? 13 : 17);
  }
}

inline void print_tensor(std::ostream& out, const at::Tensor& t) {
  if (!t.defined()) {
    out << "none";
    return;
  }
  if (has_members(t)) {  // a list of its members
    const char* sign = "[";
    for (const at::Tensor& member : members_of(t)) {
      out << sign;
      print_tensor(out, member);
      sign = ",";
    }
    out << ']';
    return;
  }
  if (t.device().type() == c10::DeviceType::CPU) out << "cpu:";
  out << format_name(t.scalar_type()) << '[';
  auto list = [&](c10::IntArrayRef values) {
    for (size_t i = 0; i < values.size(); i++) out << (i ? "," : "") << values[i];
  };
  list(t.sizes());
  out << ']';
  if (t.layout() == at::kStrided && !t.is_contiguous()) {
    out << '{';
    list(t.strides());
    out << '}';
  }
}

// As JSON prints it, so that any string stays on its line.
inline void print_string(std::ostream& out, const std::string& text) {
  out << '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out << '\\' << c;
    else if (c < 0x20) out << "\\u00" << "0123456789abcdef"[c >> 4] << "0123456789abcdef"[c & 15];
    else out << c;
  }
  out << '"';
}

inline void print_value(std::ostream& out, const c10::IValue& v) {
  auto list = [&](auto values, auto&& print) {
    out << '[';
    bool first = true;
    for (auto&& x : values) {
      if (!first) out << ',';
      first = false;
      print(x);
    }
    out << ']';
  };
  if (v.isTensor()) print_tensor(out, v.toTensor());
  else if (v.isTensorList()) list(v.toTensorList().vec(), [&](const at::Tensor& t) { print_tensor(out, t); });
  else if (v.isOptionalTensorList()) list(v.toOptionalTensorList().vec(), [&](const std::optional<at::Tensor>& t) { print_tensor(out, t.has_value() ? *t : at::Tensor()); });
  else if (v.isInt()) out << v.toInt();
  else if (v.isBool()) out << (v.toBool() ? "true" : "false");
  else if (v.isNone()) out << "none";
  else if (v.isIntList()) list(v.toIntVector(), [&](int64_t x) { out << x; });
  else if (v.isBoolList()) list(v.toBoolList().vec(), [&](bool x) { out << (x ? "true" : "false"); });
  else if (v.isString()) print_string(out, v.toStringRef());
  else if (v.isDevice()) out << '"' << (v.toDevice().type() == GCU ? "gcu" : v.toDevice().str()) << '"';
  else out << '~';
}

// A call being recorded: hashed before it runs, finished with its outputs.
struct Call {
  Hash hash;
  Storages storages;
  std::string text;  // filled only when the inputs were never seen
};

inline std::unordered_map<Hash, std::string, HashOfHash> input_text;

inline void begin_call(Call& call, const c10::OperatorHandle& op, const std::string& name,
                       const Stack& stack, size_t from, const char* math) {
  call.hash.add(reinterpret_cast<uintptr_t>(name.data()));
  if (math) call.hash.add(uint64_t(math[0]) + 1000);
  for (size_t i = from; i < stack.size(); i++) hash_value(call.hash, stack[i], call.storages);
  {
    std::lock_guard<std::mutex> guard(lock);
    if (input_text.count(call.hash)) return;
  }
  std::ostringstream out;
  out << name << '(';
  const auto& arguments = op.schema().arguments();
  for (size_t i = from; i < stack.size(); i++) {
    if (i > from) out << ',';
    out << arguments[i - from].name() << '=';
    print_value(out, stack[i]);
  }
  if (math) out << (stack.size() > from ? "," : "") << "math=\"" << math << '"';
  out << ')';
  std::lock_guard<std::mutex> guard(lock);
  input_text.emplace(call.hash, out.str());
}

inline void keep_call(Call& call, const Hash& inputs, const std::function<void(std::ostream&)>& outputs,
                      int32_t stream, bool is_data) {
  std::lock_guard<std::mutex> guard(lock);
  auto found = tape.signature_of.find(call.hash);
  int32_t signature;
  if (found != tape.signature_of.end()) {
    signature = found->second;
  } else {
    std::ostringstream out;
    out << input_text[inputs] << "->(";
    outputs(out);
    out << ')';
    signature = tape.signatures.size();
    tape.signature_of.emplace(call.hash, signature);
    tape.signatures.push_back(out.str());
  }
  push(OP, signature, context_here(is_data), stream, tape.now.storages.size());
  tape.now.storages.insert(tape.now.storages.end(), call.storages.begin(), call.storages.end());
}

inline void end_call(Call& call, const Stack& stack, size_t num_returns, int32_t stream,
                     bool is_data = false) {
  Hash inputs = call.hash;
  call.hash.add(29);
  for (size_t i = stack.size() - num_returns; i < stack.size(); i++)
    hash_value(call.hash, stack[i], call.storages);
  keep_call(call, inputs, [&](std::ostream& out) {
    for (size_t i = stack.size() - num_returns; i < stack.size(); i++) {
      if (i > stack.size() - num_returns) out << ',';
      print_value(out, stack[i]);
    }
  }, stream, is_data);
}

}  // namespace suiren
