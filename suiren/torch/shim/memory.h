// Device memory: accounted to the card, held by the host (or by nobody, without numerics).
#pragma once
#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <cstring>

#include "layouts.h"
#include "tape.h"

namespace suiren {

constexpr int64_t ROUND = 512;               // granularity of `memory_allocated`
constexpr int64_t SEGMENT = 2 << 20;         // granularity of `memory_reserved`
// Addresses that no host memory has: beyond what a 64-bit processor maps.
constexpr uintptr_t NOWHERE = 1ull << 60, NOWHERE_END = 1ull << 61;
constexpr size_t SMALL_BYTES = 65536;        // control tensors up to this size stay real

inline bool is_nowhere(const void* p) {
  auto a = reinterpret_cast<uintptr_t>(p);
  return a >= NOWHERE && a < NOWHERE_END;
}

// One allocation. `stands_for` is the value that a boolean tensor without storage answers.
struct Block {
  c10::DataPtr inner;
  int device;
  int64_t bytes;
  int32_t number;
  int32_t context;
  double stands_for = 0;
};

inline Numbers block_numbers;
inline std::vector<Block*> live;  // by number; nullptr where free
inline uintptr_t next_nowhere = NOWHERE;

inline void release(void* context) {
  auto* b = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> guard(lock);
    auto& d = *devices[b->device];
    d.allocated_bytes -= b->bytes;
    d.num_frees++;
    live[b->number] = nullptr;
    block_numbers.give_back(b->number);
    if (tape.on) push(FREE, b->number, b->context, b->device << 16, b->bytes);
  }
  delete b;
}

inline int64_t rounded(int64_t bytes, int64_t to) { return (bytes + to - 1) / to * to; }

[[noreturn]] inline void out_of_memory(int device, int64_t bytes) {
  std::string text;
  {
    py::gil_scoped_acquire gil;
    if (ask_owners) text = py::cast<std::string>((*ask_owners)(device, bytes));
  }
  TORCH_CHECK_WITH(OutOfMemoryError, false, text);
}

inline void claim(int device, int64_t bytes) {
  auto& d = *devices[device];
  {
    std::lock_guard<std::mutex> guard(lock);
    if (d.allocated_bytes + bytes <= settings.capacity_bytes) {
      d.allocated_bytes += bytes;
      d.num_allocations++;
      d.peak_bytes = std::max(d.peak_bytes, d.allocated_bytes);
      d.reserved_bytes = std::max(d.reserved_bytes,
                                  std::min(rounded(d.allocated_bytes, SEGMENT), settings.capacity_bytes));
      d.reserved_peak_bytes = std::max(d.reserved_peak_bytes, d.reserved_bytes);
      return;
    }
    d.num_ooms++;
  }
  out_of_memory(device, bytes);
}

// Accounts `inner` to the card and takes it over.
inline c10::DataPtr own(c10::DataPtr inner, int device, size_t size, bool claimed = false) {
  c10::Device where(GCU, device);
  if (size == 0) return {nullptr, where};
  int64_t bytes = rounded(size, ROUND);
  if (!claimed) claim(device, bytes);
  void* p = inner.get();
  auto* b = new Block{std::move(inner), device, bytes, 0, 0};
  std::lock_guard<std::mutex> guard(lock);
  if (!p) {
    p = reinterpret_cast<void*>(next_nowhere);
    next_nowhere += bytes;
    if (next_nowhere > NOWHERE_END - (uintptr_t(1) << 50)) next_nowhere = NOWHERE;
  }
  b->number = block_numbers.take();
  b->context = context_here(false);
  if (live.size() <= size_t(b->number)) live.resize(2 * b->number + 64, nullptr);
  live[b->number] = b;
  if (tape.on) push(ALLOC, b->number, b->context, device << 16, b->bytes);
  return {p, b, &release, where};
}

inline c10::DataPtr take_nowhere(size_t size, int device) { return own({}, device, size); }

inline c10::DataPtr take(size_t size, int device) {
  if (!settings.numerics && size > SMALL_BYTES) return take_nowhere(size, device);
  if (size == 0) return own({}, device, 0);
  claim(device, rounded(size, ROUND));
  c10::DataPtr inner;
  try {
    inner = c10::GetCPUAllocator()->allocate(size);
  } catch (...) {
    std::lock_guard<std::mutex> guard(lock);
    devices[device]->allocated_bytes -= rounded(size, ROUND);
    throw;
  }
  if (!settings.numerics) std::memset(inner.get(), 0, size);
  return own(std::move(inner), device, size, true);
}

