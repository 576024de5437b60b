// The state of a recording: what solve() has asked for so far. runtime.cc opens with the theory of
// operation. One per process; one thread.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "evaluator/plan/plan.h"
#include "evaluator/record/address_space.h"
#include "evaluator/record/runtime/cuda_api.h"
#include "evaluator/record/setup.h"

namespace assay::recording {

/// Ends the recording with a failure. `reason` is one of record_error's reasons, or
/// "launch_limits".
[[noreturn]] void fail(const char* reason, std::string_view explanation);

template <typename... Args>
[[noreturn]] void fail(const char* reason, fmt::format_string<Args...> format, Args&&... args) {
  fail(reason, std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}

/// Numbers of operations, ascending, each once.
class Frontier {
 public:
  void merge(const Frontier& other);
  void replace_by(uint32_t operation) { operations_ = {operation}; }
  const std::vector<uint32_t>& operations() const { return operations_; }

 private:
  std::vector<uint32_t> operations_;
};

struct Stream {
  uint32_t number = 0;   // 0: the one given to solve
  bool blocking = true;  // ordered with the legacy default stream
  bool alive = true;
  unsigned flags = 0;
  int priority = 0;
  Frontier frontier;  // what the next operation waits for
};

struct Event {
  bool alive = true;
  Frontier frontier;  // of the stream when it was recorded
};

/// A __global__ function known to the host code.
struct Function {
  std::string name;                // symbol
  const Kernel* kernel = nullptr;  // null: not in the compiled device code
  uint32_t max_dynamic_shared_bytes = 0;
  int carveout = -1;
  bool non_portable_cluster = false;
  Dim3 required_cluster{0, 0, 0};
};

/// The arguments of <<<...>>>, between push and pop.
struct CallConfiguration {
  dim3 grid, block;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

class State {
 public:
  explicit State(const Setup& setup);

  // ---- memory (memory.cc)
  uint64_t allocate(uint64_t bytes, const char* function);
  void release(void* pointer, const char* function);
  /// Where a device pointer points, or fails as invalid_argument with the function's name.
  Location locate(const void* pointer, uint64_t bytes, const char* function);
  bool is_device(const void* pointer) const { return is_fake(reinterpret_cast<uint64_t>(pointer)); }
  uint64_t scratch_bytes() const { return scratch_bytes_; }
  std::string describe(uint32_t allocation) const;
  void add_variable(const void* shadow, const char* name);
  /// Where the variable of a host shadow is; fails where there is none.
  Location variable(const void* shadow, const char* function);
  uint64_t address(const Location& location) const;
  const Allocation& allocation(const Location& location) const {
    return plan_.allocations[location.allocation];
  }
  /// Counts the bytes of a literal against the plan's limit.
  void use_literal(uint64_t bytes, const char* function);

  // ---- functions (functions.cc)
  void add_function(const void* stub, const char* name);
  /// By the host stub or by a handle that names it; null where unknown.
  Function* find_function(const void* stub_or_handle);
  Function& function(const void* stub_or_handle, const char* caller);

  // ---- streams (streams.cc)
  Stream& stream(cudaStream_t handle, const char* function);
  cudaStream_t solve_stream() const;
  cudaStream_t create_stream(unsigned flags, int priority);
  Event& event(cudaEvent_t handle, const char* function);
  cudaEvent_t create_event();
  /// Everything that a wait for `stream` now would wait for.
  Frontier reach(const Stream& stream) const;
  Frontier reach_all() const;
  /// The host waits: whatever is asked for afterwards comes after these operations.
  void wait_on_host(const Frontier& frontier);
  void add(Stream& stream, Action action);

  const LaunchPlan& plan() const { return plan_; }
  const DeviceInfo& device() const { return setup_.device; }

  std::vector<CallConfiguration> configurations;
  cudaError_t last_error = cudaSuccess;

 private:
  const Setup setup_;
  LaunchPlan plan_;
  AddressSpace addresses_;
  uint64_t scratch_bytes_ = 0;
  uint64_t literal_bytes_ = 0;
  size_t dependencies_ = 0;
  std::unordered_map<uint32_t, bool> live_scratch_;      // allocation -> not yet freed
  std::unordered_map<const void*, uint32_t> variables_;  // host shadow -> allocation
  std::map<std::string, uint32_t, std::less<>> variables_by_name_;
  std::deque<Function> functions_;
  std::unordered_map<const void*, Function*> function_by_pointer_;
  std::deque<Stream> streams_;
  std::deque<Event> events_;
  Frontier host_;
};

/// The recording of this process; assay_recording_begin() makes it.
State& state();

/// Remembers the error for cudaGetLastError and returns it.
cudaError_t error(cudaError_t code);

inline constexpr uint64_t kLegacyStream = 1;  // numbers of the streams that always exist
inline constexpr uint64_t kPerThreadStream = 2;

}  // namespace assay::recording
