// The stopwatch of a GPU: bursts of a candidate and a baseline as graphs over a ring of slots.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "evaluator/device/cuda/context.h"
#include "evaluator/device/cuda/replay.h"
#include "evaluator/device/cuda/slots.h"
#include "evaluator/device/cuda/trusted_module.h"
#include "evaluator/device/device.h"
#include "evaluator/timing/stopwatch.h"

namespace assay::cuda {

class CudaStopwatch : public Stopwatch {
 public:
  /// The context is lost after a fault or a deadline. All arguments
  /// must outlive this; the setup's modules are CudaModules.
  static Result<std::unique_ptr<CudaStopwatch>> create(const Context& context,
                                                       TrustedModule& trusted,
                                                       const StopwatchSetup& setup);
  ~CudaStopwatch() override;

  Result<void> set_calls(Side side, uint32_t calls) override;
  uint32_t max_calls() const override { return slots_->count(); }
  Result<Burst> burst(Side side, uint32_t generation) override;
  Result<std::optional<TimingViolation>> verify(uint32_t generation, bool baseline_ran) override;
  Result<std::vector<std::string>> tensors(Side side, uint32_t generation, uint32_t call) override;
  Result<std::optional<TimingViolation>> final_check() override;
  void rest(double milliseconds) override;

 private:
  /// A call whose output is hashed just before and just after it, inside the graph.
  struct Probe {
    uint32_t call = 0;
    CUdeviceptr address = 0;
    uint64_t bytes = 0;
  };
  static constexpr uint32_t kProbes = 2;

  /// A burst over `calls` slots from `first` on.
  struct Graph {
    uint32_t first = 0;
    uint32_t calls = 0;
    CUgraph graph = nullptr;
    CUgraphExec executable = nullptr;
    std::array<Probe, kProbes> probes;
    uint32_t probe_count = 0;
  };
  static constexpr uint32_t kMaxGroups = 4;

  struct TimedSide {
    CudaModule* module = nullptr;
    const LaunchPlan* plan = nullptr;
  };

  CudaStopwatch(const Context& context, TrustedModule& trusted)
      : context_(context), trusted_(trusted) {}
  Result<void> check(CUresult result, const char* what) const {
    return expect(context_.driver(), result, what);
  }
  void place_probes(Side side, Graph& graph, uint64_t seed) const;
  Result<void> capture(Side side, Graph& graph);
  Result<void> capture_call(Side side, uint32_t slot);
  uint32_t calls(Side side) const { return calls_[static_cast<size_t>(side)]; }
  Graph& graph_of(Side side, uint32_t generation);
  Result<void> refresh(Side side, uint32_t generation, const Graph& graph);
  Result<CUresult> launch(Graph& graph);
  Result<std::array<uint64_t, 4 * kProbes>> probe_results();
  Result<void> probe_now(const Graph& graph, uint32_t row);
  Result<double> frequency();
  Result<Burst> run(Side side, uint32_t generation);
  void destroy(Graph& graph);
  const TimedSide& side_of(Side side) const {
    return side == Side::baseline ? baseline_ : candidate_;
  }

  const Context& context_;
  TrustedModule& trusted_;
  TimedSide baseline_, candidate_;
  std::unique_ptr<Slots> slots_;
  std::array<uint32_t, 4> calls_{};
  std::array<std::vector<Graph>, 4> graphs_;          // by side: groups of slots that take turns
  std::array<std::vector<CUdeviceptr>, 2> literals_;  // by side, operation
  uint64_t seed_ = 0;
  uint64_t hash_key_ = 0;
  double deadline_seconds_ = 10;
  CUevent begin_ = nullptr, end_ = nullptr;
  CUdeviceptr stamps_ = 0;         // two rows of (time, clock) for each multiprocessor
  CUdeviceptr probe_results_ = 0;  // 4 rows of kProbes: in the graph before and after the call,
                                   // outside it before and after the burst
  Slots::Range filled_{0, 0};      // slots whose inputs are of filled_generation_
  uint32_t filled_generation_ = 0;
  struct Written {
    Slots::Range range;
    bool swapped;
  };
  std::vector<Written> baseline_outputs_;  // where the baseline's outputs are in memory
  bool hash_every_burst_ = true;
  std::optional<TimingViolation> refused_;  // a launch of the candidate's that the driver refused
};

}  // namespace assay::cuda
