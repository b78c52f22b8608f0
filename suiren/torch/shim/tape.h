// The record: fixed-size events and, per distinct call, one line of text.
//
// Every op, allocation, free, synchronisation and event is one `Event`. What an op was
// called with is interned as a signature: its text is built once, the event holds a number.
// At a step's end the events are compared with those of earlier steps, and a step that
// repeats an earlier one costs four bytes.
#pragma once
#include <ATen/SequenceNumber.h>
#include <c10/util/SmallVector.h>
#include <torch/csrc/autograd/node.h>

#include <unordered_map>

#include "state.h"

namespace suiren {

enum Kind : int32_t {
  OP = 0,        // what: signature, value: offset of its storages
  ALLOC = 1,     // what: storage, value: bytes
  FREE = 2,      // what: storage, value: bytes
  SYNC = 3,      // the host waits for the device
  RECORD = 4,    // what: event recorded on the stream
  WAIT = 5,      // what: event the stream waits for
  HOST_WAIT = 6, // what: event the host waits for
  ENTER = 7,     // what: signature of the tensors a root module was called with
};

struct Event {
  int32_t kind, what, context, stream;  // stream: device << 16 | stream
  int64_t value;
};

enum Phase : int32_t { FORWARD = 0, BACKWARD = 1, OPTIMIZER = 2, DATA = 3, RECOMPUTE = 4 };

struct Hash {
  uint64_t a = 0x9E3779B97F4A7C15ull, b = 0xC2B2AE3D27D4EB4Full;
  void add(uint64_t v) {
    a = (a ^ v) * 0xFF51AFD7ED558CCDull;
    a ^= a >> 32;
    b = (b + v) * 0xC4CEB9FE1A85EC53ull;
    b ^= b >> 29;
  }
  bool operator==(const Hash& o) const { return a == o.a && b == o.b; }
};
struct HashOfHash {
  size_t operator()(const Hash& h) const { return h.a; }
};

struct Live {
  int32_t number, context;
  int64_t bytes;
};

struct Step {
  std::vector<Event> events;
  std::vector<int32_t> storages;
  std::vector<Live> live;  // allocations that are there when the step ends
};

struct Tape {
  bool on = false;
  Step now;
  std::vector<std::unique_ptr<Step>> distinct;     // steps that differ
  std::vector<int32_t> steps;                      // index into `distinct`, one a step
  std::unordered_map<Hash, int32_t, HashOfHash> by_hash;
  std::unordered_map<Hash, int32_t, HashOfHash> signature_of;
  std::vector<std::string> signatures;
  std::unordered_map<uint64_t, int32_t> context_of;  // phase << 32 | path
  std::vector<std::pair<int32_t, int32_t>> contexts{{0, 0}}; // (phase, path)
  bool in_optimizer = false;
  bool backward_seen = false;
  Numbers event_numbers;
  std::vector<bool> is_timer;  // by event number: a script may ask for its time
};
inline Tape tape;

// ---- where an op stands: phase and module path

constexpr size_t SEQUENCES = size_t(1) << 20;
inline std::vector<std::pair<uint64_t, int32_t>> path_of_sequence(SEQUENCES);  // (number, path)
inline thread_local c10::SmallVector<int32_t, 32> paths;     // modules being called, innermost last
inline thread_local int32_t backward_path = 0;

inline int32_t context_number(Phase phase, int32_t path) {
  if (phase == FORWARD && path == 0) return 0;
  uint64_t key = uint64_t(phase) << 32 | uint32_t(path);
  auto found = tape.context_of.find(key);
  if (found != tape.context_of.end()) return found->second;
  int32_t n = tape.contexts.size();
  tape.context_of.emplace(key, n);
  tape.contexts.emplace_back(phase, path);
  return n;
}

inline int32_t context_here(bool is_data) {
  if (!tape.on) return 0;
  int32_t path = paths.empty() ? 0 : paths.back();
  if (auto node = torch::autograd::get_current_node()) {
    tape.backward_seen = true;
    if (!paths.empty()) return context_number(RECOMPUTE, path);
    uint64_t n = node->sequence_nr();
    auto& entry = path_of_sequence[n % SEQUENCES];
    if (n != UINT64_MAX && entry.first == n) backward_path = entry.second;
    return context_number(BACKWARD, backward_path);
  }
  if (tape.in_optimizer) return context_number(OPTIMIZER, 0);
  bool grad = at::GradMode::is_enabled();
  if (paths.empty() && !grad && tape.backward_seen) return context_number(OPTIMIZER, 0);
  if (is_data && paths.empty()) return context_number(DATA, 0);
  if (grad) {  // the node of this op was just made; the first op under its number names it
    uint64_t n = at::sequence_number::peek() - 1;
    auto& entry = path_of_sequence[n % SEQUENCES];
    if (entry.first != n) entry = {n, path};
  }
  return context_number(FORWARD, path);
}

inline thread_local std::vector<c10::StreamId> current_streams;
inline c10::StreamId& current_stream(c10::DeviceIndex i) {
  check_ordinal(index_or_current(i));
  if (current_streams.size() < size_t(settings.num_devices))
    current_streams.resize(settings.num_devices, 0);
  return current_streams[index_or_current(i)];
}
inline int32_t stream_number(c10::DeviceIndex i) {
  return int32_t(index_or_current(i)) << 16 | int32_t(current_stream(i) & 0xFFFF);
}

inline void push(Kind kind, int32_t what, int32_t context, int32_t stream, int64_t value) {
  tape.now.events.push_back({kind, what, context, stream, value});
}

inline void note(Kind kind, int32_t what, c10::DeviceIndex device) {
  if (!tape.on) return;
  std::lock_guard<std::mutex> guard(lock);
  push(kind, what, 0, stream_number(device), 0);
}

// Numbers by their order of first appearance.
class Seen {
 public:
  void forget() { order_.assign(order_.size(), 0), next_ = 0; }
  int32_t operator()(int32_t number, bool fresh) {
    if (order_.size() <= size_t(number)) order_.resize(2 * size_t(number) + 64, 0);
    if (fresh || !order_[number]) order_[number] = ++next_;
    return order_[number];
  }

