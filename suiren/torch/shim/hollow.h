// Host memory of values that nobody has: without numerics, large copies from the card share few pages.
//
// A script that keeps optimizer states on the host copies its weights there; in a world without values
// they would take the host's memory for nothing. Such a copy stands on a small file mapped over and
// over, and so does what is allocated later with the very size of one, such as Adam's two moments.
#pragma once
#include <ATen/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/CPUAllocator.h>

#include <mutex>
#include <unordered_set>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "state.h"

namespace suiren::hollow {

constexpr size_t LARGE_BYTES = 8u << 20;  // smaller copies are as real as any host tensor
constexpr size_t PAGES_BYTES = 8u << 20;  // what all of them together stand on

struct Mapped {
  void* start;
  size_t bytes;
};

inline std::mutex lock;
inline std::unordered_set<size_t> sizes;

inline void release(void* context) {
  auto* m = static_cast<Mapped*>(context);
#ifdef __linux__
  munmap(m->start, m->bytes);
#endif
  delete m;
}

// So many bytes over few pages; empty where the system cannot.
inline c10::DataPtr mapped(size_t bytes) {
#ifdef __linux__
  static int file = [] {
    int made = memfd_create("suiren", MFD_CLOEXEC);
    return made >= 0 && ftruncate(made, PAGES_BYTES) == 0 ? made : -1;
  }();
  if (file < 0) return {};
  void* start = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return {};
  for (size_t at = 0; at < bytes; at += PAGES_BYTES) {
    void* here = static_cast<char*>(start) + at;
    size_t part = std::min(PAGES_BYTES, bytes - at);
    if (mmap(here, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
      munmap(start, bytes);
      return {};
    }
  }
  return {start, new Mapped{start, bytes}, &release, c10::Device(c10::DeviceType::CPU)};
#else
  return {};
#endif
}

struct Allocator final : c10::Allocator {
  c10::Allocator* rest = nullptr;

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes >= LARGE_BYTES && !settings.numerics && is_known(bytes))
      if (c10::DataPtr found = mapped(bytes)) return found;
    return rest->allocate(bytes);
  }
  static bool is_known(size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    return sizes.count(bytes) > 0;
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { rest->copy_data(to, from, bytes); }
};

// From now on memory of that size is hollow, too.
inline void remember(size_t bytes) {
  static Allocator allocator;
  std::lock_guard<std::mutex> guard(lock);
  if (!allocator.rest) {
    allocator.rest = c10::GetCPUAllocator();
    c10::SetCPUAllocator(&allocator);
  }
  sizes.insert(bytes);
}

// The storage of a host tensor that gets values nobody has gives its memory back; all of it reads `value`.
inline void fill_hollow(const at::Tensor& t, double value) {
  auto* storage = t.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
  size_t bytes = storage->nbytes();
  bool is_whole = bytes >= LARGE_BYTES && size_t(t.nbytes()) == bytes && t.is_non_overlapping_and_dense();
  bool is_hollow = is_whole && storage->data_ptr().get_deleter() == &release;
  if (is_whole && !is_hollow) {
    if (c10::DataPtr found = mapped(bytes)) {
      remember(bytes);
      storage->set_data_ptr_noswap(std::move(found));
      is_hollow = true;
    }
  }
  if (!is_hollow) {
    t.fill_(value);
    return;
  }
  // what stands on the first pages stands on all
  at::Tensor first = at::empty({0}, t.options()).set_(t.storage(), 0, {int64_t(PAGES_BYTES / t.itemsize())}, {1});
  first.fill_(value);
}

}  // namespace suiren::hollow
