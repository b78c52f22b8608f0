// What PyTorch asks of a device: current device, streams, events, hooks.
//
// Time is not kept here. Streams and events are written to the record; how long they take
// is the simulator's answer, asked for when a script asks (`elapsed_time`).
#pragma once
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "generator.h"
#include "memory.h"

namespace suiren {

inline std::atomic<c10::StreamId> next_stream{1};

// `Type` is the card's own device type, or CUDA: a script that says "cuda" means the card.
template <c10::DeviceType Type>
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return Type; }
  c10::Device exchangeDevice(c10::Device d) const override {
    c10::Device old(Type, current_device);
    if (d.index() >= 0) current_device = d.index();
    return old;
  }
  c10::Device getDevice() const override { return c10::Device(Type, current_device); }
  void setDevice(c10::Device d) const override {
    check_ordinal(d.index());
    current_device = d.index();
  }
  void uncheckedSetDevice(c10::Device d) const noexcept override { current_device = d.index(); }
  c10::Device at(c10::Device d) const {
    check_ordinal(index_or_current(d.index()));
    return c10::Device(Type, index_or_current(d.index()));
  }
  c10::Stream getStream(c10::Device d) const override {
    return c10::Stream(c10::Stream::UNSAFE, at(d), current_stream(d.index()));
  }
  c10::Stream getDefaultStream(c10::Device d) const override {
    return c10::Stream(c10::Stream::DEFAULT, at(d));
  }
  c10::Stream getStreamFromGlobalPool(c10::Device d, bool) const override {
    return c10::Stream(c10::Stream::UNSAFE, at(d), next_stream++);
  }
  c10::Stream getNewStream(c10::Device d, int) const override {
    return c10::Stream(c10::Stream::UNSAFE, at(d), next_stream++);
  }
  c10::Stream exchangeStream(c10::Stream s) const override {
    auto& now = current_stream(s.device_index());
    c10::Stream old(c10::Stream::UNSAFE, s.device(), now);
    now = s.id();
    return old;
  }
  c10::DeviceIndex deviceCount() const noexcept override { return settings.num_devices; }
  c10::DeviceCapability getDeviceCapability(c10::Device) const override { return {}; }

  static int32_t number(c10::Stream s) { return int32_t(s.device_index()) << 16 | int32_t(s.id() & 0xFFFF); }
  static void note_on(Kind kind, void* event, int32_t stream) {
    if (!tape.on) return;
    std::lock_guard<std::mutex> guard(lock);
    push(kind, event ? *static_cast<int32_t*>(event) : 0, 0, stream, 0);
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override {
    if (!event) return;
    std::lock_guard<std::mutex> guard(lock);
    tape.event_numbers.give_back(*static_cast<int32_t*>(event));
    delete static_cast<int32_t*>(event);
  }
  void record(void** event, const c10::Stream& s, const c10::DeviceIndex, const c10::EventFlag flag) const override {
    if (!*event) {
      std::lock_guard<std::mutex> guard(lock);
      int32_t n = tape.event_numbers.take();
      if (tape.is_timer.size() <= size_t(n)) tape.is_timer.resize(2 * size_t(n) + 64);
      tape.is_timer[n] = flag == c10::EventFlag::BACKEND_DEFAULT;
      *event = new int32_t(n);
    }
    note_on(RECORD, *event, number(s));
  }
  void block(void* event, const c10::Stream& s) const override { note_on(WAIT, event, number(s)); }
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void* event) const override { note_on(HOST_WAIT, event, 0); }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream& s) const override { note_on(SYNC, nullptr, number(s)); }
  void synchronizeDevice(const c10::DeviceIndex i) const override { note(SYNC, 0, i); }
  void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}
  double elapsedTime(void* from, void* to, const c10::DeviceIndex) const override {
    py::gil_scoped_acquire gil;
    TORCH_CHECK(from && to, "both events must be recorded before elapsed_time is asked");
    if (!ask_elapsed) return 0.0;
    return py::cast<double>((*ask_elapsed)(*static_cast<int32_t*>(from), *static_cast<int32_t*>(to)));
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex i) const override {
    check_ordinal(index_or_current(i));
    return devices[index_or_current(i)]->generator;
  }
  at::Generator getNewGenerator(c10::DeviceIndex i) const override {
    check_ordinal(index_or_current(i));
    return at::make_generator<CardGenerator>(index_or_current(i));
  }
  c10::Device getDeviceFromPtr(void*) const override { return c10::Device(GCU, current_device); }
  bool isPinnedPtr(const void* p) const override { return PinnedAllocator::holds(p); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  c10::DeviceIndex deviceCount() const override { return settings.num_devices; }
  void setCurrentDevice(c10::DeviceIndex i) const override { Guard<GCU>().setDevice(c10::Device(GCU, i)); }
  c10::DeviceIndex getCurrentDevice() const override { return current_device; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex i) const override {
    auto old = current_device;
    if (i >= 0) current_device = i;
    return old;
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex i) const override { return exchangeDevice(i); }
  void resizePrivateUse1Bytes(const c10::Storage& s, size_t size) const override {
    auto* impl = s.unsafeGetStorageImpl();
    auto data = take(size, impl->device().index());
    if (size && impl->nbytes() && !is_nowhere(data.get()) && !is_nowhere(impl->data()))
      std::memcpy(data.get(), impl->data(), std::min(size, impl->nbytes()));
    impl->set_data_ptr_noswap(std::move(data));
    impl->set_nbytes(size);
  }
};

}  // namespace suiren
