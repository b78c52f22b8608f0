// Random numbers: each card owns a host generator, apart from the host's own.
#pragma once
#include <ATen/CPUGeneratorImpl.h>

#include "state.h"

namespace suiren {

struct CardGenerator final : c10::GeneratorImpl {
  at::Generator host;

  explicit CardGenerator(c10::DeviceIndex i)
      : GeneratorImpl(c10::Device(GCU, i), GCU_KEY), host(at::detail::createCPUGenerator()) {}
  void set_current_seed(uint64_t s) override { host.set_current_seed(s); }
  void set_offset(uint64_t o) override { host.set_offset(o); }
  uint64_t get_offset() const override { return 0; }
  uint64_t current_seed() const override { return host.current_seed(); }
  uint64_t seed() override { return host.seed(); }
  void set_state(const c10::TensorImpl& s) override { host.unsafeGetGeneratorImpl()->set_state(s); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return host.unsafeGetGeneratorImpl()->get_state();
  }
  GeneratorImpl* clone_impl() const override {
    auto* copy = new CardGenerator(device().index());
    copy->host = host.clone();
    return copy;
  }
};

inline at::Generator host_generator(const at::Generator& g) {
  return static_cast<CardGenerator*>(g.unsafeGetGeneratorImpl())->host;
}

}  // namespace suiren
