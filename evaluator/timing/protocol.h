// The timing of one case: candidate against baseline, interleaved. protocol.cc opens with the
// theory of operation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/timing/budget.h"
#include "evaluator/timing/statistics.h"
#include "evaluator/timing/stopwatch.h"

namespace assay {

/// One timed burst as it was measured, accepted or not.
struct TimingSample {
  Side side = Side::baseline;
  uint32_t block = 0;
  uint32_t position = 0;  // in its block, 0..3; 4: after it
  uint32_t calls = 0;
  double elapsed_ms = 0;
  double frequency_mhz = 0;
  bool accepted = true;
};

/// Time per call of one side, over its accepted bursts, in microseconds.
struct CallTime {
  double median_us = 0;
  double low_quartile_us = 0;
  double high_quartile_us = 0;
  double min_us = 0;
  uint32_t calls = 0;  // per burst
};

struct TimingReport {
  std::string budget;
  CallTime candidate;
  CallTime baseline;
  double empty_call_us = 0;  // the same graph with an empty kernel; stored, never subtracted
  double speedup = 0;        // t_baseline / t_candidate: exp of the median log ratio of blocks
  statistics::Interval speedup_interval;  // 95 %
  double autocorrelation = 0;             // lag 1, of the blocks' log ratios
  uint32_t blocks = 0;
  uint32_t rejected_blocks = 0;
  double clock_ratio = 0;   // of the candidate's clock to the baseline's, median; 0: not measured
  std::string stop_reason;  // "interval", "budget", "unstable", "violation"
  std::string verdict;      // "faster", "slower", "same", "unsure", "unstable"
  std::optional<TimingViolation> violation;
  std::vector<TimingSample> samples;  // raw, in the order they were taken
  double gpu_ms = 0;                  // timed work
  double wall_ms = 0;
  double setup_ms = 0;     // of wall_ms: loading, memory
  double warm_up_ms = 0;   // of wall_ms
  double refresh_ms = 0;   // of wall_ms: inputs, poison, eviction before bursts
  double verify_ms = 0;    // of wall_ms: comparing timed outputs
  std::string neighbours;  // other processes on the device meanwhile, for people; empty: none seen
};

/// Measures. `seed` decides the order of blocks and the generations of inputs. An Error is trouble
/// of ours; what the candidate did wrong is the report's violation.
Result<TimingReport> measure(Stopwatch& stopwatch, const TimingBudget& budget, uint64_t seed);

}  // namespace assay
