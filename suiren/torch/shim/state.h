// What the whole shim shares: names of dispatch keys, settings, and the state of each device.
#pragma once
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <torch/extension.h>

#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <vector>

namespace suiren {

constexpr c10::DeviceType GCU = c10::DeviceType::PrivateUse1;
inline const c10::DispatchKeySet GCU_KEY(c10::DispatchKey::PrivateUse1);
inline const c10::DispatchKeySet CPU_KEY(c10::DispatchKey::CPU);
inline const c10::DispatchKeySet META_KEY(c10::DispatchKey::Meta);

enum class Tf32 : int { off = 0, as_script_says = 1, on = 2 };

struct Settings {
  int num_devices = 8;
  int64_t capacity_bytes = int64_t(32) << 30;
  bool numerics = true;   // false: tensors without storage
  bool chip_has_tf32 = false;
  Tf32 tf32 = Tf32::as_script_says;
};

struct Device {
  at::Generator generator;
  int64_t allocated_bytes = 0, peak_bytes = 0;
  int64_t reserved_bytes = 0, reserved_peak_bytes = 0;
  int64_t num_allocations = 0, num_frees = 0, num_ooms = 0;
};

inline Settings settings;
inline std::vector<std::unique_ptr<Device>> devices;
inline thread_local c10::DeviceIndex current_device = 0;
// One lock for memory and tape. Nobody asks for the GIL while holding it.
inline std::mutex lock;

// Python functions the shim asks; set once by `suiren.torch.device`.
inline py::object* ask_owners = nullptr;   // (device, bytes) -> text of an out-of-memory error
inline py::object* ask_elapsed = nullptr;  // (event, event) -> milliseconds
inline py::object* ask_path = nullptr;     // (parent path, module) -> path
inline py::object* ask_cuda = nullptr;     // () -> None, told once that the script said "cuda"

inline c10::DeviceIndex index_or_current(c10::DeviceIndex index) {
  return index < 0 ? current_device : index;
}

inline void check_ordinal(int index) {
  TORCH_CHECK(index >= 0 && index < settings.num_devices, "GCU error: invalid device ordinal ", index,
              "; this node has gcu:0 to gcu:", settings.num_devices - 1);
}

// Small integers handed out lowest first, so that equal steps get equal numbers.
class Numbers {
 public:
  int32_t take() {
    if (free_.empty()) return ++last_;
    int32_t n = free_.top();
    free_.pop();
    return n;
  }
  void give_back(int32_t n) { free_.push(n); }

 private:
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<int32_t>> free_;
  int32_t last_ = 0;
};

}  // namespace suiren
