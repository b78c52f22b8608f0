// The `gcu` device of PyTorch: registration of everything in this folder, and its Python face.
//
// Read in this order: state, tape, memory, signature, generator, guard, formats, handover,
// capture, hollow, sparse, kernels, attention, modules.
#include <ATen/autocast_mode.h>
#include <torch/csrc/Generator.h>
#include <torch/library.h>

#include "attention.h"
#include "guard.h"
#include "modules.h"
#include "sparse.h"

namespace at::native {
REGISTER_PRIVATEUSE1_DISPATCH(_fused_sdp_choice_stub, &suiren::choose_attention)
}

#define BOXED(f) torch::CppFunction::makeFromBoxedFunction<&suiren::f>()

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(BOXED(fallback)); }
TORCH_LIBRARY_IMPL(_, SparsePrivateUse1, m) { m.fallback(BOXED(sparse_fallback)); }
TORCH_LIBRARY_IMPL(_, SparseCsrPrivateUse1, m) { m.fallback(BOXED(sparse_fallback)); }
TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(BOXED(from_cuda)); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", suiren::empty_memory_format);
  m.impl("empty_strided", suiren::empty_strided);
  m.impl("_efficientzerotensor", suiren::efficient_zeros);
  m.impl("resize_", suiren::resize_);
  m.impl("record_stream", [](at::Tensor&, c10::Stream) {});
  m.impl("_scaled_dot_product_fused_attention_overrideable", BOXED(attention));
  m.impl("_scaled_dot_product_fused_attention_overrideable_backward", BOXED(attention_backward));
  m.impl("native_dropout", BOXED(native_dropout));
  m.impl("_local_scalar_dense", BOXED(item));
  m.impl("copy_", BOXED(copy));
  for (auto name : {"set_.source_Storage_storage_offset", "set_.source_Storage", "set_.source_Tensor", "set_", "view",
                    "as_strided", "_reshape_alias", "view_as_real", "view_as_complex", "unfold", "is_set_to"})
    m.impl(name, BOXED(on_metadata));
}

using at::IntArrayRef;
using at::Scalar;
using at::ScalarType;
using at::Tensor;
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
#define LOWER(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define KEEP_FP32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
#define SET_FP32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
#define PROMOTE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
  AT_FORALL_LOWER_PRECISION_FP(LOWER)
  AT_FORALL_FP32(KEEP_FP32)
  AT_FORALL_FP32_SET_OPT_DTYPE(SET_FP32)
  AT_FORALL_PROMOTE(PROMOTE)
  AT_FORALL_DIFFERENT_REDISPATCH_SIGNATURE(KERNEL_DIFFERENT_REDISPATCH_SIGNATURE_PRIVATEUSEONE)
}

namespace suiren {

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard<c10::DeviceType::PrivateUse1>);
using CudaGuard = Guard<c10::DeviceType::CUDA>;
C10_REGISTER_GUARD_IMPL(CUDA, CudaGuard);
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &gcu_allocator);

static std::vector<std::unique_ptr<torch::Library>> libraries;
static torch::Library& library(c10::DispatchKey key) {
  libraries.push_back(std::make_unique<torch::Library>(torch::Library::IMPL, "aten", key, __FILE__, __LINE__));
  return *libraries.back();
}

// Ops that have a kernel of their own for a sparse layout; the metadata ones look at no values.
static void start_sparse(c10::DispatchKey key, const std::vector<std::string>& ops) {
  static const std::set<std::string> metadata{
      "_indices", "_values", "indices", "values", "_nnz", "sparse_dim", "dense_dim", "_dimI", "_dimV", "is_coalesced",
      "_coalesced_", "crow_indices", "col_indices", "ccol_indices", "row_indices"};
  auto& boxed = library(key);
  for (auto& name : ops) {
    if (metadata.count(name)) boxed.impl(name.c_str(), BOXED(on_sparse_metadata));
    else boxed.impl(name.c_str(), BOXED(sparse_fallback));
  }
}

static void start(int num_devices, const std::vector<std::string>& boxed, const std::vector<std::string>& sparse,
                  const std::vector<std::string>& compressed) {
  settings.num_devices = num_devices;
  for (int i = 0; i < num_devices; i++) {
    devices.push_back(std::make_unique<Device>());
    devices.back()->generator = at::make_generator<CardGenerator>(i);
  }
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  auto& dense = library(c10::DispatchKey::PrivateUse1);
  for (auto& name : boxed) dense.impl(name.c_str(), BOXED(fallback));
  start_sparse(c10::DispatchKey::SparsePrivateUse1, sparse);
  start_sparse(c10::DispatchKey::SparseCsrPrivateUse1, compressed);
}