inline Block* block_of(const c10::StorageImpl* s) {
  const auto& p = s->data_ptr();
  return p.get_deleter() == &release ? static_cast<Block*>(p.get_context()) : nullptr;
}
inline Block* block_of(const at::Tensor& t) {
  return block_of(t.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl());
}
// Wrappers (of `torch.func`, of fake tensors) name the card as their device but hold no storage.
inline bool has_no_storage(const at::Tensor& t) { return !has_members(t) && !t.unsafeGetTensorImpl()->has_storage(); }
inline int32_t storage_number(const at::Tensor& t) {
  if (!t.defined() || t.device().type() != GCU || has_no_storage(t)) return 0;
  Block* b = block_of(has_members(t) ? members_of(t).back() : t);
  return b ? b->number : 0;
}

// Does the tensor hold values? False only for device tensors without storage.
inline bool is_real(const at::Tensor& t) {
  if (!t.defined() || t.device().type() != GCU) return true;
  if (has_members(t)) return is_real(members_of(t).back());
  if (has_no_storage(t)) return true;
  auto* s = t.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
  return !is_nowhere(s->data());
}

// The allocations that are there now.
inline std::vector<Live> live_now(int device = -1) {
  std::vector<Live> out;
  for (Block* b : live)
    if (b && (device < 0 || b->device == device)) out.push_back({b->number, b->context, b->bytes});
  return out;
}

inline void close_step() {
  std::lock_guard<std::mutex> guard(lock);
  if (Step* fresh = end_step()) fresh->live = live_now();
}

struct GcuAllocator final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t n) override { return take(n, current_device); }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t n) const override {
    if (!is_nowhere(to) && !is_nowhere(from)) default_copy_data(to, from, n);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {
    std::lock_guard<std::mutex> guard(lock);
    for (auto& d : devices) d->reserved_bytes = rounded(d->allocated_bytes, SEGMENT);
  }
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex i) override {
    c10::CachingDeviceAllocator::DeviceStats s;
    std::lock_guard<std::mutex> guard(lock);
    auto& d = *devices[i];
    s.allocated_bytes[0].current = s.active_bytes[0].current = d.allocated_bytes;
    s.allocated_bytes[0].peak = s.active_bytes[0].peak = d.peak_bytes;
    s.reserved_bytes[0].current = d.reserved_bytes;
    s.reserved_bytes[0].peak = d.reserved_peak_bytes;
    s.allocation[0].allocated = d.num_allocations;
    s.allocation[0].freed = d.num_frees;
    s.allocation[0].current = d.num_allocations - d.num_frees;
    s.num_ooms = d.num_ooms;
    return s;
  }
  void resetAccumulatedStats(c10::DeviceIndex i) override {
    std::lock_guard<std::mutex> guard(lock);
    devices[i]->num_allocations = devices[i]->num_frees = devices[i]->num_ooms = 0;
  }
  void resetPeakStats(c10::DeviceIndex i) override {
    std::lock_guard<std::mutex> guard(lock);
    devices[i]->peak_bytes = devices[i]->allocated_bytes;
    devices[i]->reserved_peak_bytes = devices[i]->reserved_bytes;
  }
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex i) override {
    std::lock_guard<std::mutex> guard(lock);
    return {settings.capacity_bytes - devices[i]->allocated_bytes, settings.capacity_bytes};
  }
};
inline GcuAllocator gcu_allocator;

// Pinned host memory is host memory that remembers it was pinned.
struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    auto d = c10::GetCPUAllocator()->allocate(n);
    void* p = d.get();
    std::lock_guard<std::mutex> guard(pinned_lock);
    pinned[p] = n;
    return {p, new c10::DataPtr(std::move(d)), &unpin, c10::Device(c10::DeviceType::CPU)};
  }
  static void unpin(void* context) {
    auto* d = static_cast<c10::DataPtr*>(context);
    {
      std::lock_guard<std::mutex> guard(pinned_lock);
      pinned.erase(d->get());
    }
    delete d;
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t n) const override {
    default_copy_data(to, from, n);
  }
  static bool holds(const void* p) {
    std::lock_guard<std::mutex> guard(pinned_lock);
    return pinned.count(p) > 0;
  }
  static inline std::mutex pinned_lock;
  static inline std::unordered_map<const void*, size_t> pinned;
};
inline PinnedAllocator pinned_allocator;

// A tensor on the card: over `storage`, or fresh with the given layout.
inline at::Tensor tensor_over(c10::Storage storage, caffe2::TypeMeta type, c10::IntArrayRef sizes,
                              c10::IntArrayRef strides, int64_t offset = 0) {
  at::Tensor t = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), GCU_KEY, type);
  t.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return t;
}
inline c10::Storage storage_over(c10::DataPtr data, size_t size) {
  return c10::Storage(c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), size, std::move(data), &gcu_allocator, true));
}

}  // namespace suiren