 private:
  std::vector<int32_t> order_;  // 0 if not seen yet
  int32_t next_ = 0;
};

inline bool is_timer(int32_t event) { return size_t(event) < tape.is_timer.size() && tape.is_timer[event]; }

// A hash of the step in which storages and events are numbered by first appearance, so that two
// steps are equal when they do the same work, whatever memory it landed in. An event that a
// script may ask for its time keeps its own number.
inline Hash hash_of_now() {
  static Seen canonical, event_order;
  canonical.forget();
  event_order.forget();
  Hash h;
  const Step& now = tape.now;
  const auto& events = now.events;
  for (size_t i = 0, s = 0; i < events.size(); i++) {
    const Event& e = events[i];
    bool memory = e.kind == ALLOC || e.kind == FREE;
    bool point = e.kind == RECORD || e.kind == WAIT || e.kind == HOST_WAIT;
    int32_t what = e.what;
    if (memory) what = canonical(e.what, e.kind == ALLOC);
    if (point && !is_timer(e.what)) what = event_order(e.what, e.kind == RECORD);
    h.add(uint64_t(e.kind) << 32 | uint32_t(what));
    h.add(uint64_t(e.context) << 32 | uint32_t(e.stream));
    h.add(e.value);
    if (e.kind != OP) continue;
    size_t end = now.storages.size();
    for (size_t j = i + 1; j < events.size(); j++)
      if (events[j].kind == OP) {
        end = events[j].value;
        break;
      }
    for (; s < end; s++) h.add(canonical(now.storages[s], false));
  }
  return h;
}

// A step ends: keep its events once. `live` is filled by the caller for a step never seen.
inline Step* end_step() {
  tape.backward_seen = false;
  Hash h = hash_of_now();
  auto found = tape.by_hash.find(h);
  if (found != tape.by_hash.end()) {
    tape.steps.push_back(found->second);
    tape.now.events.clear();
    tape.now.storages.clear();
    return nullptr;
  }
  int32_t k = tape.distinct.size();
  tape.by_hash.emplace(h, k);
  tape.steps.push_back(k);
  size_t events = tape.now.events.size(), storages = tape.now.storages.size();
  tape.distinct.push_back(std::make_unique<Step>(std::move(tape.now)));
  tape.now = Step();
  tape.now.events.reserve(events);
  tape.now.storages.reserve(storages);
  return tape.distinct.back().get();
}

}  // namespace suiren