static void set_question(py::object*& slot, py::object answer) {
  py::object* old = slot;
  slot = answer.is_none() ? nullptr : new py::object(std::move(answer));
  delete old;
}

template <class T>
static py::bytes as_bytes(const std::vector<T>& rows) {
  return py::bytes(reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(T));
}
static py::tuple step_as_bytes(const Step& step, const std::vector<Live>& live) {
  return py::make_tuple(as_bytes(step.events), as_bytes(step.storages), as_bytes(live));
}

static void define_record(py::module_& m) {
  m.def("recording", [](bool on) {
    tape.on = on;
    tape.backward_seen = false;
  });
  m.def("end_step", &close_step);
  m.def("in_optimizer", [](bool on) { tape.in_optimizer = on; });
  m.def("steps", [] { return tape.steps; });
  m.def("num_distinct_steps", [] { return tape.distinct.size(); });
  m.def("num_steps", [] { return tape.steps.size(); });
  m.def("num_events_now", [] { return tape.now.events.size(); });
  m.def("distinct_step", [](size_t i) { 
    const Step& step = *tape.distinct.at(i);
    return step_as_bytes(step, step.live);
  });
  m.def("events_now", [] {
    std::lock_guard<std::mutex> guard(lock);
    return step_as_bytes(tape.now, live_now());
  });
  m.def("signatures", [](size_t from) {
    return std::vector<std::string>(tape.signatures.begin() + from, tape.signatures.end());
  });
  m.def("contexts", [] { return tape.contexts; });
  m.def("forget", [] {
    tape.now = Step();
    tape.distinct.clear();
    tape.steps.clear();
    tape.by_hash.clear();
  });
}

static void define_memory(py::module_& m) {
  m.def("allocated", [](int i) { return devices.at(i)->allocated_bytes; });
  m.def("peak", [](int i) { return devices.at(i)->peak_bytes; });
  m.def("reserved", [](int i) { return devices.at(i)->reserved_bytes; });
  m.def("reserved_peak", [](int i) { return devices.at(i)->reserved_peak_bytes; });
  m.def("counts", [](int i) {
    auto& d = *devices.at(i);
    return std::make_tuple(d.num_allocations, d.num_frees, d.num_ooms);
  });
  m.def("reset_peak", [](int i) { gcu_allocator.resetPeakStats(i); });
  m.def("empty_cache", [] { gcu_allocator.emptyCache({0, 0}); });
  m.def("storage_number", [](const at::Tensor& t) { return storage_number(t); });
  m.def("live", [](int i) {  // (number, bytes, context) of every live allocation
    std::lock_guard<std::mutex> guard(lock);
    std::vector<std::tuple<int32_t, int64_t, int32_t>> out;
    for (auto& b : live_now(i)) out.emplace_back(b.number, b.bytes, b.context);
    return out;
  });
  m.def("is_real", [](const at::Tensor& t) { return is_real(t); });
}

static void define_questions(py::module_& m) {
  m.def("on_out_of_memory", [](py::object f) { set_question(ask_owners, std::move(f)); });
  m.def("on_elapsed", [](py::object f) { set_question(ask_elapsed, std::move(f)); });
  m.def("forget_module", &forget_module);
  m.def("on_module", [](py::object f) { set_question(ask_path, std::move(f)); });
}

}  // namespace suiren

PYBIND11_MODULE(_shim, m) {
  using namespace suiren;
  m.def("start", &start);
  m.def("configure", [](int64_t capacity_bytes, bool numerics, bool has_tf32, int tf32) {
    settings.capacity_bytes = capacity_bytes;
    settings.numerics = numerics;
    settings.chip_has_tf32 = has_tf32;
    settings.tf32 = Tf32(tf32);
  });
  m.def("capacity", [] { return settings.capacity_bytes; });
  m.def("numerics", [] { return settings.numerics; });
  m.def("current_device", [] { return int(current_device); });
  m.def("set_device", [](int i) { Guard<c10::DeviceType::PrivateUse1>().setDevice(c10::Device(GCU, i)); });
  m.def("synchronize", [](int i) { note(SYNC, 0, i); });
  m.def("generators", [] {
    py::list out;
    for (auto& d : devices)
      out.append(py::reinterpret_steal<py::object>(THPGenerator_initDefaultGenerator(d->generator)));
    return out;
  });
  m.def("round_to_tf32", [](const at::Tensor& t) { return tf32_copy(t); });
  define_record(m);
  define_memory(m);
  define_questions(m);
  for (auto* method : {&enter_method, &leave_method})
    m.attr(method->ml_name) = py::reinterpret_steal<py::object>(PyCFunction_New(method, nullptr));
}
