// Verifies timed outputs that are judged by evidence (tasks/evidence.h): a stopwatch around the
// device's own, which compares such outputs only for being finite.
#pragma once

#include <array>
#include <random>

#include "evaluator/device/device.h"
#include "evaluator/timing/stopwatch.h"
#include "evaluator/timing/timed_case.h"

namespace assay {

/// After each verification the evidence of one call, chosen in secret, is computed from what the
/// candidate wrote and from what the baseline wrote, and compared by twice the tolerance: the
/// baseline may be off by the tolerance as well. All arguments must outlive this.
class EvidenceStopwatch : public Stopwatch {
 public:
  EvidenceStopwatch(Stopwatch& stopwatch, Device& device, const TimeJob& job)
      : stopwatch_(stopwatch), device_(device), job_(job), random_(job.seed) {}

  Result<void> set_calls(Side side, uint32_t calls) override {
    calls_[static_cast<size_t>(side)] = calls;
    return stopwatch_.set_calls(side, calls);
  }
  uint32_t max_calls() const override { return stopwatch_.max_calls(); }
  Result<Burst> burst(Side side, uint32_t generation) override {
    return stopwatch_.burst(side, generation);
  }
  Result<std::optional<TimingViolation>> verify(uint32_t generation, bool baseline_ran) override;
  Result<std::vector<std::string>> tensors(Side side, uint32_t generation, uint32_t call) override {
    return stopwatch_.tensors(side, generation, call);
  }
  Result<std::optional<TimingViolation>> final_check() override { return stopwatch_.final_check(); }
  void rest(double milliseconds) override { stopwatch_.rest(milliseconds); }

 private:
  Result<std::vector<std::string>> evidence(Side side, uint32_t generation, uint32_t call);

  Stopwatch& stopwatch_;
  Device& device_;
  const TimeJob& job_;
  std::mt19937_64 random_;
  std::array<uint32_t, 4> calls_{1, 1, 1, 1};  // by side
};

}  // namespace assay
