// Device: memory, modules and the replay of plans. Two implementations: virtual_gpu (PTX on the
// CPU) and cuda (the driver API). A Device lives in a runner process and is used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/check/comparison.h"
#include "evaluator/compile/artifact.h"
#include "evaluator/device/info.h"
#include "evaluator/device/profile.h"
#include "evaluator/plan/plan.h"
#include "evaluator/timing/stopwatch.h"
#include "tasks/fill.h"

namespace assay {

/// What stopped a kernel. The candidate's doing, except `unsupported`, which is ours.
struct Fault {
  enum class Kind {
    launch_failed,    // the configuration cannot run on this device -> launch_error
    illegal_address,  // -> runtime_fault, like the next five
    misaligned_address,
    trap,
    assertion,
    divergent_barrier,  // a barrier that not all threads of the block can reach
    stack_overflow,
    shared_race,  // the result depends on the order of warps -> nondeterministic
    timeout,      // instruction budget or deadline -> timeout
    unsupported,  // an instruction the virtual device does not know -> harness_error
  };
  Kind kind = Kind::illegal_address;
  std::string reason;       // machine-readable, "illegal_address" ...
  std::string explanation;  // kernel, block, thread, instruction, source line, nearest tensor
  std::string kernel;
  uint32_t source_line = 0;  // in the candidate's file; 0: unknown
  uint32_t operation = 0;    // index in the plan
};
const char* name(Fault::Kind kind);

/// Counts of one launch (virtual device; zero on hardware).
struct LaunchStatistics {
  std::string kernel;
  uint64_t lane_instructions = 0;  // instructions times active lanes
  uint64_t warp_instructions = 0;
  uint64_t global_load_sectors = 0;  // 32-byte sectors, after coalescing within a warp
  uint64_t global_store_sectors = 0;
  uint64_t shared_bank_conflicts = 0;  // extra wavefronts
  uint64_t uninitialised_shared_reads = 0;
  double elapsed_ms = 0;
};

struct RunOptions {
  /// Instructions after which a plan is ended as `timeout` (virtual device), each counted for all
  /// 32 lanes of its warp. The default takes two cores about half a minute.
  uint64_t instruction_budget = uint64_t{20} * 1000 * 1000 * 1000;
  double deadline_seconds = 60;  // wall time of one replay
  /// Order in which blocks and warps run (virtual device): 0 natural; others permute.
  uint32_t schedule_seed = 0;
};

struct RunReport {
  std::optional<Fault> fault;
  std::vector<LaunchStatistics> launches;  // one per launch operation, in plan order
  std::vector<std::string> notes;          // shared races that are not decisive, and the like
  std::string printed;                     // device printf, truncated at 64 KiB
  double elapsed_ms = 0;
};

/// A device allocation with red zones on both sides. Owned by the Device.
struct Buffer {
  uint32_t id = 0;  // 0: none
  uint64_t address = 0;
  uint64_t bytes = 0;
};

/// Loaded device code. Owned by the caller; must not outlive its Device.
class Module {
 public:
  virtual ~Module() = default;
};

/// A plan bound to a module and to buffers, ready to run any number of times. Owns its scratch.
class PreparedPlan {
 public:
  virtual ~PreparedPlan() = default;
};

/// One side of a measurement: a plan and the module it runs on. Both outlive the stopwatch.
struct TimedPlan {
  Module* module = nullptr;
  const LaunchPlan* plan = nullptr;
};

struct StopwatchSetup {
  BoundCase bound;
  TimedPlan baseline;
  TimedPlan candidate;
  double burst_ms = 2.5;         // aimed at; decides how many slots there are
  double deadline_seconds = 10;  // of one burst
  uint64_t seed = 0;             // secret
  bool hash_every_burst = true;  // look for changed inputs; else only where outputs are verified
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  /// False once a fault or a deadline left the device in a state that only a new process mends.
  virtual bool healthy() const { return true; }

  /// `name` appears in fault messages ("12 bytes past the end of tensor x").
  virtual Result<Buffer> allocate(uint64_t bytes, const std::string& name) = 0;
  virtual void release(const Buffer& buffer) = 0;
  virtual Result<void> upload(const Buffer& buffer, std::span<const std::byte> bytes) = 0;
  virtual Result<void> download(const Buffer& buffer, std::span<std::byte> bytes) = 0;

  // The trusted kernels (evaluator/check/trusted.h).
  virtual Result<void> fill(const Buffer& buffer, const Fill& fill, FillKey key) = 0;
  virtual Result<void> poison(const Buffer& buffer, Dtype dtype, uint64_t key) = 0;
  virtual Result<uint64_t> hash(const Buffer& buffer) = 0;
  /// Bytes of the two red zones of the buffer that changed since it was allocated; 0: intact.
  virtual Result<RedZoneDamage> check_red_zones(const Buffer& buffer) = 0;
  virtual Result<Comparison> compare(const Buffer& got, const Buffer& want, Dtype dtype,
                                     uint64_t elements, const Tolerance& tolerance) = 0;

  /// Loads PTX (virtual) or cubin (hardware). An Error of kind `unsupported` names the PTX
  /// instruction or feature that the virtual device lacks.
  virtual Result<std::unique_ptr<Module>> load(const Artifact& artifact) = 0;
  /// Module variables back to their initial values, as after load().
  virtual Result<void> reset(Module& module) = 0;

  /// `arguments[i]` is the buffer of the i-th tensor. Allocates the plan's scratch (poisoned before
  /// each run). The plan was validated.
  virtual Result<std::unique_ptr<PreparedPlan>> prepare(Module& module, const LaunchPlan& plan,
                                                        std::span<const Buffer> arguments) = 0;
  /// Runs to the end. What the candidate did wrong is in RunReport::fault; an Error is ours.
  virtual Result<RunReport> run(PreparedPlan& plan, const RunOptions& options) = 0;
  /// Red zones of the plan's scratch buffers.
  virtual Result<RedZoneDamage> check_scratch_red_zones(PreparedPlan& plan) = 0;

  /// Times two plans of the same case against each other. `unsupported` on the virtual device,
  /// whose time means nothing. At most one stopwatch exists at a time.
  virtual Result<std::unique_ptr<Stopwatch>> make_stopwatch(const StopwatchSetup& setup);
  /// Measures what the device can reach. `unsupported` on the virtual device.
  virtual Result<DeviceProfile> calibrate();
};

/// The virtual device: `threads` CPU threads (0: all).
std::unique_ptr<Device> make_virtual_device(const std::string& arch = "sm_90", int threads = 0);

}  // namespace assay
