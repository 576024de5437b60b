// The slots ring of a timed case: many private sets of inputs, outputs and scratch, so that no call
// sees memory or content that another call has seen.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "base/result.h"
#include "evaluator/device/cuda/context.h"
#include "evaluator/device/cuda/trusted_module.h"
#include "evaluator/plan/plan.h"
#include "evaluator/timing/stopwatch.h"
#include "tasks/task.h"

namespace assay::cuda {

/// One buffer of every slot: `offset` bytes after the slot's base.
struct Region {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

/// Inputs are shared by both sides (they are filled anew for each generation), outputs and scratch
/// are private to a side. There are two sets of outputs; which side has which is swapped from burst
/// to burst, so that neither is lucky with its addresses. Every region lies between red zones.
class Slots {
 public:
  /// As many slots as 5x L2 needs, at least `wanted`, at most 4096 and 60 % of the free memory.
  /// Inputs that one thread must write from front to back (segment lengths and the like) come from
  /// a small pool that is made once and dealt out anew for each generation.
  /// Slot bases are staggered by random multiples of 256 bytes and in a random order. Errors
  /// (device): not even one fits.
  static Result<std::unique_ptr<Slots>> create(const Context& context, TrustedModule& trusted,
                                               const BoundCase& bound, const LaunchPlan& baseline,
                                               const LaunchPlan& candidate, uint32_t wanted,
                                               uint64_t seed);
  ~Slots();

  uint32_t count() const { return static_cast<uint32_t>(bases_.size()); }
  uint64_t slot_bytes() const { return slot_bytes_; }

  /// Which set of outputs the sides have from now on.
  void swap(bool swapped) { swapped_ = swapped; }

  /// The address of allocation number `allocation` of a side's plan in a slot; 0 for variables.
  CUdeviceptr address(uint32_t slot, Side side, size_t allocation) const;

  /// Slots first ... first + count - 1, in the order of calls.
  struct Range {
    uint32_t first = 0;
    uint32_t count = 1;
  };

  /// Inputs of `generation`.
  Result<void> fill_inputs(Range range, uint32_t generation);
  /// A side's in-out tensors, likewise.
  Result<void> fill_outputs(Range range, Side side, uint32_t generation);
  /// Outputs (not in-out ones) and scratch of a side.
  Result<void> poison(Range range, Side side, uint64_t key);
  /// Scratch and all outputs of a side, in-out ones too: nothing of what it computed stays.
  Result<void> hide(Range range, Side side, uint64_t key);
  /// Hash of all inputs, under a secret key.
  Result<uint64_t> hash_inputs(Range range, uint64_t key);
  /// Output `tensor` of the candidate against the baseline's, by twice the tolerance: the baseline
  /// may be off by the tolerance as well.
  Result<Comparison> compare(Range range, size_t tensor);
  /// Bytes of a slot's tensors, by position: inputs, and what a side wrote.
  Result<std::vector<std::string>> download(uint32_t slot, Side side) const;
  Result<RedZoneDamage> check_red_zones();

  const BoundCase& bound() const { return bound_; }
  const Region& output(Side side, size_t tensor) const;
  CUdeviceptr base(uint32_t slot) const { return bases_[slot]; }

 private:
  Slots(const Context& context, TrustedModule& trusted, const BoundCase& bound, uint64_t seed)
      : context_(context), trusted_(trusted), bound_(bound), seed_(seed) {}
  Result<void> make_pools();
  Result<void> poison_scratch(Range range, Side side, uint64_t key);
  Result<void> poison_tensor(Range range, Side side, size_t tensor, uint64_t key);
  Result<void> fill(Range range, size_t tensor, const Region& region, uint32_t generation);
  Region reserve(uint64_t bytes);
  std::vector<Region> scratch(size_t side) const;
  void lay_out(const LaunchPlan& baseline, const LaunchPlan& candidate);
  SlotRegion in(Range range, const Region& region) const {
    return SlotRegion{table_, range.first, range.count, region.offset};
  }
  SlotRegion everywhere(const Region& region) const { return in({0, count()}, region); }

  const Context& context_;
  TrustedModule& trusted_;
  const BoundCase bound_;
  const uint64_t seed_;
  std::vector<CUdeviceptr> pools_;  // by tensor; 0: filled on the device
  std::vector<Region> inputs_;      // by tensor; in-out and out tensors: no bytes
  std::vector<Region> outputs_[2];  // two sets, by tensor
  bool swapped_ = false;
  /// An allocation of a side's plan: a region, or the place of a tensor.
  struct Place {
    Region region;
    bool scratch = false;
    int output = -1;  // which tensor, if it is an output
  };
  std::vector<Place> places_[2];  // by side, allocation of the plan
  uint64_t slot_bytes_ = 0;
  CUdeviceptr arena_ = 0;
  CUdeviceptr table_ = 0;           // slot bases in device memory
  std::vector<CUdeviceptr> bases_;  // in the order of calls: a random permutation
};

}  // namespace assay::cuda
